/** What a measure has more or less here than there: of each row at each step, and the scale that shows it. */

import type { Cell } from "./charts/cells";
import { type ColourScale, fitScale, type ScaleKind, scaleKind } from "./colour";
import type { Counterpart } from "./counterpart";
import { nodeOf } from "./graph";
import type { Mark, Series } from "./series";
import type { Store } from "./store";

/** The measure here less the measure there, of each row at each step; of magnitudes the ratio. */
export interface Difference {
  readonly kind: ScaleKind;
  readonly scale: ColourScale | null;
  /** At a step index of this side's series, in a row by its name. */
  cell(step: number, row: string): Cell;
  /** All of a row: the value at each step index of this side; NaN where there is none. */
  values(row: string): Float32Array;
  /** At any step of this side. */
  at(row: string, step: number): Cell;
}

/** A ratio beyond this many powers of two is as good as none: one of both is 0. */
export const ALL = 1000;

const NONE: Cell = { value: Number.NaN, mark: "none" };
const BROKEN: Cell = { value: Number.NaN, mark: "nan" };
/** Cells that the scale is fitted to. */
const ENOUGH = 50_000;

/** A row here and there: where it stands in both series, -1 for nowhere, and what it is there at the fixed step. */
interface Pair {
  readonly here: number;
  readonly there: number;
  readonly fixed: Cell | null;
}

/** The difference between two stores that measure the same; null where they do not. */
export function differenceOf(store: Store, other: Store, counterpart: Counterpart): Difference | null {
  const [here, there, measure] = [store.measured.value, other.measured.value, store.measure.value];
  if (here === null || there === null || measure === null || here.name !== there.name) return null;
  const [column, otherColumn] = [store.column.value, other.column.value];
  const fixed = store.chosen("compareStep");
  const wanted = differenceKind(scaleKind(measure.statistic, store.chosen("colours")));
  const [graph, otherGraph] = [store.graph.value.data, other.graph.value.data];
  const pairs = new Map<string, Pair>();
  /** A repeated call without numbers has those of its module. */
  const pairOf = (row: string): Pair => {
    const known = pairs.get(row);
    if (known !== undefined) return known;
    const name = counterpart.of(row);
    const index = find(there, name, nodeOf(otherGraph, name)?.module);
    const pair = {
      here: find(here, row, nodeOf(graph, row)?.module),
      there: index,
      fixed: fixed === null ? null : cellOf(there, index, otherColumn, there.reached(index, fixed)),
    };
    pairs.set(row, pair);
    return pair;
  };
  const between = (step: number, pair: Pair, otherStep: number, kind: ScaleKind): Cell => {
    const own = cellOf(here, pair.here, column, step);
    if (own.mark === "none") return NONE;
    const reached = pair.fixed ?? cellOf(there, pair.there, otherColumn, there.reached(pair.there, otherStep));
    return compared(kind, own, reached);
  };
  const cellAs = (kind: ScaleKind) => (step: number, row: string) =>
    between(step, pairOf(row), here.steps[step] ?? 0, kind);
  const sample = (as: ScaleKind) => sampled(store.layers.value, here.steps.length, cellAs(as));
  // To a step of zeros, as distances are measured from, every ratio is endless and tells nothing.
  const endless = (values: readonly number[]) => values.filter((value) => Math.abs(value) >= ALL).length;
  const ratios = wanted === "ratio" ? sample(wanted) : [];
  const kind = 2 * endless(ratios) > ratios.length ? "difference" : wanted;
  const cell = cellAs(kind);
  const tables = new Map<string, Float32Array>();
  return {
    kind,
    scale: scaleOf(kind, kind === "ratio" ? ratios : sample(kind)),
    cell,
    values: (row) => {
      const known = tables.get(row) ?? Float32Array.from(here.steps, (_, step) => cell(step, row).value);
      tables.set(row, known);
      return known;
    },
    at: (row, step) => {
      const pair = pairOf(row);
      return between(pair.here < 0 ? -1 : here.at(pair.here, step), pair, step, kind);
    },
  };
}

function find(series: Series, row: string | null, module: string | undefined): number {
  return (row === null ? undefined : series.row(row)) ?? (module === undefined ? undefined : series.row(module)) ?? -1;
}

function cellOf(series: Series, row: number, column: number, step: number): Cell {
  if (row < 0 || step < 0) return NONE;
  const value = series.value(step, row, column);
  const mark: Mark = Number.isFinite(value) && value !== 0 ? "" : series.mark(step, row, column);
  return mark === "none" ? NONE : { value, mark };
}

function compared(kind: ScaleKind, own: Cell, reached: Cell): Cell {
  if (reached.mark === "none") return NONE;
  if (own.mark === "nan" || reached.mark === "nan") return BROKEN;
  return { value: subtracted(kind, own.value, reached.value), mark: "" };
}

/** Magnitudes are compared by their ratio, everything else by what one has more than the other. */
function differenceKind(kind: ScaleKind): ScaleKind {
  return kind === "log" ? "ratio" : kind === "fraction" ? "points" : "difference";
}

function subtracted(kind: ScaleKind, value: number, other: number): number {
  if (kind !== "ratio") return value - other;
  if (value === other) return 0;
  return Math.min(ALL, Math.max(-ALL, Math.log2(value / other)));
}

/** Numbers of all layers, whichever rows are shown, so that folding and ordering change no colour; of many, some. */
function sampled(rows: readonly string[], steps: number, cell: (step: number, row: string) => Cell): number[] {
  const count = rows.length * steps;
  let every = Math.max(1, Math.ceil(count / ENOUGH));
  if (every > 1 && steps % every === 0) every++; // or of each row the same steps were looked at
  const found: number[] = [];
  for (let index = 0; index < count; index += every) {
    const { value } = cell(index % steps, rows[Math.floor(index / steps)] as string);
    if (!Number.isNaN(value)) found.push(value);
  }
  return found;
}

/** Not fitted to ratios to or from 0, beside which every other would be white. */
function scaleOf(kind: ScaleKind, values: readonly number[]): ColourScale | null {
  if (kind !== "ratio") return fitScale(kind, values);
  const within = values.filter((value) => Math.abs(value) < ALL);
  return fitScale(kind, within) ?? (values.length > 0 ? fitScale(kind, [1]) : null);
}
