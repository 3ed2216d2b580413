/** Each chart with the data that is hard for it; the same cases stand in the gallery and in the tests. */

import type { JSX } from "preact";
import { ChannelStrips } from "../src/charts/channel_strips";
import { stepScale } from "../src/charts/columns";
import { Depth } from "../src/charts/depth";
import { byMagnitude, FeatureBars } from "../src/charts/feature_bars";
import { Heat } from "../src/charts/heat";
import { Histogram } from "../src/charts/histogram";
import { Legend } from "../src/charts/legend";
import { Line } from "../src/charts/line";
import { AttributionMap, type SampleMap } from "../src/charts/map";
import { StepCells } from "../src/charts/step_cells";
import { Strip } from "../src/charts/strip";
import { Tokens } from "../src/charts/tokens";
import { ColourScale, fitScale } from "../src/colour";
import { seeded } from "./mock_numbers";
import { COLUMNS, HOSTILE_TOKENS, TEXTS } from "./mock_samples";

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

const scattered = (count: number, broken = -1, low = -1) => {
  const number = seeded(count);
  return Float32Array.from({ length: count }, (_, at) => (at === broken ? Number.NaN : low + (1 - low) * number()));
};
const features = (low: number, broken = -1) =>
  [...scattered(COLUMNS.length, broken, low)].map((attribution, at) => ({
    ...{ name: COLUMNS[at] ?? "", attribution, value: low < 0 ? at * 1.37 : null },
  }));
const channels = (count: number, curves: boolean) =>
  ["acceleration x", "", "<b>gyroscope</b>"].map((name, at) => ({
    name,
    values: curves ? Float32Array.from({ length: count }, (_, time) => Math.sin(time / (9 + at))) : null,
    attributions: scattered(count, at === 0 && count > 40 ? 40 : -1, curves ? -1 : 0),
  }));

function depth(name: string, layers: readonly string[], broken = -1): ChartCase {
  const values = layers.map((_, at) => (at === broken ? Number.NaN : 1 - 0.35 * 0.8 ** at));
  const earlier = { label: "step 0", values: layers.map((_, at) => 0.6 + (0.2 * at) / layers.length) };
  const chart = {
    ...{ layers, values, earlier, reference: { label: "commonest class", values: layers.map(() => 0.59) } },
    ...{ low: 0.5, selected: layers[1] ?? null, width: 340, height: 110, label: name },
  };
  return { name: `depth: ${name}`, element: () => <Depth {...chart} onSelect={() => undefined} /> };
}

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
  depth("hostile names, one layer without a number", COLUMNS, 4),
  depth("one layer", ["fc"]),
  depth(
    "many layers",
    Array.from({ length: 120 }, (_, at) => `blocks.${at}`),
  ),
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
  {
    name: "tokens: signed, with padding and one that is not a number",
    element: () => <Tokens tokens={TEXTS[0] ?? []} values={scattered(160, 4)} scale={signed} label="tokens" />,
  },
  {
    name: "tokens: magnitudes",
    element: () => <Tokens tokens={TEXTS[0] ?? []} values={scattered(160, 4, 0)} scale={magnitudes} label="tokens" />,
  },
  {
    name: "tokens: hostile",
    element: () => <Tokens tokens={HOSTILE_TOKENS} values={scattered(7)} scale={signed} label="tokens" />,
  },
  {
    name: "tokens: from right to left",
    element: () => <Tokens tokens={TEXTS[3] ?? []} values={scattered(160)} scale={signed} label="tokens" />,
  },
  {
    name: "tokens: a long text",
    element: () => <Tokens tokens={TEXTS[1] ?? []} values={scattered(160)} scale={signed} label="tokens" />,
  },
  { name: "tokens: none", element: () => <Tokens tokens={["", ""]} values={[0, 0]} scale={signed} label="tokens" /> },
  {
    name: "feature bars: signed, one not a number, hostile names",
    element: () => <FeatureBars features={byMagnitude(features(-1, 5))} scale={signed} label="features" />,
  },
  {
    name: "feature bars: magnitudes, values unknown",
    element: () => <FeatureBars features={features(0)} scale={magnitudes} label="features" />,
  },
  {
    name: "channel strips: curves over what they contribute",
    element: () => <ChannelStrips channels={channels(120, true)} scale={signed} width={340} label="time" />,
  },
  {
    name: "channel strips: more moments than pixels, magnitudes, no curves",
    element: () => <ChannelStrips channels={channels(2000, false)} scale={magnitudes} width={340} label="time" />,
  },
  {
    name: "channel strips: one moment",
    element: () => <ChannelStrips channels={channels(1, true)} scale={signed} width={340} label="time" />,
  },
  {
    name: "step cells: names × steps, one missing, one not a number",
    element: () => (
      <StepCells
        names={COLUMNS.slice(-6)}
        steps={[0, 200, 12_000]}
        value={(row, step) => (row + step === 3 ? null : row === step ? Number.NaN : (row - 2.4) / (step + 2))}
        scale={signed}
        current={200}
        label="features"
        onStep={() => undefined}
      />
    ),
  },
  { name: "legend: signed", element: () => <Legend scale={signed} title="attribution" attribution /> },
  { name: "legend: magnitudes", element: () => <Legend scale={fitScale("log", noisy)} title="gradients · norm" /> },
  { name: "legend: no values", element: () => <Legend scale={null} title="gradients · norm" /> },
];
