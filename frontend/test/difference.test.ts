import { describe, expect, test } from "vitest";
import { comparedBackend, OTHER } from "../gallery/mock_compared";
import type { Backend } from "../src/backend";
import { worst } from "../src/charts/cells";
import type { Difference } from "../src/difference";
import type { Store } from "../src/store";
import { opened, settled, TYPICAL } from "./fakes";

const OURS = "p.layerscope";
const AGAINST = `#&${OURS}.compareRun=${encodeURIComponent(OTHER)}`;
const base = comparedBackend(TYPICAL);

const compared = (hash = AGAINST, change: Partial<Backend> = {}) => opened(TYPICAL, hash, { ...base, ...change });

/** The backend with other numbers of the gradients in some runs. */
function changed(run: (run: string) => boolean, value: (step: number, was: number) => number): Partial<Backend> {
  return {
    array: async (of, tag, wanted, signal) => {
      const numbers = await base.array(of, tag, wanted, signal);
      if (!run(of) || !tag.includes("gradients")) return numbers;
      const each = numbers.values.length / numbers.steps.length;
      return { ...numbers, values: numbers.values.map((was, index) => value(Math.floor(index / each), was)) };
    },
  };
}

function differenceOf(store: Store): Difference {
  const difference = store.comparison?.difference.value;
  if (!difference) throw new Error("nothing is compared");
  return difference;
}

const drawn = (difference: Difference, step: number, row: string) =>
  worst(
    { x0: 0, x1: 1, first: step, last: step },
    (index) => difference.values(row)[index] as number,
    (index) => difference.cell(index, row).mark,
  );

describe("what is no number on one side", () => {
  test.each([
    ["infinite here", (run: string) => run !== OTHER, Number.POSITIVE_INFINITY],
    ["infinite there", (run: string) => run === OTHER, Number.POSITIVE_INFINITY],
  ])("%s is hatched and leaves the scale as it is", async (_, run, value) => {
    const scale = differenceOf((await compared()).store).scale;
    const { store } = await compared(
      AGAINST,
      changed(run, (step, was) => (step === 3 ? value : was)),
    );
    const difference = differenceOf(store);
    expect(difference.cell(3, "head")).toEqual({ value: Number.NaN, mark: "nan" });
    expect(drawn(difference, 3, "head").mark).toBe("nan");
    expect(drawn(difference, 2, "head").mark).toBe("");
    expect(difference.scale?.high).toBeCloseTo(scale?.high ?? 0, 1);
  });

  test("zero on one side is beyond every ratio, which does not make the others pale", async () => {
    const { store } = await compared(
      AGAINST,
      changed(
        (run) => run === OTHER,
        (step, was) => (step < 3 ? 0 : was),
      ),
    );
    const difference = differenceOf(store);
    expect(difference.cell(1, "head").value).toBe(1000);
    expect(difference.scale?.high).toBeLessThan(20);
  });
});

test("to a step of zeros, as distances are measured from, it is no ratio but what there is more", async () => {
  const { store } = await compared(
    AGAINST,
    changed(
      (run) => run === OTHER,
      () => 0,
    ),
  );
  const difference = differenceOf(store);
  expect(difference.kind).toBe("difference");
  const row = store.measured.value?.row("head") as number;
  expect(difference.cell(2, "head").value).toBe(store.measured.value?.value(2, row, store.column.value));
  expect(difference.scale?.kind).toBe("difference");
});

test("beyond the last step of the other side there is nothing to compare with", async () => {
  const { store } = await compared(AGAINST, {
    array: async (run, tag, wanted, signal) => {
      const numbers = await base.array(run, tag, wanted, signal);
      if (run !== OTHER) return numbers;
      const each = numbers.values.length / numbers.steps.length;
      return { ...numbers, steps: numbers.steps.slice(0, 3), values: numbers.values.slice(0, 3 * each) };
    },
  });
  const steps = store.measured.value?.steps ?? [];
  const marks = steps.map((_, index) => differenceOf(store).cell(index, "head").mark);
  expect(marks.slice(0, 3)).toEqual(["", "", ""]);
  expect(new Set(marks.slice(4))).toEqual(new Set(["none"]));
  expect(differenceOf(store).at("head", steps.at(-1) as number).mark).toBe("none");
});

test("rows stand by how far they are from what they are compared with, and folding them changes no colour", async () => {
  const { store } = await compared(`${AGAINST}&${OURS}.measure=gradients.mean&${OURS}.order=largest`);
  const farthest = store.rows.value.map((row) => {
    const all = [...differenceOf(store).values(row)].filter(Number.isFinite).map(Math.abs);
    return all.length === 0 ? Number.NEGATIVE_INFINITY : Math.max(...all);
  });
  expect(farthest.length).toBeGreaterThan(3);
  expect(farthest).toEqual([...farthest].sort((a, b) => b - a));
  store.choose({ expanded: [] });
  const high = differenceOf(store).scale?.high;
  store.choose({ folded: true });
  expect(differenceOf(store).scale?.high).toBe(high);
});

describe("what the other side does not have", () => {
  test("is no other method in its place", async () => {
    const { store } = await compared(AGAINST, {
      tags: async (run, signal) => {
        const listing = await base.tags(run, signal);
        const kept = listing.tags.filter(
          ({ kind, metadata }) => kind !== "attribution" || metadata?.name !== "grad_cam",
        );
        return run === OTHER ? { ...listing, tags: kept } : listing;
      },
    });
    store.choose({ method: "grad_cam", layer: "blocks.0.conv" });
    await settled();
    expect(store.method.value?.name).toBe("grad_cam");
    expect(store.other.value?.method.value).toBeNull();
    expect(store.other.value?.detail.maps.value.data).toBeNull();
  });

  test("is no other scalar in its place", async () => {
    const { store } = await compared(`${AGAINST}&${OURS}.scalar=accuracy`, {
      tags: async (run, signal) => {
        const listing = await base.tags(run, signal);
        return run === OTHER ? { ...listing, scalars: ["loss/train"] } : listing;
      },
    });
    expect(store.scalar.value).toBe("accuracy");
    expect(store.other.value?.scalar.value).toBeNull();
    expect(store.other.value?.scalarCurve.value.data).toBeNull();
  });
});

describe("layers of another name", () => {
  const there = (name: string) => name.replace(/^blocks/, "layers");
  const renamed: Partial<Backend> = {
    graph: async (run, ...rest) => {
      const graph = await base.graph(run, ...rest);
      if (run !== OTHER) return graph;
      const nodes = [...graph.nodes.values()].map((node) => ({
        ...node,
        id: there(node.id),
        module: there(node.module),
        parent: node.parent === null ? null : there(node.parent),
      }));
      const edges = graph.edges.map((edge) => ({ ...edge, source: there(edge.source), target: there(edge.target) }));
      return { ...graph, edges, nodes: new Map(nodes.map((node) => [node.id, node])) };
    },
    comparison: async (...asked) => {
      const listing = await base.comparison(...asked);
      return {
        ...listing,
        nodes: listing.nodes.map((node) => ({ ...node, b: node.b === null ? null : there(node.b) })),
      };
    },
  };

  test("are open on both sides, whichever was opened", async () => {
    const { store } = await compared(`${AGAINST}&${OURS}.compareAs=side&${OURS}.expanded=~`, renamed);
    const open = () => [[...store.expanded.value], [...(store.other.value?.expanded.value ?? [])]];
    expect(open()).toEqual([[], []]);
    store.toggle("blocks");
    expect(open()).toEqual([["blocks"], ["layers"]]);
    store.other.value?.toggle("layers.0");
    expect(open()).toEqual([
      ["blocks", "blocks.0"],
      ["layers", "layers.0"],
    ]);
    store.other.value?.toggle("layers");
    expect(open()[0]).not.toContain("blocks");
  });

  test("show one parameter under both names", async () => {
    const { store } = await compared(AGAINST, renamed);
    store.choose({ parameter: "blocks.0.conv.bias" });
    expect(store.other.value?.chosen("parameter")).toBe("layers.0.conv.bias");
    store.other.value?.choose({ parameter: "layers.0.conv.weight" });
    expect(store.chosen("parameter")).toBe("blocks.0.conv.weight");
  });
});

test("the way back leads over what was compared, ordered, folded and brushed; not over every step", async () => {
  const { store, host } = await opened(TYPICAL, "#&", base);
  const written = () => new Promise((resolve) => setTimeout(resolve, 200));
  await written();
  const before = host.entries.length;
  const changes = [
    { compareStep: 0 },
    { compareStep: 50 },
    { order: "largest" },
    { folded: true },
    { zoom: [0, 100] },
  ] as const;
  for (const change of changes) {
    store.choose(change);
    await written();
  }
  expect(host.entries.slice(before)).toEqual([true, false, true, true, true]);
});
