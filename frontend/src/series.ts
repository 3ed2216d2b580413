/** A series as the views read it: all tags of one name joined, looked up by step, row and statistic. */

import { bisectCenter } from "d3-array";
import type { Numbers } from "./backend";
import type { ModelGraph } from "./graph";
import { ancestors } from "./graph";
import type { SeriesMetadata, Statistic } from "./wire";

/** "": a finite number. "nan": measured, but NaN or infinite. "none": nothing was measured. */
export type Mark = "" | "nan" | "none";

export class Series {
  private readonly rowOf: ReadonlyMap<string, number>;
  private readonly nanCount: number;

  /** `values[(step * rows + row) * statistics + statistic]`; `measured[step * rows + row]` is 0 where nothing was. */
  constructor(
    readonly name: string,
    readonly steps: readonly number[],
    readonly rows: readonly string[],
    readonly owners: readonly string[],
    readonly statistics: readonly Statistic[],
    readonly values: Float32Array,
    private readonly measured: Uint8Array,
  ) {
    this.rowOf = new Map(rows.map((row, index) => [row, index]));
    this.nanCount = statistics.findIndex((statistic) => statistic.name === "nan_count");
  }

  row(name: string): number | undefined {
    return this.rowOf.get(name);
  }

  value(step: number, row: number, statistic: number): number {
    return this.values[(step * this.rows.length + row) * this.statistics.length + statistic] ?? Number.NaN;
  }

  /**
   * Tell a number from a NaN that was measured and from nothing measured (a parameter without a gradient). Where the
   * NaNs are counted, an uncounted row was not measured; else a row without any number was not, if it has several.
   */
  mark(step: number, row: number, statistic: number): Mark {
    if (this.measured[step * this.rows.length + row] === 0) return "none";
    if (Number.isFinite(this.value(step, row, statistic))) return "";
    if (this.nanCount >= 0) return Number.isNaN(this.value(step, row, this.nanCount)) ? "none" : "nan";
    const silent = this.statistics.every((_, index) => Number.isNaN(this.value(step, row, index)));
    return silent && this.statistics.length > 1 ? "none" : "nan";
  }

  /** Indices of the rows that belong to a layer: its own first, then its parameters. */
  rowsOf(layer: string): number[] {
    const own = this.rowOf.get(layer);
    const others = this.owners.flatMap((owner, row) => (owner === layer && row !== own ? [row] : []));
    return own === undefined ? others : [own, ...others];
  }

  /** All values of one statistic in the rows given. */
  *column(statistic: number, rows: readonly number[]): Generator<number> {
    for (let step = 0; step < this.steps.length; step++) {
      for (const row of rows) yield this.value(step, row, statistic);
    }
  }
}

/** One tag of a series. */
export interface Part {
  readonly metadata: SeriesMetadata;
  readonly numbers: Numbers;
}

/** Saved step -> the tag that counts for it, steps ascending: of several that hold a step, the one that wrote last. */
export function holders<P extends { readonly numbers: Numbers }>(parts: readonly P[]): Map<number, P> {
  const found = new Map<number, { readonly part: P; readonly wallTime: number }>();
  for (const part of inOrder(parts)) {
    part.numbers.steps.forEach((step, index) => {
      const wallTime = part.numbers.wallTimes[index] ?? 0;
      if (wallTime >= (found.get(step)?.wallTime ?? Number.NEGATIVE_INFINITY)) found.set(step, { part, wallTime });
    });
  }
  return new Map([...found].sort(([a], [b]) => a - b).map(([step, { part }]) => [step, part]));
}

/** Tags from the one that began first; a listing has them in the order of their names, which says nothing. */
function inOrder<P extends { readonly numbers: Numbers }>(parts: readonly P[]): P[] {
  const began = ({ numbers }: P) => numbers.wallTimes[0] ?? 0;
  return [...parts].sort((one, other) => began(one) - began(other));
}

/**
 * Join the tags of one series: another begins when the set of layers changes or a tag grew large, so rows, statistics
 * and steps are united. Where tags overlap (a restart), a step is wholly that of the tag that wrote it last.
 */
export function joinSeries(parts: readonly Part[]): Series | null {
  const [first, ...others] = inOrder(parts);
  if (first === undefined) return null;
  const statistics = [...first.metadata.statistics];
  const owners = new Map<string, string>();
  for (const { metadata } of [first, ...others]) {
    for (const statistic of metadata.statistics) {
      if (!statistics.some(({ name }) => name === statistic.name)) statistics.push(statistic);
    }
    metadata.layers.forEach((row, index) => {
      if (!owners.has(row)) owners.set(row, metadata.owners[index] ?? row);
    });
  }
  const rows = [...owners.keys()];
  const rowOf = new Map(rows.map((row, index) => [row, index]));
  const holding = holders(parts);
  const steps = [...holding.keys()];
  const stepOf = new Map(steps.map((step, index) => [step, index]));
  const values = new Float32Array(steps.length * rows.length * statistics.length).fill(Number.NaN);
  const measured = new Uint8Array(steps.length * rows.length);
  for (const part of parts) {
    const { metadata, numbers } = part;
    const columns = statistics.map(({ name }) => metadata.statistics.findIndex((other) => other.name === name));
    numbers.steps.forEach((step, s) => {
      if (holding.get(step) !== part) return;
      metadata.layers.forEach((row, r) => {
        const cell = (stepOf.get(step) as number) * rows.length + (rowOf.get(row) as number);
        measured[cell] = 1;
        columns.forEach((column, index) => {
          if (column < 0) return;
          const value = numbers.values[(s * numbers.rows + r) * numbers.columns + column];
          values[cell * statistics.length + index] = value ?? Number.NaN;
        });
      });
    });
  }
  return new Series(first.metadata.name, steps, rows, [...owners.values()], statistics, values, measured);
}

/**
 * Rows of the picture layers × steps: layers only (no parameters), in the order of execution, containers left out
 * where what they contain has rows of its own.
 */
export function layerRows(series: Series, graph: ModelGraph | null): string[] {
  const layers = series.rows.filter((row, index) => series.owners[index] === row);
  const rows = layers.length ? layers : [...series.rows];
  const containers = new Set(rows.flatMap((row) => ancestors(row, graph)));
  const order = new Map([...(graph?.nodes.keys() ?? [])].map((id, index) => [id, index]));
  const place = (row: string) => order.get(row) ?? Number.POSITIVE_INFINITY;
  return rows
    .filter((row) => !containers.has(row))
    .map((row, index) => ({ row, index }))
    .sort((a, b) => (place(a.row) === place(b.row) ? a.index - b.index : place(a.row) - place(b.row)))
    .map(({ row }) => row);
}

/** The saved step that is nearest to `step`, the earlier of two equally near; null if none is saved. */
export function nearest(steps: readonly number[], step: number): number | null {
  return steps[nearestIndex(steps, step)] ?? null;
}

/** Index of the nearest saved step; -1 if none is saved. */
export function nearestIndex(steps: readonly number[], step: number): number {
  if (steps.length === 0) return -1;
  const index = bisectCenter(steps, step);
  const before = steps[index - 1];
  const here = steps[index] as number;
  return before !== undefined && Math.abs(step - before) <= Math.abs(here - step) ? index - 1 : index;
}
