import { fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { describe, expect, test, vi } from "vitest";
import { blocks, chain, graphOf, node } from "../../gallery/structure.cases";
import type { ModelGraph } from "../../src/graph";
import { differences } from "../../src/views/fold_facts";
import { NodeFacts } from "../../src/views/node_facts";
import type { Fold, Node } from "../../src/wire";

/** The facts as the pairs that are read: `{ in: "1×64 float32", … }`. */
function told(graph: ModelGraph | null, id: string): Record<string, string | undefined> {
  const { container } = render(<NodeFacts graph={graph} id={id} onSelect={() => undefined} />);
  const terms = [...container.querySelectorAll("dt")];
  return Object.fromEntries(
    terms.map((term) => [term.textContent, term.nextElementSibling?.textContent?.replace(/\s+/g, " ").trim()]),
  );
}
const heading = () => screen.getByRole("heading").textContent;
const alone = (rest: Partial<Node>) => graphOf("Net", [node("a.conv", rest)], []);

describe("a module", () => {
  test("tells everything that is known, exact numbers in the title", () => {
    const graph = alone({
      class_name: "Conv2d",
      input_shapes: [[8, 3, 224, 224], []],
      input_dtypes: ["bfloat16", "int64"],
      own_parameters: 9408,
      total_parameters: 1_234_567,
      own_bytes: 37632,
      total_bytes: 4_938_268,
      trainable_parameters: 9408,
      tied: ["head.weight", "b.weight"],
      flops: 1_234_567_890,
      activation_bytes: 1_605_632,
      extra_repr: "3, 64, kernel_size=(7, 7)",
      source: "net/block.py:12",
      doc: "Applies a 2D convolution.",
    });
    expect(told(graph, "a.conv")).toEqual({
      in: "8×3×224×224 bfloat16scalar int64",
      out: "1×64 float32",
      parameters: "1.23M 4.71 MiB9.41k its own 36.8 KiB",
      trains: "partly: 9.41k of 1.23M",
      "tied with": "head.weight, b.weight",
      compute: "1.23 GFLOP",
      activation: "1.53 MiB",
      settings: "3, 64, kernel_size=(7, 7)",
      source: "net/block.py:12",
    });
    expect(heading()).toBe("a.conv");
    expect(screen.getByText("Applies a 2D convolution.")).toBeTruthy();
    expect(screen.getByTitle("1,234,567 parameters, 4,938,268 bytes")).toBeTruthy();
    expect(screen.getByTitle("9,408 of 1,234,567 parameters require a gradient")).toBeTruthy();
    expect(screen.getByTitle(/^1,234,567,890 floating-point operations/).textContent).toBe("1.23 GFLOP");
    expect(screen.getByTitle("1,605,632 bytes")).toBeTruthy();
  });

  test("what is not counted is not 0, and what costs nothing is 0", () => {
    expect(told(alone({ flops: null }), "a.conv").compute).toBe("not counted");
    expect(told(alone({ flops: 0 }), "a.conv").compute).toBe("0 FLOP");
  });

  test("of a log from before there were bytes and numbers of what trains, only what it says", () => {
    const old = { own_bytes: 0, total_bytes: 0, trainable_parameters: 0, activation_bytes: 0 };
    expect(told(alone(old), "a.conv")).toEqual({
      ...{ in: "1×64 float32", out: "1×64 float32", parameters: "4.16k", trains: "trainable", compute: "not counted" },
    });
  });

  test("frozen, and without parameters", () => {
    expect(told(alone({ trainable: false, trainable_parameters: 0 }), "a.conv").trains).toBe("frozen when traced");
    const none = { own_parameters: 0, total_parameters: 0, trainable: null };
    expect(told(alone(none), "a.conv").parameters).toBe("none");
    expect(told(alone(none), "a.conv").trains).toBeUndefined();
    expect(told(alone({ own_parameters: 0 }), "a.conv").parameters).toContain("none of its own");
  });

  test("a repeated call says which of how many", () => {
    told(chain(3), "cell#1");
    expect(screen.getByText("LSTMCell · call 2 of 3, the same weights")).toBeTruthy();
    expect(heading()).toBe("cell");
  });

  test("its name can be copied", async () => {
    const writeText = vi.fn(async () => undefined);
    vi.stubGlobal("navigator", { clipboard: { writeText } });
    told(alone({}), "a.conv");
    fireEvent.click(screen.getByLabelText("Copy the name a.conv"));
    await waitFor(() => expect(screen.getByText("copied")).toBeTruthy());
    expect(writeText).toHaveBeenCalledWith("a.conv");
  });
});

describe("what is no module", () => {
  const plain = { module: "", class_name: "", own_parameters: 0, total_parameters: 0, trainable: null };

  test("a function shows its operation and no parameters", () => {
    const graph = graphOf("Net", [node("add_1", { ...plain, kind: "function", op: "add" })], []);
    expect(Object.keys(told(graph, "add_1"))).toEqual(["in", "out", "compute", "activation"]);
    expect(heading()).toBe("add");
  });

  test("inputs, outputs and what a graph does not have", () => {
    const graph = graphOf("Net", [node("input/0", { ...plain, kind: "input" })], []);
    expect(Object.keys(told(graph, "input/0"))).toEqual(["out"]);
    const out = graphOf("Net", [node("output/0", { ...plain, kind: "output" })], []);
    expect(Object.keys(told(out, "output/0"))).toEqual(["value"]);
    expect(told(null, "gone")).toEqual({});
    expect(screen.getByText("not in the graph of this run")).toBeTruthy();
  });

  test("hostile names are text", () => {
    const evil = "<img src=x onerror=alert(1)>";
    const graph = graphOf("Net", [node(evil, { doc: evil, extra_repr: evil, source: evil, tied: [evil] })], []);
    const facts = told(graph, evil);
    expect([facts.settings, facts.source, facts["tied with"], heading()]).toEqual([evil, evil, evil, evil]);
    expect(document.querySelector("img")).toBeNull();
  });
});

describe("a fold", () => {
  const fold = (rest: Partial<Fold> = {}): Fold => ({
    ...{ id: "fold", parent: "body", members: [0, 1, 2, 3].map((i) => [`body.${i}`]), label: "0…3 (4)" },
    ...{ shared: false, uniform: true, ...rest },
  });
  const four = (changes: Record<string, Partial<Node>>, rest: Partial<Fold> = {}): ModelGraph => {
    const graph = blocks(4);
    const nodes = new Map([...graph.nodes].map(([id, each]) => [id, { ...each, ...changes[id] }]));
    return { ...graph, nodes, folds: [fold(rest)] };
  };

  test("tells what is repeated, the sum of its parameters and its members, which select", () => {
    const onSelect = vi.fn();
    render(<NodeFacts graph={four({})} id="fold" onSelect={onSelect} />);
    expect(heading()).toBe("0…3 (4)");
    expect(screen.getByText("4 × Block: each with weights of its own")).toBeTruthy();
    expect(screen.getByTitle("16,640 parameters").textContent).toBe("16.6k 65 KiB");
    expect(screen.getByText("all, in shapes and parameters")).toBeTruthy();
    fireEvent.click(screen.getByTitle("body.2"));
    expect(onSelect).toHaveBeenCalledWith("body.2");
  });

  test("of the same weights, one repetition counts", () => {
    const graph = chain(3);
    const members = [...graph.nodes.keys()].map((id) => [id]);
    const folds = [fold({ parent: null, members, label: "cell ×3", shared: true })];
    expect(told({ ...graph, folds }, "fold").parameters).toBe("4.16k 16.3 KiB");
    expect(screen.getByText("3 × LSTMCell: calls of the same weights")).toBeTruthy();
  });

  test("names the repetitions that are not like the others", () => {
    const changed = { "body.1": { trainable: false }, "body.3": { output_shapes: [[1, 32]], total_parameters: 2080 } };
    const graph = four(changed, { uniform: false });
    expect(differences(graph, graph.folds[0] as Fold)).toEqual([
      { id: "body.1", what: "trains frozen instead of trainable" },
      { id: "body.3", what: "out 1×32 instead of 1×64, parameters 2.08k instead of 4.16k" },
    ]);
    expect(told(graph, "fold").alike).toContain("in structure, but for1 trains frozen");
  });

  test("a difference deeper inside is said, too", () => {
    const graph = four({ "body.1.norm": { total_parameters: 1 } }, { uniform: false });
    expect(told(graph, "fold").alike).toBe("in structure; something inside differs in shapes or parameters");
  });
});
