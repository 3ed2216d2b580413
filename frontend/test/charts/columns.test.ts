import { describe, expect, test } from "vitest";
import { type Column, stepColumns, stepScale, stepTicks } from "../../src/charts/columns";

describe("the scale of steps", () => {
  test("fills the width but for its insets, and goes back", () => {
    const scale = stepScale([100, 500], 220, 10);
    expect([scale.x(100), scale.x(300), scale.x(500)]).toEqual([10, 110, 210]);
    expect([scale.step(10), scale.step(110), scale.step(210)]).toEqual([100, 300, 500]);
    expect(scale.step(scale.x(437))).toBeCloseTo(437, 9);
  });

  test("of one step is its middle, and every pixel is that step", () => {
    const scale = stepScale([7, 7], 200, 10);
    expect([scale.x(7), scale.x(99), scale.step(0), scale.step(200)]).toEqual([100, 100, 7, 7]);
  });
});

describe("the scale of steps by their order of magnitude", () => {
  test("gives each power of ten the same room, 0 among them, and goes back", () => {
    const scale = stepScale([0, 99_999], 1000, 0, "log");
    expect([0, 9, 99, 999, 99_999].map((step) => Math.round(scale.x(step)))).toEqual([0, 200, 400, 600, 1000]);
    expect(scale.step(scale.x(437))).toBeCloseTo(437, 6);
    expect(stepTicks(scale, 6)).toEqual([0, 1, 10, 100, 1000, 10_000]);
    expect(stepTicks(scale, 4)).toEqual([1, 100, 10_000]);
    expect(stepTicks(stepScale([20, 25], 300, 0, "log"), 4)).toEqual([20, 25]);
  });

  test("is even where steps are negative", () => {
    const scale = stepScale([-10, 10], 200, 0, "log");
    expect([scale.spacing, scale.x(0)]).toEqual(["linear", 100]);
  });
});

const extents = (columns: readonly Column[]) => columns.map(({ x0, x1 }) => [x0, x1]);

describe("columns", () => {
  test("reach half way to their neighbours and leave no gap", () => {
    expect(extents(stepColumns([0, 10, 20], stepScale([0, 20], 100, 20)))).toEqual([
      [5, 35],
      [35, 65],
      [65, 95],
    ]);
  });

  test("leave a long pause blank", () => {
    const columns = extents(stepColumns([0, 10, 20, 30, 100], stepScale([0, 100], 100)));
    expect(columns).toEqual([
      [0, 5],
      [5, 15],
      [15, 25],
      [25, 40],
      [90, 100],
    ]);
  });

  test("of a single step are the whole width, if nothing else is known of the run", () => {
    expect(extents(stepColumns([5], stepScale([5, 5], 300)))).toEqual([[0, 300]]);
  });

  test("of no step are none", () => expect(stepColumns([], stepScale([0, 0], 300))).toEqual([]));

  test("closer than a pixel are shared: every step is in exactly one, in order, without overlap", () => {
    const steps = Array.from({ length: 5000 }, (_, i) => i * 3 + (i % 7));
    const scale = stepScale([steps[0] as number, steps.at(-1) as number], 173, 8);
    const columns = stepColumns(steps, scale);
    expect(columns.length).toBeLessThanOrEqual(173);
    expect(columns[0]?.first).toBe(0);
    expect(columns.at(-1)?.last).toBe(4999);
    columns.slice(1).forEach((column, index) => {
      const before = columns[index] as Column;
      expect(column.first).toBe(before.last + 1);
      expect(column.x0).toBeGreaterThanOrEqual(before.x1);
      expect(column.x1).toBeGreaterThan(column.x0);
    });
  });
});

test.each<[readonly [number, number], number, number[]]>([
  [[0, 100], 5, [0, 20, 40, 60, 80, 100]],
  [[30, 95], 3, [50]],
  [[0, 7], 100, [0, 1, 2, 3, 4, 5, 6, 7]],
  [[5, 5], 4, [5]],
  [[-20, 20], 4, [-20, -10, 0, 10, 20]],
])("ticks of %j, about %i of them", (span, count, ticks) => {
  expect(stepTicks(stepScale(span, 300), count).map((tick) => tick + 0)).toEqual(ticks);
});
