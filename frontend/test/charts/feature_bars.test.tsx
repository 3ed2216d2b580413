import { render } from "@testing-library/preact";
import { describe, expect, test } from "vitest";
import { byMagnitude, extent, type Feature, FeatureBars } from "../../src/charts/feature_bars";
import { ColourScale } from "../../src/colour";

const signed = new ColourScale("signed", -2, 2);
const feature = (name: string, attribution: number, value: number | null = null): Feature => ({
  name,
  value,
  attribution,
});

test("what matters most comes first, and before it what is not a number", () => {
  const features = [1, -3, Number.NaN, 0, 3, 2].map((attribution, at) => feature(String(at), attribution));
  expect(byMagnitude(features).map(({ name }) => name)).toEqual(["2", "1", "4", "5", "0", "3"]);
});

test("bars reach from zero to their value", () => {
  expect(extent(signed, 1)).toEqual({ zero: 50, from: 50, width: 25 });
  expect(extent(signed, -2)).toEqual({ zero: 50, from: 0, width: 50 });
  expect(extent(new ColourScale("linear", 0, 4), 1)).toEqual({ zero: 0, from: 0, width: 25 });
});

describe("feature bars", () => {
  const draw = (features: Feature[]) => {
    const { container } = render(<FeatureBars features={features} scale={signed} label="features" />);
    return { container, rows: [...container.querySelectorAll("tr")] };
  };

  test("have names, what the sample has, and what it contributes", () => {
    const { container, rows } = draw([feature("age", 1.5, 63), feature("mass", -0.25, 0.0004), feature("size", 0)]);
    expect(rows.map((row) => [...row.cells].map((cell) => cell.textContent))).toEqual([
      ["age", "63", "", "+1.5"],
      ["mass", "4e-4", "", "-0.25"],
      ["size", "", "", "0"],
    ]);
    expect(rows.map((row) => row.title)).toEqual(["age: 1.5 supports", "mass: -0.25 opposes", "size: 0"]);
    const bars = [...container.querySelectorAll<HTMLElement>(".bar-length")];
    expect(bars.map(({ style }) => [style.left, style.width])).toEqual([
      ["50%", "37.5%"],
      ["43.75%", "6.25%"],
      ["50%", "0%"],
    ]);
  });

  test("cross what is not a number", () => {
    const { container, rows } = draw([feature("age", Number.NaN)]);
    expect(container.querySelector(".bar-length")).toBeNull();
    expect(container.querySelector(".bar-broken")?.textContent).toBe("×");
    expect(rows[0]?.cells[3]?.textContent).toBe("NaN");
  });

  test("names are text, whatever they say", () => {
    const { container, rows } = draw([feature("<img src=x onerror=alert(1)>", 1), feature("\u202Eega", 1)]);
    expect(container.querySelector("img")).toBeNull();
    expect(rows.map((row) => row.cells[0]?.textContent)).toEqual([
      "<img src=x onerror=alert(1)>",
      "\u2039U+202E\u203Aega",
    ]);
  });
});
