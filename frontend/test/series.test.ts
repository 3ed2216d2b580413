import { describe, expect, test } from "vitest";
import type { Numbers } from "../src/backend";
import { type ModelGraph, toGraph } from "../src/graph";
import { joinSeries, layerRows, nearest, nearestIndex, type Series } from "../src/series";
import type { Node, SeriesMetadata } from "../src/wire";

const NORM = { name: "norm", scale: "log", help: "" };
const MEAN = { name: "mean", scale: "signed", help: "" };
const NAN_COUNT = { name: "nan_count", scale: "count", help: "" };

function part(
  layers: string[],
  steps: number[],
  values: number[],
  changes: Partial<SeriesMetadata> = {},
  wallTimes: readonly number[] = steps,
): { metadata: SeriesMetadata; numbers: Numbers } {
  const statistics = changes.statistics ?? [NORM];
  return {
    metadata: { kind: "series", name: "gradients", layers, owners: layers, statistics, version: 1, ...changes },
    numbers: {
      steps,
      wallTimes,
      rows: layers.length,
      columns: statistics.length,
      values: Float32Array.from(values),
    },
  };
}

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

describe("joining the tags of a series", () => {
  test("one tag is itself", () => {
    const series = joinSeries([part(["a", "b"], [0, 5], [1, 2, 3, 4])]) as Series;
    expect([series.steps, series.rows]).toEqual([
      [0, 5],
      ["a", "b"],
    ]);
    expect([series.value(0, 0, 0), series.value(0, 1, 0), series.value(1, 0, 0), series.value(1, 1, 0)]).toEqual([
      ...[1, 2, 3, 4],
    ]);
  });

  test("a later tag with other layers adds rows and steps; what neither measured is blank", () => {
    const series = joinSeries([
      part(["a", "b"], [0, 10], [1, 2, 3, 4]),
      part(["b", "lora"], [10, 20], [40, 50, 60, 70]),
    ]) as Series;
    expect(series.steps).toEqual([0, 10, 20]);
    expect(series.rows).toEqual(["a", "b", "lora"]);
    expect(Array.from(series.values)).toEqual([1, 2, nan, nan, 40, 50, nan, 60, 70]);
    expect(series.mark(0, 2, 0)).toBe("none");
    expect(series.mark(1, 0, 0)).toBe("none"); // the tag that wrote step 10 last has no such layer
    expect(series.mark(2, 0, 0)).toBe("none");
    expect(series.mark(1, 1, 0)).toBe("");
  });

  test("of a step that stands in several, the tag that wrote it last counts, in whatever order they come", () => {
    const before = part(["a", "b"], [0, 10, 20], [1, 2, 3, 4, 5, 6], {}, [100, 110, 120]);
    const restarted = part(["a", "lora"], [10, 15], [30, 31, 35, 36], {}, [200, 205]);
    const late = part(["a", "b"], [15], [350, 351], {}, [204]); // begun after, but written before
    for (const parts of [
      [before, restarted, late],
      [late, restarted, before],
      [restarted, before, late],
    ]) {
      const series = joinSeries(parts) as Series;
      expect(series.steps).toEqual([0, 10, 15, 20]);
      expect(series.rows).toEqual(["a", "b", "lora"]);
      expect(Array.from(series.values)).toEqual([1, 2, nan, 30, nan, 31, 35, nan, 36, 5, 6, nan]);
    }
  });

  test("statistics are united and matched by name, in the order of the first tag", () => {
    const series = joinSeries([
      part(["a"], [0], [1, 2], { statistics: [NORM, MEAN] }),
      part(["a"], [1], [20, 30, 10], { statistics: [MEAN, NAN_COUNT, NORM] }),
      part(["a"], [2], [7], { statistics: [MEAN] }),
    ]) as Series;
    expect(series.statistics).toEqual([NORM, MEAN, NAN_COUNT]);
    expect(Array.from(series.values)).toEqual([1, 2, nan, 10, 20, 30, nan, 7, nan]);
  });

  test("of nothing is nothing", () => expect(joinSeries([])).toBeNull());

  test("names of the prototype are rows like others", () => {
    const series = joinSeries([part(["__proto__", "constructor"], [0], [1, 2])]) as Series;
    expect([series.row("__proto__"), series.row("constructor"), series.row("toString")]).toEqual([0, 1, undefined]);
  });
});

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

test("the rows of a layer are its own first, then its parameters", () => {
  const layers = ["fc.weight", "fc", "fc.bias", "other"];
  const series = joinSeries([part(layers, [0], [1, 2, 3, 4], { owners: ["fc", "fc", "fc", "other"] })]) as Series;
  expect(series.rowsOf("fc").map((row) => series.rows[row])).toEqual(["fc", "fc.weight", "fc.bias"]);
  expect(series.rowsOf("missing")).toEqual([]);
  expect([...series.column(0, [1, 3])]).toEqual([2, 4]);
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
