/** Numbers that never were: what each made-up series measures, and how it goes over a run. */

import type { Numbers } from "../src/backend";
import type { Statistic } from "../src/wire";

export const STATISTICS: readonly Statistic[] = [
  { name: "norm", scale: "log", help: "Euclidean norm: the square root of the sum of squares." },
  { name: "mean", scale: "signed", help: "Arithmetic mean of all elements." },
  { name: "std", scale: "log", help: "Standard deviation of all elements." },
  { name: "zero_fraction", scale: "fraction", help: "Share of the elements that are exactly zero." },
  { name: "nan_count", scale: "count", help: "Number of elements that are not a number." },
];

const UNITS: readonly Statistic[] = [
  { name: "dead_fraction", scale: "fraction", help: "Share of the units that are zero in the whole batch." },
  { name: "saturated_fraction", scale: "fraction", help: "Share of the elements within 1 % of a bound." },
];

const REFERENCE: readonly Statistic[] = [
  { name: "trainable", scale: "fraction", help: "Share of the elements that require a gradient." },
  { name: "distance", scale: "log", help: "Norm of the difference from the reference, over its norm." },
  { name: "cosine", scale: "signed", help: "Cosine of the angle to the reference: 1 is the same direction." },
];

const OF_SERIES: Readonly<Record<string, readonly Statistic[]>> = {
  parameters: [...STATISTICS, ...REFERENCE],
  updates: [
    ...STATISTICS.slice(0, 1),
    { name: "update_ratio", scale: "log", help: "Norm of the update over the norm of what was updated." },
    { name: "learning_rate", scale: "log", help: "Learning rate of the optimizer; none if no optimizer holds it." },
  ],
  training_activations: [...STATISTICS, ...UNITS],
  linear_probes: [
    { name: "accuracy", scale: "fraction", help: "Share of the held-out samples whose class a linear probe tells." },
    { name: "majority", scale: "fraction", help: "Share of the held-out samples that are of the commonest class." },
  ],
};

/** The statistics of a series. */
export function statisticsOf(series: string): readonly Statistic[] {
  return OF_SERIES[series] ?? STATISTICS;
}

/** A stream of pseudo-random numbers from 0 to 1 (mulberry32), the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    const noise = noiseOf(state);
    state = (state + STRIDE) | 0;
    return noise;
  };
}

const STRIDE = 0x6d2b79f5;

/** The first number of the stream. */
function noiseOf(seed: number): number {
  const state = (seed + STRIDE) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

/** A number of a series. */
export interface Place {
  readonly series: string;
  readonly statistic: string;
  readonly row: number;
  /** Where its layer stands in the model, 0 to 1. */
  readonly depth: number;
  /** When in the run, 0 to 1. */
  readonly t: number;
  /** Its layer's gradients are NaN from the middle on. */
  readonly broken: boolean;
}

/** From the last layer to the first, one more trains with each tenth of the run. */
function trains(depth: number, t: number): boolean {
  return depth >= 0.9 - t;
}

export function statisticAt({ series, statistic, row, depth, t, broken }: Place): number {
  if (broken && t > 0.5) return statistic === "nan_count" ? 64 : Number.NaN;
  if (statistic === "nan_count") return 0;
  const noise = noiseOf(row * 7919 + Math.round(t * 5000));
  const size = 10 ** ((series === "gradients" ? -2.5 : -0.75) * depth - 1.5 * t + 0.5 * (noise - 0.5));
  const trained = trains(depth, t);
  const moved = trained ? Math.max(0, t - (0.9 - depth)) * (0.5 + noise / 10) : 0;
  switch (statistic) {
    case "norm":
      return size;
    case "mean":
      return (noise - 0.5) * size;
    case "std":
      return size / 8;
    case "zero_fraction":
      return Math.min(1, depth * t * 0.8 + noise * 0.1);
    case "dead_fraction":
      return Math.min(1, Math.max(0, depth * t - 0.3));
    case "saturated_fraction":
      return 0.02 * noise;
    case "accuracy":
      return 0.62 + 0.36 * (depth * t + (1 - t) * 0.3) - 0.02 * noise;
    case "majority":
      return 0.6;
    case "trainable":
      return trained ? 1 : 0;
    case "distance":
      return trained ? 0.02 + 0.3 * moved : 0;
    case "cosine":
      return 1 - 0.08 * moved;
    case "update_ratio":
      return trained ? 10 ** (-3 + 0.4 * (noise - 0.5)) : 0;
    case "learning_rate":
      return 1e-3 * Math.min(1, t * 20) * (1 - 0.9 * t);
    default:
      return Number.NaN;
  }
}

export function numbers(
  steps: readonly number[],
  rows: readonly number[],
  columns: number,
  value: (step: number, row: number, column: number) => number,
): Numbers {
  const values = new Float32Array(steps.length * rows.length * columns);
  let at = 0;
  steps.forEach((_, step) => {
    for (const row of rows) for (let column = 0; column < columns; column++) values[at++] = value(step, row, column);
  });
  return { steps, wallTimes: [...steps], rows: rows.length, columns, values };
}

/** The numbers of later steps than `after`. */
export function later(all: Numbers, after: number | undefined): Numbers {
  const first = after === undefined ? 0 : all.steps.findIndex((step) => step > after);
  const from = first < 0 ? all.steps.length : first;
  const { rows, columns } = all;
  return {
    ...{ rows, columns, steps: all.steps.slice(from), wallTimes: all.wallTimes.slice(from) },
    values: all.values.subarray(from * rows * columns),
  };
}

/** Steps that are ever further apart, about `count` of them up to `last`. */
export function logSpaced(last: number, count: number): number[] {
  const steps: number[] = [0];
  const ratio = (last / count) ** (1 / count) * (1 + 2 / count);
  for (let step = 1; step < last; step = Math.max(step + 1, Math.round(step * ratio))) steps.push(step);
  return [...steps, last];
}
