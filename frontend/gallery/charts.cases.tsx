/** Each chart with the data that is hard for it; the same cases stand in the gallery and in the tests. */

import type { JSX } from "preact";
import { stepScale } from "../src/charts/columns";
import { Heat } from "../src/charts/heat";
import { Histogram } from "../src/charts/histogram";
import { Legend } from "../src/charts/legend";
import { Line } from "../src/charts/line";
import { AttributionMap, type SampleMap } from "../src/charts/map";
import { Strip } from "../src/charts/strip";
import { ColourScale, fitScale } from "../src/colour";
import { seeded } from "./mock_numbers";

export interface ChartCase {
  readonly name: string;
  readonly element: () => JSX.Element;
}

const x = stepScale([0, 900], 300, 4);
const steps = Array.from({ length: 19 }, (_, i) => i * 50);
const random = seeded(3);
const noisy = steps.map((_, i) => 10 ** (-i / 8) * (0.5 + random()));
const signed = new ColourScale("signed", -1, 1, true, true);
const magnitudes = new ColourScale("linear", 0, 1);
const grid: SampleMap = { shape: [4, 4], values: Float32Array.from({ length: 16 }, (_, i) => (i - 7.5) / 7.5) };
const photo = {
  height: 16,
  width: 16,
  colours: 1 as const,
  values: Float32Array.from({ length: 256 }, (_, i) => ((i % 16) + Math.floor(i / 16)) / 30),
};

function line(name: string, values: number[], kind: "log" | "signed" | "fraction" = "log"): ChartCase {
  const points = { steps: steps.slice(0, values.length), values };
  return {
    name: `line: ${name}`,
    element: () => <Line points={points} kind={kind} x={x} height={60} step={400} label={name} />,
  };
}

function heat(name: string, rows: string[], value: (step: number, row: number) => number): ChartCase {
  const cell = (step: number, row: number) => {
    const number = value(step, row);
    return { value: number, mark: Number.isNaN(number) ? ("nan" as const) : ("" as const) };
  };
  const scale = fitScale("log", noisy) as ColourScale;
  return {
    name: `heat: ${name}`,
    element: () => (
      <Heat
        rows={rows}
        steps={steps}
        span={[0, 900]}
        cell={cell}
        scale={scale}
        measure="gradients · norm"
        step={400}
        selected={rows[1] ?? null}
        width={340}
        height={200}
        onSelect={() => undefined}
      />
    ),
  };
}

const bins = [Number.NEGATIVE_INFINITY, -1, -0.1, -0.01, 0, 0.01, 0.1, 1, Number.POSITIVE_INFINITY];
const counts = Float32Array.from({ length: steps.length * 8 }, (_, i) =>
  Math.max(0, 100 - 30 * Math.abs((i % 8) - 3.5)),
);

export const CHART_CASES: readonly ChartCase[] = [
  line("a curve over magnitudes", noisy),
  line(
    "signed",
    steps.map((step) => Math.sin(step / 100)),
    "signed",
  ),
  line("empty", []),
  line("one point", [0.4]),
  line(
    "constant",
    steps.map(() => 2),
  ),
  line(
    "with values that are no numbers",
    noisy.map((value, i) => (i === 6 ? Number.NaN : i === 12 ? 1 / 0 : value)),
  ),
  heat("three layers", ["conv1", "conv2", "fc"], (step, row) => (noisy[step] ?? 0) / (row + 1)),
  heat("not a number", ["conv1", "conv2"], (step, row) => (row === 1 && step > 9 ? Number.NaN : (noisy[step] ?? 0))),
  heat(
    "many layers",
    Array.from({ length: 120 }, (_, i) => `encoder.layer.${i}.attention.output`),
    (step, row) => (noisy[step] ?? 0) * 0.97 ** row,
  ),
  {
    name: "histogram: over time and at a step",
    element: () => (
      <Histogram steps={steps} edges={bins} counts={counts} x={x} height={120} step={400} label="distribution" />
    ),
  },
  {
    name: "histogram: empty",
    element: () => (
      <Histogram steps={[0]} edges={bins} counts={new Float32Array(8)} x={x} height={120} step={0} label="empty" />
    ),
  },
  {
    name: "map: signed, over a photograph",
    element: () => <AttributionMap map={grid} scale={signed} picture={photo} size={96} label="signed" />,
  },
  {
    name: "map: signed, alone",
    element: () => <AttributionMap map={grid} scale={signed} picture={null} size={96} label="signed, alone" />,
  },
  {
    name: "map: magnitudes, over a photograph",
    element: () => <AttributionMap map={grid} scale={magnitudes} picture={photo} size={96} label="magnitudes" />,
  },
  {
    name: "strip: signed features",
    element: () => <Strip values={grid.values} scale={signed} width={300} height={40} label="features" />,
  },
  {
    name: "strip: not a number among them",
    element: () => <Strip values={[0.5, Number.NaN, -0.2]} scale={signed} width={300} height={40} label="NaN" />,
  },
  { name: "legend: signed", element: () => <Legend scale={signed} title="attribution" attribution /> },
  { name: "legend: magnitudes", element: () => <Legend scale={fitScale("log", noisy)} title="gradients · norm" /> },
  { name: "legend: no values", element: () => <Legend scale={null} title="gradients · norm" /> },
];
