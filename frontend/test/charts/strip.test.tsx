import { render } from "@testing-library/preact";
import { describe, expect, test } from "vitest";
import { Strip } from "../../src/charts/strip";
import { ColourScale } from "../../src/colour";

const signed = new ColourScale("signed", -2, 2);

function strip(values: number[], scale = signed) {
  const { container } = render(<Strip values={values} scale={scale} width={100} height={42} label="features" />);
  const bars = [...container.querySelectorAll("rect")].map((bar) => ({
    x: Number(bar.getAttribute("x")),
    y: Number(bar.getAttribute("y")),
    height: Number(bar.getAttribute("height")),
    fill: bar.getAttribute("fill"),
    title: bar.textContent,
  }));
  return { container, bars };
}

describe("a strip", () => {
  test("has bars up and down from zero, in the colours of the scale", () => {
    expect(strip([2, -1, 0, 9]).bars).toEqual([
      { x: 0, y: 1, height: 20, fill: signed.css(2), title: "0: 2" },
      { x: 25, y: 21, height: 10, fill: signed.css(-1), title: "1: -1" },
      { x: 50, y: 21, height: 0.75, fill: signed.css(0), title: "2: 0" },
      { x: 75, y: 1, height: 20, fill: signed.css(9), title: "3: 9" },
    ]);
  });

  test("of magnitudes stands on its foot", () => {
    const [bar] = strip([0.5], new ColourScale("linear", 0, 1)).bars;
    expect(bar).toMatchObject({ y: 21, height: 20 });
  });

  test("crosses what is not finite", () => {
    const { container, bars } = strip([1, Number.NaN, 1 / 0, 1]);
    expect(bars.map(({ x }) => x)).toEqual([0, 75]);
    expect([...container.querySelectorAll(".broken")].map((cross) => cross.getAttribute("d"))).toEqual([
      "M35.5,19l4,4m0,-4l-4,4",
      "M60.5,19l4,4m0,-4l-4,4",
    ]);
  });

  test("of nothing is its axis; of many still shows each", () => {
    expect(strip([]).bars).toEqual([]);
    const { container, bars } = strip(Array.from({ length: 3000 }, () => 1));
    expect(bars).toHaveLength(3000);
    expect(container.querySelector("rect")?.getAttribute("width")).toBe("0.5");
    expect(container.querySelector("[role=img]")?.getAttribute("aria-label")).toBe("features");
  });
});
