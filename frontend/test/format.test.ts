import { expect, test } from "vitest";
import { formatCount, formatName, formatNumber, formatShape, plural } from "../src/format";

test.each([
  [0, "0"],
  [-0, "0"],
  [0.123456, "0.123"],
  [12.345, "12.3"],
  [1234.5, "1230"],
  [99949, "99900"],
  [1e5, "1e5"],
  [1234567, "1.2e6"],
  [0.001, "0.001"],
  [0.000012345, "1.2e-5"],
  [0.0009999, "1.0e-3"],
  [-0.00002, "-2e-5"],
  [Number.NaN, "NaN"],
  [Number.POSITIVE_INFINITY, "∞"],
  [Number.NEGATIVE_INFINITY, "-∞"],
])("the number %d reads %s", (value, text) => {
  expect(formatNumber(value)).toBe(text);
});

test.each([
  [0, "0"],
  [950, "950"],
  [1000, "1k"],
  [12345, "12.3k"],
  [999_499, "999k"],
  [999_500, "1M"],
  [4_600_000, "4.6M"],
  [999_999_999, "1B"],
  [7_242_000_000, "7.24B"],
])("%d elements read %s", (count, text) => {
  expect(formatCount(count)).toBe(text);
});

test("shapes, names and plurals", () => {
  expect([formatShape([32, 3, 224, 224]), formatShape([5]), formatShape([])]).toEqual(["32×3×224×224", "5", "scalar"]);
  expect(formatName("zero_fraction_of_all")).toBe("zero fraction of all");
  expect([plural(0, "layer"), plural(1, "layer"), plural(4908, "layer")]).toEqual([
    "0 layers",
    "1 layer",
    "4,908 layers",
  ]);
});
