import { expect, test } from "vitest";
import { extents } from "../src/extents";
import { nearest } from "../src/series";

test("a saved step stands as far as half way to its neighbours", () => {
  expect(extents([0, 10, 30])).toEqual([
    [-5, 5],
    [5, 20],
    [20, 40],
  ]);
});

test("a pause is left alone but for as much as the steps beside it reach", () => {
  expect(extents([0, 10, 20, 100, 110])).toEqual([
    [-5, 5],
    [5, 15],
    [15, 30],
    [90, 105],
    [105, 115],
  ]);
});

test.each([
  ["doubling", [0, 1, 2, 4, 8, 16, 32, 64, 128]],
  ["powers of ten", [1, 10, 100, 1000, 10_000]],
  ["even, then ever further apart", [0, 1, 2, 3, 4, 6, 8, 10, 14, 18, 26, 42, 74]],
])("steps that are %s leave no gap", (_, steps) => {
  const reach = extents(steps);
  reach.slice(1).forEach(([from], index) => {
    expect(from).toBe(reach[index]?.[1]);
  });
});

test("what covers a step is the nearest saved one", () => {
  const steps = [0, 1, 2, 5, 9, 20, 44, 100];
  const reach = extents(steps);
  for (let step = 0; step <= 100; step++) {
    const near = nearest(steps, step) as number;
    const [from, to] = reach[steps.indexOf(near)] as [number, number];
    expect(step >= from && step <= to).toBe(true);
  }
});

test("alone, a step reaches nowhere; of none there is none", () => {
  expect(extents([7])).toEqual([[7, 7]]);
  expect(extents([])).toEqual([]);
});
