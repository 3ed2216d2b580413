/** Where the steps of a chart lie: the geometry that every chart over steps shares, so that they line up. */

import { extents } from "../extents";

/** How steps are spaced: evenly, or by their order of magnitude, as long runs are often recorded. */
export type Spacing = "linear" | "log";

/** Maps steps to pixels. */
export interface StepScale {
  readonly first: number;
  readonly last: number;
  readonly width: number;
  readonly spacing: Spacing;
  x(step: number): number;
  step(x: number): number;
}

/** The scale on which `span` fills `width` pixels but for `inset` at each end. Negative steps are spaced evenly. */
export function stepScale(
  span: readonly [number, number],
  width: number,
  inset = 0,
  wanted: Spacing = "linear",
): StepScale {
  const [first, last] = span;
  const spacing = first < 0 ? "linear" : wanted;
  const place = spacing === "log" ? (step: number) => Math.log1p(Math.max(0, step)) : (step: number) => step;
  const back = spacing === "log" ? Math.expm1 : (at: number) => at;
  const inner = Math.max(1, width - 2 * inset);
  const range = place(last) - place(first);
  return {
    first,
    last,
    width,
    spacing,
    x: (step) => (range > 0 ? inset + ((place(step) - place(first)) / range) * inner : width / 2),
    step: (x) => (range > 0 ? back(place(first) + ((x - inset) / inner) * range) : first),
  };
}

const ALONE_PX = 8;

/** Neighbouring saved steps that are drawn as one column of whole pixels. */
export interface Column {
  readonly x0: number;
  readonly x1: number;
  /** Indices of the first and the last of its steps. */
  readonly first: number;
  readonly last: number;
}

/**
 * Columns of a heat map: each saved step reaches half way to its neighbours, but not through a long pause, which stays
 * blank (see extents.ts). Steps closer than one pixel share a column.
 */
export function stepColumns(steps: readonly number[], scale: StepScale): Column[] {
  const reach = extents(steps);
  const columns: Column[] = [];
  steps.forEach((_, index) => {
    const [from, to] = reach[index] as [number, number];
    if (to < scale.first || from > scale.last) return; // beyond what is shown
    // A step that stands alone has no neighbour to say how far it reaches; it gets a few pixels, or all there is.
    const alone = steps.length > 1 ? 0 : scale.last > scale.first ? ALONE_PX : scale.width;
    const x0 = Math.max(0, Math.round(scale.x(from) - alone));
    const x1 = Math.min(scale.width, Math.round(scale.x(to) + alone));
    const before = columns.at(-1);
    if (before !== undefined && (x1 <= before.x1 || x1 <= x0)) {
      columns[columns.length - 1] = { ...before, last: index };
    } else {
      columns.push({ x0: Math.max(x0, before?.x1 ?? 0), x1: Math.max(x1, x0 + 1), first: index, last: index });
    }
  });
  return columns;
}

/** Whole, readable steps for the ticks of an axis, about `count` of them. */
export function stepTicks(scale: StepScale, count: number): number[] {
  const range = scale.last - scale.first;
  if (range <= 0) return [scale.first];
  if (scale.spacing === "log") return powerTicks(scale, count);
  const raw = Math.max(1, range / Math.max(1, count));
  const power = 10 ** Math.floor(Math.log10(raw));
  const size = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw) ?? raw);
  const ticks: number[] = [];
  for (let tick = Math.ceil(scale.first / size) * size; tick <= scale.last; tick += size) ticks.push(tick);
  return ticks;
}

/** 0 and powers of ten, with their fives and twos where there is room; the ends of a short span else. */
function powerTicks(scale: StepScale, count: number): number[] {
  const powers = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);
  const of = (factors: readonly number[]) =>
    [0, ...powers.flatMap((power) => factors.map((factor) => factor * power))].filter(
      (tick) => tick >= scale.first && tick <= scale.last,
    );
  const fitting = [[1, 2, 5], [1, 3], [1]].map(of).find((ticks) => ticks.length <= Math.max(2, count));
  const ticks = fitting ?? thin(of([1]), count);
  return ticks.length > 1 ? ticks : [scale.first, scale.last];
}

function thin(ticks: readonly number[], count: number): number[] {
  const each = Math.ceil(ticks.length / Math.max(2, count));
  return ticks.filter((_, index) => (ticks.length - 1 - index) % each === 0);
}
