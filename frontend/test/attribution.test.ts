import { describe, expect, test } from "vitest";
import { attributionScale, effect, hue, share, tint, tints } from "../src/attribution";
import { ColourScale, type Rgb, relativeLuminance } from "../src/colour";

const signed = new ColourScale("signed", -2, 2);
const magnitudes = new ColourScale("linear", 0, 4);

test("a value matters by its distance from zero", () => {
  expect([-2, -1, 0, 1, 9].map((value) => share(signed, value))).toEqual([1, 0.5, 0, 0.5, 1]);
  expect([0, 1, 4].map((value) => share(magnitudes, value))).toEqual([0, 0.25, 1]);
});

test("it supports or opposes, where there is a sign", () => {
  expect([1, -1, 0, Number.NaN].map((value) => effect(signed, value))).toEqual(["supports", "opposes", "", ""]);
  expect(effect(magnitudes, 1)).toBe("");
});

describe("tints", () => {
  test("are of one colour for each sign, from nothing to most of the ground", () => {
    expect(hue(signed, 0.1)).toEqual(hue(signed, 2));
    expect(hue(signed, -0.1)).not.toEqual(hue(signed, 0.1));
    expect(tint(signed, 2).slice(0, 7)).toBe(tint(signed, 1).slice(0, 7));
    expect([0, 1, 2].map((value) => tint(signed, value, 1).slice(7))).toEqual(["00", "80", "ff"]);
    expect(tint(signed, 2).slice(7)).toBe("99"); // 0.6
    expect(tints(signed)).toHaveLength(9);
    expect(tints(signed)[4]?.slice(7)).toBe("00");
  });

  const LIGHT = { surface: [255, 255, 255], ink: [29, 33, 39] } as const; // tokens.css
  const DARK = { surface: [35, 39, 46], ink: [233, 236, 240] } as const;
  test.each([
    ["light", LIGHT, signed, 2],
    ["light", LIGHT, signed, -2],
    ["light", LIGHT, magnitudes, 4],
    ["dark", DARK, signed, 2],
    ["dark", DARK, signed, -2],
    ["dark", DARK, magnitudes, 4],
  ] as const)("leave the ink of %s text readable (WCAG AA)", (_, { surface, ink }, scale, value) => {
    const colour = hue(scale, value);
    const opacity = Number.parseInt(tint(scale, value).slice(7), 16) / 255;
    const ground = colour.map((channel, at) => opacity * channel + (1 - opacity) * (surface[at] ?? 0));
    const [one, other] = [relativeLuminance(ink), relativeLuminance(ground as unknown as Rgb)];
    expect((Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05)).toBeGreaterThan(4.5);
  });
});

describe("the scale of an attribution", () => {
  const values = Float64Array.from({ length: 100 }, (_, at) => (at === 7 ? -50 : at / 100));
  const limits = (scale: ColourScale | null) => [scale?.kind, scale?.low, scale?.high, scale?.clippedHigh];

  test("leaves a few outliers beyond it, unless it must be whole", () => {
    expect(limits(attributionScale(values, true, false))).toEqual(["signed", -0.98, 0.98, true]);
    expect(limits(attributionScale(values, true, true))).toEqual(["signed", -50, 50, false]);
    expect(limits(attributionScale(Float64Array.of(0.5, 3, Number.NaN), false, true))).toEqual(["linear", 0, 3, false]);
  });

  test("of nothing finite is none", () => {
    expect(attributionScale(Float64Array.of(Number.NaN, 1 / 0), true, true)).toBeNull();
  });
});
