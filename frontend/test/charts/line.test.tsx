import { render } from "@testing-library/preact";
import { describe, expect, test } from "vitest";
import { stepScale } from "../../src/charts/columns";
import { curveKind, Line, type Points, smoothed, thinned, valueScale } from "../../src/charts/line";

const nan = Number.NaN;

describe("the scale of values", () => {
  test("is filled from the least to the greatest, upwards, whatever is not finite", () => {
    const scale = valueScale([3, nan, -1, 1 / 0], "signed", 108, 4);
    expect([scale.low, scale.high]).toEqual([-1, 3]);
    expect([scale.y(-1), scale.y(1), scale.y(3)]).toEqual([104, 54, 4]);
  });

  test("log: equal ratios are equal heights, and what is not positive lies at the foot", () => {
    const scale = valueScale([1, 100, 0, -5], "log", 108, 4);
    expect([scale.low, scale.high]).toEqual([1, 100]);
    expect([scale.y(1), scale.y(10), scale.y(100)]).toEqual([104, expect.closeTo(54, 9), 4]);
    expect([scale.y(0), scale.y(-5)]).toEqual([104, 104]);
  });

  test("fractions span 0 to 1, counts begin at 0", () => {
    expect(valueScale([0.4], "fraction", 100)).toMatchObject({ low: 0, high: 1 });
    expect(valueScale([3, 8], "count", 100)).toMatchObject({ low: 0, high: 8 });
  });

  test.each(["log", "linear", "count", "signed", "fraction"] as const)("%s of a constant has a height", (kind) => {
    for (const constant of [1, 0.25]) {
      const y = valueScale([constant, constant], kind, 100).y(constant);
      expect(y).toBeGreaterThanOrEqual(4);
      expect(y).toBeLessThanOrEqual(96);
    }
  });

  test.each([[[]], [[nan]], [[0, 0]], [[-1, -2]]])("log of %j has finite heights", (values) => {
    const scale = valueScale(values, "log", 100);
    for (const value of [-1, 0, 0.5, 1, 3]) expect(scale.y(value)).not.toBeNaN();
    expect(Number.isFinite(scale.y(-1))).toBe(true);
  });
});

describe("smoothing", () => {
  test("is the moving average without the bias of its start", () => {
    const values = [4, 2, 6];
    const weight = 0.8;
    const slow = values.map((_, n) => {
      const weights = values.slice(0, n + 1).map((__, i) => weight ** (n - i));
      const sum = weights.reduce((total, w, i) => total + w * (values[i] as number), 0);
      return sum / weights.reduce((total, w) => total + w, 0);
    });
    Array.from(smoothed(values, weight)).forEach((value, i) => {
      expect(value).toBeCloseTo(slow[i] as number, 12);
    });
  });

  test("leaves what is not finite where it is, and goes on after it", () => {
    const all = Array.from(smoothed([1, nan, 1 / 0, 1], 0.8));
    expect(all.slice(1, 3)).toEqual([nan, 1 / 0]);
    expect(all[3]).toBeCloseTo(1, 12);
  });
});

describe("thinning", () => {
  const scale = stepScale([0, 9999], 100);
  const many = (value: (index: number) => number): Points => ({
    steps: Array.from({ length: 10000 }, (_, i) => i),
    values: Array.from({ length: 10000 }, (_, i) => value(i)),
  });

  test("leaves a short curve as it is", () => {
    expect(thinned({ steps: [0, 9999], values: [1, nan] }, scale)).toEqual([
      [0, 1],
      [100, nan],
    ]);
  });

  test("keeps the least and the greatest of every pixel, and every kind of break", () => {
    const points = many((i) => (i === 5432 ? 1e9 : i === 777 ? -1e9 : i === 8888 ? nan : Math.sin(i)));
    const kept = thinned(points, scale);
    expect(kept.length).toBeLessThanOrEqual(4 * 101);
    const values = kept.map(([, value]) => value);
    expect(values).toContain(1e9);
    expect(values).toContain(-1e9);
    expect(values.filter(Number.isNaN)).toHaveLength(1);
    kept.slice(1).forEach(([x], index) => {
      expect(x).toBeGreaterThanOrEqual((kept[index] as [number, number])[0]);
    });
  });

  test("keeps a spike in a pixel that begins with a NaN", () => {
    const first = Array.from({ length: 10000 }, (_, i) => i).find((i) => scale.x(i) >= 50) as number;
    const points = many((i) => (i === first ? nan : i === first + 20 ? 70 : i === first + 30 ? -70 : 1));
    const values = thinned(points, scale).map(([, value]) => value);
    expect(values).toContain(70);
    expect(values).toContain(-70);
    expect(values.some(Number.isNaN)).toBe(true);
  });
});

describe("a line", () => {
  const x = stepScale([0, 100], 100);
  const draw = (values: number[], kind: "linear" | "log" = "linear") =>
    render(
      <Line
        points={{ steps: values.map((_, i) => i * 50), values }}
        kind={kind}
        x={x}
        height={48}
        step={25}
        label="norm over steps"
      />,
    ).container;
  const curve = (container: Element) => container.querySelector(".curve")?.getAttribute("d");

  test("goes through its points, with a dot on each and a rule at the step", () => {
    const container = draw([0, 4, 2]);
    expect(curve(container)).toBe("M0,44L50,4L100,24");
    const dots = [...container.querySelectorAll("circle")].map((dot) => [
      Number(dot.getAttribute("cx")),
      Number(dot.getAttribute("cy")),
    ]);
    expect(dots).toEqual([
      [0, 44],
      [50, 4],
      [100, 24],
    ]);
    const rule = container.querySelector(".rule");
    expect([rule?.getAttribute("x1"), rule?.getAttribute("x2")]).toEqual(["25", "25"]);
    expect(container.querySelector("[role=img]")?.getAttribute("aria-label")).toBe("norm over steps");
  });

  test("is broken at a NaN, which is a cross at the foot", () => {
    const container = draw([1, nan, 2]);
    expect(curve(container)).toBe("M0,44ZM100,4Z");
    expect([...container.querySelectorAll(".broken")].map((cross) => cross.getAttribute("d"))).toEqual([
      "M47,40l6,6m0,-6l-6,6",
    ]);
    expect(container.querySelector(".broken title")?.textContent).toBe("not a finite number");
  });

  test("of nothing is empty", () => {
    const container = draw([]);
    expect(curve(container)).toBe("");
    expect(container.querySelectorAll("circle, .broken")).toHaveLength(0);
  });
});

test("a curve is drawn by orders of magnitude where a needle would press it flat", () => {
  expect(curveKind([2.3, 2.1, 3.5e22, 2, 1.9])).toBe("log");
  expect(curveKind([2.3, 2.1, Number.NaN, 1, 0.1])).toBe("linear");
  expect(curveKind([2.3, -1, 1e9])).toBe("linear"); // there is no logarithm of it
  expect(curveKind([])).toBe("linear");
});
