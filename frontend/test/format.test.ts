import { expect, test } from "vitest";
import { formatBytes, formatCount, formatFlops, formatName, formatNumber, formatShape, plural } from "../src/format";

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

test.each([
  [0, "0 B"],
  [512, "512 B"],
  [1023, "1023 B"],
  [1024, "1 KiB"],
  [37632, "36.8 KiB"],
  [1023 * 1024, "1023 KiB"],
  [1024 * 1024 - 1, "1 MiB"],
  [140e9, "130 GiB"],
])("%d bytes read %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test.each([
  [0, "0 FLOP"],
  [950, "950 FLOP"],
  [1_234_567_890, "1.23 GFLOP"],
  [999_500_000, "1 GFLOP"],
  [3.2e15, "3.2 PFLOP"],
])("%d operations read %s", (flops, text) => {
  expect(formatFlops(flops)).toBe(text);
});
