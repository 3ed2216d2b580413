import { describe, expect, test } from "vitest";
import { type ModelGraph, toGraph } from "../src/graph";
import { joinSeries } from "../src/joining";
import { layerRows, nearest, nearestIndex, Series } from "../src/series";
import type { Node } from "../src/wire";
import { MEAN, NAN_COUNT, NORM, part, statistic } from "./parts";

function graph(parents: Record<string, string | null>, order = Object.keys(parents)): ModelGraph {
  const nodes = order.map((id) => ({ id, parent: parents[id] ?? null, kind: "module", module: id }) as Node);
  return toGraph({
    nodes,
    edges: [],
    inputs: [],
    outputs: [],
    class_name: "",
    warnings: [],
    folds: [],
    recorder: "",
    total_parameters: 0,
    trainable_parameters: 0,
    stopped_in: null,
    failure: "",
  });
}

const nan = Number.NaN;

describe("marks", () => {
  test("a counted NaN was measured, an uncounted one was not", () => {
    const values = [1, 0, nan, 3, nan, nan, 1 / 0, 0];
    const series = joinSeries([part(["a", "b", "c", "d"], [0], values, { statistics: [NORM, NAN_COUNT] })]) as Series;
    expect([0, 1, 2, 3].map((row) => series.mark(0, row, 0))).toEqual(["", "nan", "none", "nan"]);
  });

  test("without counts, a row of several statistics is unmeasured if none is a number", () => {
    const series = joinSeries([part(["a", "b"], [0], [nan, 1, nan, nan], { statistics: [NORM, MEAN] })]) as Series;
    expect([series.mark(0, 0, 0), series.mark(0, 1, 0)]).toEqual(["nan", "none"]);
  });

  test("without counts, the only statistic of a row was measured", () => {
    expect((joinSeries([part(["a"], [0], [nan])]) as Series).mark(0, 0, 0)).toBe("nan");
  });
});

describe("what depends on more than the numbers", () => {
  const SCALES = ["norm", "distance", "learning_rate", "trainable"].map((name) => statistic(name, "log"));
  const one = (values: number[], statistics = SCALES) =>
    joinSeries([part(["a"], [0], values, { statistics })]) as Series;

  test("was not measured where there was nothing to compare with", () => {
    const series = one([1, nan, nan, nan]);
    expect([0, 1, 2, 3].map((column) => series.mark(0, 0, column))).toEqual(["", "none", "none", "none"]);
  });

  test("is broken where the numbers are, but what is given never is", () => {
    const series = one([nan, nan, nan, 1]);
    const silent = one([nan, nan, nan, nan]);
    expect([0, 1, 2, 3].map((column) => series.mark(0, 0, column))).toEqual(["none", "none", "none", ""]);
    expect([0, 1, 2, 3].map((column) => silent.mark(0, 0, column))).toEqual(["none", "none", "none", "none"]);
    const infinite = one([1 / 0, nan, nan, 0]);
    expect([0, 1, 2, 3].map((column) => infinite.mark(0, 0, column))).toEqual(["nan", "nan", "none", "frozen"]);
  });

  test("is told by the counts where there are any", () => {
    const counted = [...SCALES, NAN_COUNT];
    expect(one([nan, nan, nan, 1, 3], counted).mark(0, 0, 1)).toBe("nan");
    expect(one([2, nan, nan, 1, 0], counted).mark(0, 0, 1)).toBe("none");
  });

  test("of what trains, exactly none is frozen", () => {
    expect(one([1, 1, 1, 0]).mark(0, 0, 3)).toBe("frozen");
    expect(one([1, 1, 1, 0.01]).mark(0, 0, 3)).toBe("");
    expect(one([0, 1, 1, 1]).mark(0, 0, 0)).toBe("");
  });
});

describe("rows that were recorded at different steps", () => {
  const series = joinSeries([
    part(["a"], [0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6]),
    part(["b", "c"], [0, 3], [0, 0, 30, 30]),
    part(["late"], [6], [60]),
  ]) as Series;
  const row = (name: string) => series.row(name) as number;

  test("have lists of their own, and one together where they were recorded together", () => {
    expect(series.recorded(row("a"))).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(series.recorded(row("b"))).toEqual([0, 3]);
    expect(series.recorded(row("c"))).toBe(series.recorded(row("b")));
    expect(series.recorded(row("late"))).toEqual([6]);
  });

  test("are shown by their own nearest record as far as it reaches", () => {
    const at = (name: string) => [0, 1, 2, 4, 5, 6].map((step) => series.at(row(name), step));
    expect(at("a")).toEqual([0, 1, 2, 4, 5, 6]);
    expect(at("b")).toEqual([0, 0, 3, 3, -1, -1]); // 3 reaches as far on as half way back, to 4.5
    expect(at("late")).toEqual([-1, -1, -1, -1, -1, 6]);
    expect(series.at(row("a"), 1000)).toBe(6);
  });
});

test("the rows of a layer are its own first, then its parameters", () => {
  const layers = ["fc.weight", "fc", "fc.bias", "other"];
  const series = joinSeries([part(layers, [0], [1, 2, 3, 4], { owners: ["fc", "fc", "fc", "other"] })]) as Series;
  expect(series.rowsOf("fc").map((row) => series.rows[row])).toEqual(["fc", "fc.weight", "fc.bias"]);
  expect(series.rowsOf("missing")).toEqual([]);
  expect([...series.table(0, [1, 3])]).toEqual([2, 4]);
  const two = joinSeries([part(["a", "b"], [0, 1], [1, 2, 3, 4])]) as Series;
  expect([...two.table(0, [1, 0])]).toEqual([2, 4, 1, 3]);
});

describe("rows of layers × steps", () => {
  test("stand in graph order, without parameters and without containers", () => {
    const layers = ["head", "block", "block.b", "block.a", "block.a.weight", "unknown", "stem"];
    const owners = ["head", "block", "block.b", "block.a", "block.a", "unknown", "stem"];
    const series = joinSeries([part(layers, [0], Array(7).fill(1), { owners })]) as Series;
    const known = graph({ stem: null, block: null, "block.a": "block", "block.b": "block", head: null });
    expect(layerRows(series, known)).toEqual(["stem", "block.a", "block.b", "head", "unknown"]);
    expect(layerRows(series, null)).toEqual(["head", "block.b", "block.a", "unknown", "stem"]);
  });

  test("stand in graph order also where their names are numbers", () => {
    const series = joinSeries([part(["0", "1", "2"], [0], [1, 2, 3])]) as Series;
    const known = graph({}, ["2", "0", "1"]);
    expect([...known.nodes.keys()]).toEqual(["2", "0", "1"]);
    expect(layerRows(series, known)).toEqual(["2", "0", "1"]);
  });

  test("are the parameters where no layer has a row of its own", () => {
    const series = joinSeries([part(["a.weight", "a.bias"], [0], [1, 2], { owners: ["a", "a"] })]) as Series;
    expect(layerRows(series, graph({ a: null }))).toEqual(["a.weight", "a.bias"]);
  });
});

describe("the nearest saved step", () => {
  test.each([
    [-5, 0],
    [0, 0],
    [4, 0],
    [5, 0], // equally near: the earlier
    [6, 10],
    [29, 10],
    [31, 50],
    [1e9, 50],
  ])("to %i is %i", (step, saved) => {
    expect(nearest([0, 10, 50], step)).toBe(saved);
  });
  test("of none is none", () => {
    expect([nearest([], 3), nearestIndex([], 3)]).toEqual([null, -1]);
  });
  test("agrees with a search through all of them", () => {
    const steps = [0, 1, 2, 7, 11, 30, 31, 100];
    for (let step = -3; step < 110; step++) {
      const best = Math.min(...steps.map((saved) => Math.abs(saved - step)));
      expect(nearest(steps, step)).toBe(steps.find((saved) => Math.abs(saved - step) === best));
    }
  });
});

describe("rows of layers × steps", () => {
  const made = (rows: readonly string[], owners: readonly string[]) => {
    const values = new Float32Array(rows.length).fill(1);
    const written = new Float64Array(rows.length).fill(1);
    const statistics = [{ name: "norm", scale: "log", help: "" }];
    return new Series("gradients", [0], rows, owners, statistics, values, written);
  };

  test("a container that holds parameters itself has one for each of them, in its place, and none of its sum", () => {
    const rows = ["<Net>", "pos", "attn", "attn.in_proj", "attn.out", "attn.out.weight", "head", "head.weight"];
    const owners = ["<Net>", "<Net>", "attn", "attn", "attn.out", "attn.out", "head", "head"];
    const graph = { nodes: new Map(["attn", "head"].map((id) => [id, { id, parent: null }])) } as unknown as ModelGraph;
    expect(layerRows(made(rows, owners), graph)).toEqual(["pos", "attn.out", "attn.in_proj", "head"]);
  });

  test("the whole model is a row where there is no other, and no layer is taken for it", () => {
    expect(layerRows(made(["<Linear>", "weight"], ["<Linear>", "<Linear>"]), null)).toEqual(["<Linear>"]);
    const hostile = "<img src=x onerror=alert(1)>";
    expect(layerRows(made([hostile, "a"], [hostile, "a"]), null)).toEqual([hostile, "a"]);
  });
});
