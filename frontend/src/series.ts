/** A series as the views read it: all tags of one name joined (joining.ts), looked up by step, row and statistic. */

import { bisectCenter } from "d3-array";
import { extents } from "./extents";
import type { ModelGraph } from "./graph";
import { ancestors } from "./graph";
import type { Statistic } from "./wire";

/** "": a finite number. "nan": measured, but NaN or infinite. "frozen": nothing that trains. "none": not measured. */
export type Mark = "" | "nan" | "frozen" | "none";

/** Statistics that need more than the numbers themselves: NaN of them says that there was nothing to compare with. */
const CONDITIONAL = new Set([
  ...["dead_fraction", "saturated_fraction", "trainable", "distance", "cosine", "update_ratio", "learning_rate"],
]);
/** Of these, NaN never comes from the numbers that were measured. */
const GIVEN = new Set(["trainable", "learning_rate"]);

interface Reaches {
  readonly steps: readonly number[];
  readonly ends: readonly (readonly [from: number, to: number])[];
}

export class Series {
  private readonly rowOf: ReadonlyMap<string, number>;
  private readonly columnOf: ReadonlyMap<string, number>;
  private readonly all: readonly number[];
  private whole: readonly boolean[] | null = null;
  private readonly recordings: (readonly number[])[] = [];
  private readonly recordingOf: (readonly number[] | undefined)[] = [];
  private readonly reaches = new Map<readonly number[], Reaches>();

  /**
   * `values[(step * rows + row) * statistics + statistic]`; `written[step * rows + row]` is when, -Infinity where
   * nothing was. Both may be longer than that: a series that grows shares them with what it was before.
   */
  constructor(
    readonly name: string,
    readonly steps: readonly number[],
    readonly rows: readonly string[],
    readonly owners: readonly string[],
    readonly statistics: readonly Statistic[],
    readonly values: Float32Array,
    readonly written: Float64Array,
  ) {
    this.all = steps.map((_, index) => index);
    this.rowOf = new Map(rows.map((row, index) => [row, index]));
    this.columnOf = new Map(statistics.map(({ name: statistic }, index) => [statistic, index]));
  }

  row(name: string): number | undefined {
    return this.rowOf.get(name);
  }

  value(step: number, row: number, statistic: number): number {
    return this.values[(step * this.rows.length + row) * this.statistics.length + statistic] ?? Number.NaN;
  }

  /** Indices of the steps at which a row was recorded; the same list for rows that were recorded together. */
  recorded(row: number): readonly number[] {
    this.whole ??= this.wholeRows();
    if (this.whole[row]) return this.all;
    const known = this.recordingOf[row];
    if (known !== undefined) return known;
    const found = this.all.filter((step) => this.written[step * this.rows.length + row] !== Number.NEGATIVE_INFINITY);
    const alike = (other: readonly number[]) => other.length === found.length && other.every((s, i) => s === found[i]);
    const same = this.recordings.find(alike);
    if (same === undefined) this.recordings.push(found);
    this.recordingOf[row] = same ?? found;
    return same ?? found;
  }

  /** Which rows were recorded at every step, nearly always all of them. */
  private wholeRows(): boolean[] {
    const whole = this.rows.map(() => true);
    for (let step = 0; step < this.steps.length; step++) {
      const start = step * this.rows.length;
      for (let row = 0; row < whole.length; row++) {
        if (this.written[start + row] === Number.NEGATIVE_INFINITY) whole[row] = false;
      }
    }
    return whole;
  }

  /**
   * Index of the record that stands for `step` in a row: the nearest saved step of the series, or where the row was
   * not recorded then, its own record if that reaches so far; -1 if there is none.
   */
  at(row: number, step: number): number {
    const near = nearestIndex(this.steps, step);
    if (near < 0 || this.written[near * this.rows.length + row] !== Number.NEGATIVE_INFINITY) return near;
    return this.reached(row, step);
  }

  /** Index of the row's own record that reaches as far as `step`; -1 if none does, as beyond the last one. */
  reached(row: number, step: number): number {
    if (row < 0) return -1;
    const own = this.recorded(row);
    const { steps, ends } = this.reachesOf(own);
    const index = nearestIndex(steps, step);
    const extent = ends[index];
    return extent !== undefined && step >= extent[0] && step <= extent[1] ? (own[index] as number) : -1;
  }

  /** From where to where records reach; rows that were recorded together share it. */
  private reachesOf(own: readonly number[]): Reaches {
    const known = this.reaches.get(own);
    if (known !== undefined) return known;
    const steps = own.map((index) => this.steps[index] as number);
    const found = { steps, ends: extents(steps) };
    this.reaches.set(own, found);
    return found;
  }

  /**
   * Tell a number from a NaN that was measured and from nothing measured (a parameter without a gradient, a weight
   * without a reference). Where the NaNs are counted, an uncounted row was not measured; else a row without any number
   * was not, if it has several. What depends on more than the numbers is broken only where the numbers are.
   */
  mark(step: number, row: number, statistic: number): Mark {
    if (step < 0 || this.written[step * this.rows.length + row] === Number.NEGATIVE_INFINITY) return "none";
    const value = this.value(step, row, statistic);
    const name = this.statistics[statistic]?.name ?? "";
    if (name === "trainable" && value === 0) return "frozen";
    if (Number.isFinite(value)) return "";
    if (Number.isNaN(value) && GIVEN.has(name)) return "none";
    if (this.silent(step, row)) return "none";
    return Number.isNaN(value) && CONDITIONAL.has(name) && !this.broken(step, row) ? "none" : "nan";
  }

  /** Nothing was measured in a row that was written. */
  private silent(step: number, row: number): boolean {
    const counted = this.columnOf.get("nan_count");
    if (counted !== undefined) return Number.isNaN(this.value(step, row, counted));
    const measured = this.statistics.flatMap(({ name }, index) => (GIVEN.has(name) ? [] : [index]));
    return measured.length > 1 && measured.every((index) => Number.isNaN(this.value(step, row, index)));
  }

  /** What was measured in a row is not finite. */
  private broken(step: number, row: number): boolean {
    const of = (name: string) => this.value(step, row, this.columnOf.get(name) ?? this.statistics.length);
    if (this.columnOf.has("nan_count")) return of("nan_count") > 0 || of("inf_count") > 0;
    return this.columnOf.has("norm") && !Number.isFinite(of("norm"));
  }

  /** Indices of the rows that belong to a layer: its own first, then its parameters. */
  rowsOf(layer: string): number[] {
    return rowsOfLayer(this.rows, this.owners, layer);
  }

  /** One statistic of the rows given, row after row: `[index * steps + step]`. All of a long run is read in its order. */
  table(statistic: number, rows: readonly number[]): Float32Array {
    const found = new Float32Array(this.steps.length * rows.length);
    const columns = this.statistics.length;
    const steps = this.steps.length;
    for (let step = 0; step < steps; step++) {
      const start = step * this.rows.length;
      for (let index = 0; index < rows.length; index++) {
        found[index * steps + step] = this.values[(start + (rows[index] as number)) * columns + statistic] as number;
      }
    }
    return found;
  }
}

/** Indices of the rows that belong to a layer: its own first, then its parameters. */
export function rowsOfLayer(rows: readonly string[], owners: readonly string[], layer: string): number[] {
  const own = rows.indexOf(layer);
  const others = owners.flatMap((owner, row) => (owner === layer && row !== own ? [row] : []));
  return own < 0 ? others : [own, ...others];
}

/**
 * Rows of the picture layers × steps: layers in the order of execution. Of a container whose contents have rows of
 * their own, and of the whole model, only the parameters that it holds itself have one each: its own row sums up all.
 */
export function layerRows(series: Series, graph: ModelGraph | null): string[] {
  const layers = series.rows.filter((row, index) => series.owners[index] === row);
  const all = layers.length ? layers : [...series.rows];
  const containers = new Set(all.flatMap((row) => ancestors(row, graph)));
  if (all.length > 1) for (const row of all) if (WHOLE.test(row)) containers.add(row);
  const held = series.rows.filter((row, index) => {
    const owner = series.owners[index] ?? row;
    return owner !== row && containers.has(owner) && layers.includes(owner);
  });
  const ownerOf = new Map(held.map((row) => [row, series.owners[series.row(row) as number] as string]));
  const order = new Map([...(graph?.nodes.keys() ?? [])].map((id, index) => [id, index]));
  const place = (row: string): number => {
    const known = [row, ownerOf.get(row) ?? "", ...ancestors(row, graph)].find((name) => order.has(name));
    if (known !== undefined) return order.get(known) as number;
    return WHOLE.test(ownerOf.get(row) ?? "") ? -1 : Number.POSITIVE_INFINITY;
  };
  return [...all.filter((row) => !containers.has(row)), ...held]
    .map((row, index) => ({ row, index, at: place(row) }))
    .sort((a, b) => (a.at === b.at ? a.index - b.index : a.at - b.at))
    .map(({ row }) => row);
}

/** The name of the row that is the model as a whole: its class in angle brackets. */
const WHOLE = /^<[\p{L}\p{N}_]+>$/u;

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
