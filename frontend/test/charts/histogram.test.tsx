import { render } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { stepScale } from "../../src/charts/columns";
import { binRows, Histogram, shares } from "../../src/charts/histogram";
import { type Drawn, recordCanvases } from "../canvas";

let drawn: Drawn;

beforeEach(() => {
  drawn = recordCanvases();
});

describe("the rows of bins", () => {
  test("go from the highest down, over everything that was filled at any step", () => {
    expect(binRows([0, 1, 0, 0, /* the next step */ 0, 0, 2, 0], 4)).toEqual([2, 1]);
  });

  test("keep a short empty run and fold a long one into a gap", () => {
    expect(binRows([1, 0, 0, 0, 1], 5)).toEqual([4, 3, 2, 1, 0]);
    expect(binRows([1, 0, 0, 0, 0, 1], 6)).toEqual([5, null, 0]);
  });

  test("of nothing are none", () => {
    expect(binRows([0, 0, 0], 3)).toEqual([]);
    expect(binRows([Number.NaN, 0], 2)).toEqual([]);
  });
});

test("shares are of what was counted at the step; NaN where nothing was", () => {
  const counts = Float32Array.of(1, 3, 0, 0, 0, 0, 5, Number.NaN, 5);
  expect(Array.from(shares(counts, 3, 0))).toEqual([0.25, 0.75, 0]);
  expect(Array.from(shares(counts, 3, 1))).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  expect(Array.from(shares(counts, 3, 2))).toEqual([0.5, Number.NaN, 0.5]);
});

describe("the picture", () => {
  const edges = [null, -1, 0, 1, null];
  const counts = Float32Array.of(0, 30, 10, 0, /* the next step */ 5, 0, 0, 15);
  const histogram = (step: number, values = counts) =>
    render(
      <Histogram
        steps={[0, 100]}
        edges={edges}
        counts={values}
        x={stepScale([0, 100], 200, 8)}
        height={80}
        step={step}
        label="weights"
      />,
    ).container;
  const bars = (container: Element) =>
    [...container.querySelectorAll(".histogram-bars rect")].map((bar) => [
      bar.querySelector("title")?.textContent,
      Number(bar.getAttribute("width")),
      Number(bar.getAttribute("y")),
    ]);

  test("has a cell per filled bin and step, the fuller the more opaque, and nothing where nothing was", () => {
    histogram(0);
    expect(drawn.rects.map(({ x, y, height }) => [x < 100 ? 0 : 100, y, height])).toEqual([
      [100, 0, 20],
      [0, 20, 20],
      [0, 40, 20],
      [100, 60, 20],
    ]);
    const opacity = drawn.rects.map(({ fill }) => Number(/, (\d+)\)$/.exec(fill)?.[1] ?? 255));
    expect(opacity[0]).toBe(255); // 15 of 20, the greatest share of all
    expect(opacity[2]).toBe(255); // 30 of 40, the same
    expect(opacity[1]).toBe(opacity[3]); // a quarter each
    expect(opacity[1]).toBeLessThan(255);
    expect(opacity[1]).toBeGreaterThan(0);
  });

  test("has bars for the step that is shown, on one scale with all others", () => {
    const [full, third] = [84, 28];
    const near = (value: number) => expect.closeTo(value, 4);
    expect(bars(histogram(0))).toEqual([
      ["0 to 1: 25 %", near(third), 20],
      ["-1 to 0: 75 %", near(full), 40],
    ]);
    expect(bars(histogram(80))).toEqual([
      ["1 to ∞: 75 %", near(full), 0],
      ["-∞ to -1: 25 %", near(third), 60],
    ]);
  });

  test("names the edges and says what it is", () => {
    const container = histogram(0);
    const names = [...container.querySelectorAll(".histogram-axis text")].map((text) => text.textContent);
    expect(names).toContain("0");
    expect(names).toContain("∞");
    expect(container.querySelector("[role=img]")?.getAttribute("aria-label")).toBe("weights");
  });

  test("of nothing is empty and still stands", () => {
    const container = histogram(0, new Float32Array(8));
    expect(drawn.rects).toEqual([]);
    expect(bars(container)).toEqual([]);
    expect(container.innerHTML).not.toContain("NaN");
  });
});
