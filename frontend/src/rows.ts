/** Which rows layers × steps has, and in which order. */

import type { Cell } from "./charts/cells";
import type { Difference } from "./difference";
import type { ModelGraph } from "./graph";
import { ancestors } from "./graph";
import type { Series } from "./series";
import type { RowOrder } from "./url";

/**
 * The rows with those of a closed module as one, the module's own. A module without numbers of its own stays open: no
 * other number stands for what is in it.
 */
export function foldedRows(
  rows: readonly string[],
  series: Series,
  graph: ModelGraph | null,
  expanded: ReadonlySet<string>,
): string[] {
  const shown = (row: string) => {
    const around = ancestors(row, graph).reverse();
    return around.find((module) => !expanded.has(module) && series.row(module) !== undefined) ?? row;
  };
  return [...new Set(rows.map(shown))];
}

/**
 * The rows by their largest number within a span of steps, or how far it is from what it is compared with; what is not
 * finite is the largest, what is missing last.
 */
export function orderedRows(
  rows: readonly string[],
  series: Series,
  column: number,
  [first, last]: readonly [number, number],
  order: RowOrder,
  difference: Difference | null = null,
): string[] {
  const within = series.steps.flatMap((step, index) => (step >= first && step <= last ? [index] : []));
  const cellsOf = (row: string): ((step: number) => Cell) => {
    if (difference !== null) return (step) => difference.cell(step, row);
    const index = series.row(row) ?? -1;
    return (step) => ({ value: series.value(step, index, column), mark: series.mark(step, index, column) });
  };
  const size = difference === null ? (value: number) => value : Math.abs;
  const keys = new Map(rows.map((row) => [row, keyOf(cellsOf(row), within, size)]));
  const key = (row: string) => keys.get(row) ?? Number.NaN;
  const sign = order === "largest" ? -1 : 1;
  const missing = (row: string) => Number(Number.isNaN(key(row)));
  return [...rows].sort((a, b) => missing(a) - missing(b) || sign * compare(key(a), key(b)));
}

function compare(one: number, other: number): number {
  return one === other || Number.isNaN(one) || Number.isNaN(other) ? 0 : one - other;
}

function keyOf(cell: (step: number) => Cell, steps: readonly number[], size: (value: number) => number): number {
  let largest = Number.NaN;
  for (const step of steps) {
    const { value, mark } = cell(step);
    if (mark === "none") continue;
    if (!Number.isFinite(value)) return Number.POSITIVE_INFINITY;
    if (!(size(value) <= largest)) largest = size(value);
  }
  return largest;
}
