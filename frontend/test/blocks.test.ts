import { describe, expect, test } from "vitest";
import { areaOf, blockOf, formatSpan, parameterPlace } from "../src/blocks";

describe("blocks", () => {
  test("are of equal length, the last what is left", () => {
    expect([0, 1, 76].map((index) => blockOf(index, 77, 768))).toEqual([
      [0, 9],
      [10, 19],
      [760, 767],
    ]);
    expect(blockOf(3, 5, 5)).toEqual([3, 3]);
  });

  test("of averages reach as far as adaptive_avg_pool1d has them", () => {
    // torch: adaptive_avg_pool1d of 0..6 into 3 is the mean of 0-2, 2-4, 4-6.
    expect([0, 1, 2].map((index) => areaOf(index, 3, 7))).toEqual([
      [0, 2],
      [2, 4],
      [4, 6],
    ]);
    expect(areaOf(9, 256, 256)).toEqual([9, 9]);
  });

  test("are told as one number or from first to last", () => {
    expect([formatSpan([4, 4]), formatSpan([4, 7])]).toEqual(["4", "4–7"]);
    expect(parameterPlace([250, 256], [1000, 2048], 125, 3)).toBe("row 500–503, column 24–31");
    expect(parameterPlace([4, 3], [4, 3], 2, 1)).toBe("row 2, column 1");
    expect(parameterPlace([8, 6, 3, 2], [8, 6, 3, 4], 7, 35)).toBe("[7, 5, 2, 2–3]");
  });
});
