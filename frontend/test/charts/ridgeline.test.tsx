import { fireEvent, render } from "@testing-library/preact";
import { expect, test, vi } from "vitest";
import { Ridgeline } from "../../src/charts/ridgeline";

const EDGES = [-1, 0, 1, 2];

/** At each step all of the elements lie in one bin, which moves to the right. */
function moving(count: number): { steps: number[]; counts: Float32Array } {
  const steps = Array.from({ length: count }, (_, index) => index * 10);
  const counts = new Float32Array(count * 3);
  steps.forEach((_, index) => {
    counts[index * 3 + Math.min(2, Math.floor((3 * index) / count))] = 5;
  });
  return { steps, counts };
}

function drawn(count: number, step: number, span: readonly [number, number] = [0, 10_000]) {
  const onStep = vi.fn();
  const { steps, counts } = moving(count);
  const props = { steps, counts, edges: EDGES, span, step, width: 400, height: 240, label: "ridges", onStep };
  const { container } = render(<Ridgeline {...props} />);
  const ridges = [...container.querySelectorAll(".ridge")];
  const titles = ridges.map((ridge) => ridge.querySelector("title")?.textContent);
  return { container, ridges, titles, onStep };
}

test("each step is a ridge, the earliest at the back, the current one lifted out", () => {
  const { ridges, titles } = drawn(3, 12);
  expect(titles).toEqual(["step 0", "step 10", "step 20"]);
  expect(ridges.map((ridge) => ridge.classList.contains("current"))).toEqual([false, true, false]);
});

test("a ridge is highest where the elements are", () => {
  const { ridges } = drawn(3, 0);
  const peaks = ridges.map((ridge) => {
    const path = ridge.querySelector(".ridge-line")?.getAttribute("d") ?? "";
    const [first, ...rest] = path.replace("M", "").split("C");
    const points = [first, ...rest.map((curve) => curve.split(",").slice(-2).join(","))].map((point) =>
      (point ?? "").split(",").map(Number),
    );
    return points.reduce((best, point) => ((point[1] ?? 0) < (best[1] ?? 0) ? point : best))[0];
  });
  expect(peaks).toEqual([...peaks].sort((a, b) => (a ?? 0) - (b ?? 0)));
  expect(new Set(peaks).size).toBe(3);
});

test("of many steps a few are drawn, and the current one among them; only those that are shown", () => {
  expect(drawn(1000, 4321).titles).toHaveLength(25);
  expect(drawn(1000, 4321).titles).toContain("step 4320");
  const { titles } = drawn(100, 500, [450, 520]);
  expect(titles).toEqual([450, 460, 470, 480, 490, 500, 510, 520].map((step) => `step ${step}`));
});

test("a click goes to the step", () => {
  const { ridges, onStep } = drawn(3, 0);
  fireEvent.click(ridges[2] as Element);
  expect(onStep).toHaveBeenCalledWith(20);
});
