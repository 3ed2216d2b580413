/** Where the steps of a chart lie: the geometry that every chart over steps shares, so that they line up. */

import { median } from "d3-array";

/** Maps steps to pixels, linearly. */
export interface StepScale {
  readonly first: number;
  readonly last: number;
  readonly width: number;
  x(step: number): number;
  step(x: number): number;
}

/** The scale on which `span` fills `width` pixels but for `inset` at each end. */
export function stepScale(span: readonly [number, number], width: number, inset = 0): StepScale {
  const [first, last] = span;
  const inner = Math.max(1, width - 2 * inset);
  const range = last - first;
  return {
    first,
    last,
    width,
    x: (step) => (range > 0 ? inset + ((step - first) / range) * inner : width / 2),
    step: (x) => (range > 0 ? first + ((x - inset) / inner) * range : first),
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
 * Columns of a heat map: each saved step reaches half way to its neighbours, but no further than the median distance,
 * so that a long pause stays blank. Steps closer than one pixel share a column.
 */
export function stepColumns(steps: readonly number[], scale: StepScale): Column[] {
  const gaps = steps.slice(1).map((step, index) => step - (steps[index] as number));
  const reach = median(gaps) ?? Number.POSITIVE_INFINITY;
  const columns: Column[] = [];
  steps.forEach((step, index) => {
    const left = Math.min((gaps[index - 1] ?? gaps[index] ?? 0) / 2, reach);
    const right = Math.min((gaps[index] ?? gaps[index - 1] ?? 0) / 2, reach);
    // A step that stands alone has no neighbour to say how far it reaches; it gets a few pixels, or all there is.
    const alone = steps.length > 1 ? 0 : scale.last > scale.first ? ALONE_PX : scale.width;
    const x0 = Math.max(0, Math.round(scale.x(step - left) - alone));
    const x1 = Math.min(scale.width, Math.round(scale.x(step + right) + alone));
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
  const raw = Math.max(1, range / Math.max(1, count));
  const power = 10 ** Math.floor(Math.log10(raw));
  const size = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw) ?? raw);
  const ticks: number[] = [];
  for (let tick = Math.ceil(scale.first / size) * size; tick <= scale.last; tick += size) ticks.push(tick);
  return ticks;
}
