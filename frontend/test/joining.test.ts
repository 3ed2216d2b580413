import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { joinSeries, type Part } from "../src/joining";
import type { Series } from "../src/series";
import type { SeriesMetadata } from "../src/wire";
import { MEAN, NAN_COUNT, NORM, part } from "./parts";

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
    expect(Array.from(series.values)).toEqual([1, 2, nan, 3, 40, 50, nan, 60, 70]);
    expect(series.mark(0, 2, 0)).toBe("none");
    expect(series.mark(2, 0, 0)).toBe("none");
    expect(series.mark(1, 1, 0)).toBe("");
  });

  test("of a row and step that stand in several, what was written last counts, in whatever order they come", () => {
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
      expect(Array.from(series.values)).toEqual([1, 2, nan, 30, 4, 31, 35, 351, 36, 5, 6, nan]);
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

/** All numbers of a series, as nested lists. */
function table(series: Series): number[][][] {
  return series.steps.map((_, step) =>
    series.rows.map((_, row) => series.statistics.map((_, column) => series.value(step, row, column))),
  );
}

interface Golden {
  readonly parts: readonly {
    readonly metadata: SeriesMetadata;
    readonly steps: number[];
    readonly wall_times: number[];
    readonly values: (number | null)[][][];
  }[];
  readonly joined: {
    readonly rows: string[];
    readonly owners: string[];
    readonly statistics: string[];
    readonly steps: number[];
    readonly values: (number | null)[][][];
  };
}

describe("the golden case, which Python joins alike", () => {
  const golden = JSON.parse(readFileSync("../tests/golden/joining.json", "utf-8")) as Golden;
  const parts: Part[] = golden.parts.map(({ metadata, steps, wall_times: wallTimes, values }) => ({
    metadata,
    numbers: {
      ...{ steps, wallTimes, rows: metadata.layers.length, columns: metadata.statistics.length },
      values: Float32Array.from(values.flat(2), (value) => value ?? nan),
    },
  }));
  const { joined } = golden;
  const expected = joined.values.map((step) => step.map((row) => row.map((value) => value ?? nan)));

  test.each([
    ["as listed", parts],
    ["the other way round", [...parts].reverse()],
  ])("%s", (_, listed) => {
    const series = joinSeries(listed) as Series;
    expect([series.rows, series.owners, series.statistics.map(({ name }) => name), series.steps]).toEqual([
      ...[joined.rows, joined.owners, joined.statistics, joined.steps],
    ]);
    expect(table(series)).toEqual(expected);
  });

  test("also tag by tag, each with what is already known", () => {
    const ordered = [...parts].sort((a, b) => (a.numbers.wallTimes[0] ?? 0) - (b.numbers.wallTimes[0] ?? 0));
    const series = ordered.reduce<Series | null>((known, one) => joinSeries([one], known), null) as Series;
    expect([series.rows, series.steps]).toEqual([joined.rows, joined.steps]);
    expect(table(series)).toEqual(expected);
  });
});

describe("what comes later is joined with what is known", () => {
  const begun = () => joinSeries([part(["a", "b"], [0, 10], [1, 2, 3, 4])]) as Series;

  test("at its end, in the same memory where there is room", () => {
    const grown = joinSeries([part(["a", "b"], [20], [5, 6])], begun()) as Series;
    const again = joinSeries([part(["a", "b"], [30], [7, 8])], grown) as Series;
    expect(table(again).flat(2)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(grown.steps).toEqual([0, 10, 20]);
    expect(again.values).toBe(joinSeries([part(["a", "b"], [30], [7, 8])], grown)?.values);
  });

  test("without what a load that was given up has left there", () => {
    const grown = joinSeries([part(["a", "b"], [20], [5, 6])], begun()) as Series;
    joinSeries([part(["b"], [25], [99], {}, [1e9])], grown);
    const series = joinSeries([part(["a"], [30], [7])], grown) as Series;
    expect(series.mark(3, 1, 0)).toBe("none");
    expect(table(series)[3]).toEqual([[7], [nan]]);
  });

  test("of another optimizer at a step that is known, beside the rows that are", () => {
    const series = joinSeries([part(["c"], [10, 20], [30, 60])], begun()) as Series;
    expect(series.rows).toEqual(["a", "b", "c"]);
    expect(table(series).map((step) => step.flat())).toEqual([
      [1, 2, nan],
      [3, 4, 30],
      [nan, nan, 60],
    ]);
  });

  test("in the middle, with a new statistic", () => {
    const series = joinSeries([part(["b"], [5], [20, 21], { statistics: [NORM, MEAN] })], begun()) as Series;
    expect(series.steps).toEqual([0, 5, 10]);
    expect(table(series).map((step) => step.flat())).toEqual([
      [1, nan, 2, nan],
      [nan, nan, 20, 21],
      [3, nan, 4, nan],
    ]);
  });
});

test("what was hardly written takes no memory", () => {
  const many = Array.from({ length: 9000 }, (_, index) => `row ${index}`);
  const steps = Array.from({ length: 9000 }, (_, index) => index);
  const wide = part(many, [0], new Array(9000).fill(1));
  const long = part(["row 0"], steps, new Array(9000).fill(1));
  expect(() => joinSeries([wide, long])).toThrow(/only 18000 of 81000000 numbers are there/);
});
