import { describe, expect, test } from "vitest";
import { blocks, graphOf, node, odd } from "../../gallery/structure.cases";
import { edgesOf, find, neighbour, search } from "../../src/views/structure_search";

const GRAPH = graphOf(
  "Net",
  [
    node("stem", { class_name: "Conv2d" }),
    node("body", { class_name: "Sequential" }),
    node("body.0", { parent: "body", class_name: "Conv2d" }),
    node("add_1", { kind: "function", module: "", class_name: "", op: "add" }),
    node("head"),
  ],
  [],
);
const ids = (query: string) => [...(find(GRAPH, query)?.ids ?? [])];

describe("find", () => {
  test("looks at ids, classes and operations", () => {
    expect(ids("conv2")).toEqual(["stem", "body.0"]);
    expect(ids("ADD")).toEqual(["add_1"]);
    expect(ids("body")).toEqual(["body", "body.0"]);
    expect(ids("nowhere")).toEqual([]);
    expect(find(GRAPH, "")).toBeNull();
  });

  test("expressions look at each of these by itself", () => {
    expect(ids("/^(stem|linear)$/")).toEqual(["stem", "head"]);
    expect(ids("/\\d$/")).toEqual(["body.0", "add_1"]);
  });

  test("what is no expression finds nothing and says why", () => {
    expect(find(GRAPH, "/stem(/")).toEqual({ ids: new Set(), problem: "missing closing )" });
  });
});

describe("neighbour", () => {
  const found = find(GRAPH, "conv2d") ?? { ids: new Set<string>(), problem: "" };

  test("goes on from the selected node, whether it is a hit or not, and round the end", () => {
    expect(neighbour(GRAPH, found, null, 1)).toBe("stem");
    expect(neighbour(GRAPH, found, null, -1)).toBe("body.0");
    expect(neighbour(GRAPH, found, "stem", 1)).toBe("body.0");
    expect(neighbour(GRAPH, found, "body.0", 1)).toBe("stem");
    expect(neighbour(GRAPH, found, "add_1", -1)).toBe("body.0");
    expect(neighbour(GRAPH, found, "add_1", 1)).toBe("stem");
    expect(neighbour(GRAPH, found, "stem", -1)).toBe("body.0");
  });

  test("there is none without a hit", () => {
    expect(neighbour(GRAPH, { ids: new Set(), problem: "" }, "stem", 1)).toBeNull();
  });
});

describe("search", () => {
  test("a hit inside a closed container lights that container", () => {
    const graph = blocks(3);
    expect(search(graph, new Set(["body"]), "norm")).toEqual({
      count: 3,
      hidden: 3,
      boxes: new Set(["body.0", "body.1", "body.2"]),
    });
    expect(search(graph, new Set(["body", "body.1"]), "/1\\.norm/")).toEqual({
      count: 1,
      hidden: 0,
      boxes: new Set(["body.1.norm"]),
    });
    expect(search(graph, new Set(), " ")).toBeNull();
  });
});

describe("edgesOf", () => {
  test("of a node: all that it takes and gives, a loop of its own, too", () => {
    expect([...edgesOf(odd(), "outer.a")].sort((a, b) => a - b)).toEqual([0, 1, 3, 4, 5, 7]);
    expect([...edgesOf(odd(), "last")].sort((a, b) => a - b)).toEqual([9, 10, 11]);
  });

  test("of a container: what goes through its wall", () => {
    expect([...edgesOf(odd(), "outer")].sort((a, b) => a - b)).toEqual([0, 1, 2, 9]);
    expect(edgesOf(odd(), null).size).toBe(0);
    expect(edgesOf(odd(), "gone").size).toBe(0);
  });
});
