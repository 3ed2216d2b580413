import { describe, expect, test } from "vitest";
import { seeded } from "../gallery/mock_numbers";
import { ColourScale, css, fitScale, inkOn, type Rgb, relativeLuminance, scaleKind } from "../src/colour";

const WHITE: Rgb = [247, 247, 247]; // the neutral of the diverging scale, #f7f7f7

/** Contrast ratio of WCAG 2, the lighter over the darker. */
function contrast(one: Rgb, other: Rgb): number {
  const [dark, light] = [relativeLuminance(one), relativeLuminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** CIE 1976 lightness, 0 to 100. */
function lightness(colour: Rgb): number {
  const y = relativeLuminance(colour);
  return y > 216 / 24389 ? 116 * Math.cbrt(y) - 16 : (y * 24389) / 27;
}

describe("signed", () => {
  test.each([[[1e-9]], [[-3, 1]], [[0.1, 0.2, -7e8]], [[0]]])("0 is exactly neutral for %j", (values) => {
    const scale = fitScale("signed", values) as ColourScale;
    expect(scale.position(0)).toBe(0.5);
    expect(scale.rgb(0)).toEqual(WHITE);
    expect(scale.low).toBe(-scale.high);
  });

  test("positive is red, negative is blue, equally far from white", () => {
    const scale = new ColourScale("signed", -2, 2);
    const [red, , blueOfRed] = scale.rgb(2);
    const [redOfBlue, , blue] = scale.rgb(-2);
    expect(red).toBeGreaterThan(blueOfRed + 80);
    expect(blue).toBeGreaterThan(redOfBlue + 80);
    expect(scale.position(1)).toBe(0.75);
    expect(scale.position(-1)).toBe(0.25);
    expect(scale.position(1e30)).toBe(1);
    expect(scale.position(-1e30)).toBe(0);
  });

  test("only zeros make limits of one, not a division by zero", () => {
    expect(fitScale("signed", [0, 0])).toMatchObject({ low: -1, high: 1, clippedLow: false, clippedHigh: false });
  });

  test("the colour gets darker with the distance from 0, on both sides", () => {
    const scale = new ColourScale("signed", -1, 1);
    for (const sign of [-1, 1]) {
      const all = Array.from({ length: 65 }, (_, i) => lightness(scale.rgb((sign * i) / 64)));
      for (let i = 1; i < all.length; i++) expect(all[i]).toBeLessThan((all[i - 1] as number) + 0.5);
    }
  });
});

describe("sequential", () => {
  test("lightness rises all the way from low to high", () => {
    const scale = new ColourScale("linear", 0, 1);
    const all = Array.from({ length: 257 }, (_, i) => lightness(scale.rgb(i / 256)));
    for (let i = 4; i < all.length; i += 4) expect(all[i]).toBeGreaterThan(all[i - 4] as number);
    expect((all[256] as number) - (all[0] as number)).toBeGreaterThan(70);
  });

  test("log: equal ratios are equal distances; what is not positive stands at the low end", () => {
    const scale = new ColourScale("log", 1e-4, 1);
    expect(scale.position(1e-2)).toBeCloseTo(0.5, 12);
    expect(scale.position(1e-3)).toBeCloseTo(0.25, 12);
    expect([scale.position(0), scale.position(-5), scale.position(1e-9)]).toEqual([0, 0, 0]);
    expect(scale.position(7)).toBe(1);
  });

  test("fraction is 0 to 1 whatever the values; count begins at 0", () => {
    expect(fitScale("fraction", [0.3])).toMatchObject({ low: 0, high: 1 });
    expect(fitScale("count", [0, 0])).toMatchObject({ low: 0, high: 1 });
    const counts = fitScale("count", [3, 99]) as ColourScale;
    expect([counts.low, counts.high]).toEqual([0, 99]);
    expect(counts.position(9)).toBeCloseTo(0.5, 12); // log(10) is half of log(100)
  });

  test("linear begins at 0 or below it", () => {
    expect(fitScale("linear", [2, 4])).toMatchObject({ low: 0, high: 4, clippedLow: false, clippedHigh: false });
    expect(fitScale("linear", [-1, 4])).toMatchObject({ low: -1, high: 4 });
    expect(fitScale("linear", [0])).toMatchObject({ low: 0, high: 1 });
  });
});

describe("limits", () => {
  const hundred = Array.from({ length: 101 }, (_, i) => i + 1);

  test("are the second and the 98th percentile, and say that the data reaches beyond", () => {
    expect(fitScale("log", hundred)).toMatchObject({ low: 3, high: 99, clippedLow: true, clippedHigh: true });
    expect(fitScale("signed", hundred)).toMatchObject({ low: -99, high: 99, clippedLow: true, clippedHigh: true });
    expect(fitScale("log", [5])).toMatchObject({ low: 5, high: 5, clippedLow: false, clippedHigh: false });
  });

  test("of mostly zeros reach to the largest", () => {
    const sparse = [...Array(200).fill(0), 3];
    expect(fitScale("signed", sparse)).toMatchObject({ low: -3, high: 3, clippedHigh: false });
    expect(fitScale("linear", sparse)).toMatchObject({ low: 0, high: 3 });
  });

  test("leave out what is not finite, and on a log scale what is not positive", () => {
    const mixed = [Number.NaN, 1, Number.POSITIVE_INFINITY, 100, Number.NEGATIVE_INFINITY, -5, 0];
    expect(fitScale("log", mixed)).toMatchObject({ low: 1, high: 100 });
    expect(fitScale("signed", [Number.NaN, 2])).toMatchObject({ low: -2, high: 2 });
  });

  test("of nothing are none", () => {
    for (const kind of ["log", "signed", "count", "linear", "fraction", "cosine"] as const) {
      expect(fitScale(kind, [])).toBeNull();
      expect(fitScale(kind, [Number.NaN, Number.POSITIVE_INFINITY])).toBeNull();
    }
    expect(fitScale("log", [-1])).toBeNull();
  });

  test("of nothing but zeros, which have no logarithm, begin at 0", () => {
    expect(fitScale("log", [0, 0])).toMatchObject({ kind: "linear", low: 0, high: 1 });
  });

  test("of a cosine end at 1, and begin where most of it is", () => {
    const nearly = Array.from({ length: 101 }, (_, i) => 0.9 + i / 1000);
    const scale = fitScale("cosine", nearly) as ColourScale;
    expect([scale.low, scale.high, scale.clippedLow]).toEqual([0.902, 1, true]);
    expect(scale.position(0.951)).toBeCloseTo(0.5, 12);
    expect(fitScale("cosine", [1, 1])).toMatchObject({ low: 1, high: 1 });
  });

  test("are the nearest ranks, whatever the order", () => {
    const random = seeded(5);
    const values = Array.from({ length: 999 }, () => random() * 100 + 1);
    const sorted = [...values].sort((a, b) => a - b);
    const scale = fitScale("log", values) as ColourScale;
    expect([scale.low, scale.high]).toEqual([sorted[Math.round(0.02 * 998)], sorted[Math.round(0.98 * 998)]]);
  });

  test("of one value put it in the middle", () => {
    expect((fitScale("log", [5]) as ColourScale).position(5)).toBe(0.5);
  });
});

test("ink has a contrast of 4.5 on every colour of every scale", () => {
  for (const scale of [new ColourScale("linear", 0, 1), new ColourScale("signed", -1, 1)]) {
    for (let i = 0; i <= 256; i++) {
      const colour = scale.rgb(scale.low + ((scale.high - scale.low) * i) / 256);
      expect(contrast(colour, inkOn(colour) === "#000000" ? [0, 0, 0] : [255, 255, 255])).toBeGreaterThanOrEqual(4.5);
    }
  }
  expect([inkOn([0, 0, 0]), inkOn([255, 255, 255])]).toEqual(["#ffffff", "#000000"]);
});

test("relative luminance is that of WCAG", () => {
  expect(relativeLuminance([255, 255, 255])).toBeCloseTo(1, 12);
  expect(relativeLuminance([0, 0, 0])).toBe(0);
  expect(relativeLuminance([255, 0, 0])).toBeCloseTo(0.2126, 12);
  expect(relativeLuminance([128, 128, 128])).toBeCloseTo(0.21586, 5);
});

test("the stops of a gradient go from the low to the high colour", () => {
  const scale = new ColourScale("signed", -4, 4);
  const stops = scale.stops();
  expect(stops).toHaveLength(9);
  expect([stops[0], stops[4], stops[8]]).toEqual([scale.css(-4), css(WHITE), scale.css(4)]);
});

test("the wire's scales; a magnitude where the name is unknown", () => {
  const kinds = ["log", "signed", "fraction", "count", "of the future", ""];
  expect(kinds.map((scale) => scaleKind({ name: "", scale }))).toEqual([
    ...["log", "signed", "fraction", "count", "log", "log"],
  ]);
  expect(scaleKind({ name: "cosine", scale: "signed" })).toBe("cosine");
});
