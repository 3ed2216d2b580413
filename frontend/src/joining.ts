/**
 * Joins the tags of one series. Another tag begins when the set of rows changes, when a tag grew large, and for each
 * of several optimizers; so rows, statistics and steps are united, and tags may hold the same step for other rows. Of
 * the same row and step, what was written last counts, whole. tests/golden/joining.json has a case for both sides of
 * the wire.
 */

import type { Numbers } from "./backend";
import { Series } from "./series";
import type { SeriesMetadata, Statistic } from "./wire";

/**
 * What a joined series may always take; more than that only where more than one in 8 of its numbers is there. Of tags
 * with many steps and others with many rows the product can be far more than was written.
 */
const MAX_SPARSE_BYTES = 2 ** 26;

/** One tag of a series, or what of it is new. */
export interface Part {
  readonly metadata: SeriesMetadata;
  readonly numbers: Numbers;
}

/** Tags from the one that began first; a listing has them in the order of their names, which says nothing. */
export function inOrder<P extends { readonly numbers: Numbers }>(parts: readonly P[]): P[] {
  const began = ({ numbers }: P) => numbers.wallTimes[0] ?? 0;
  return [...parts].sort((one, other) => began(one) - began(other));
}

/** Join tags of one name with what is already known of them; null if there is nothing. */
export function joinSeries(parts: readonly Part[], known: Series | null = null): Series | null {
  const ordered = inOrder(parts);
  const name = known?.name ?? ordered[0]?.metadata.name;
  if (name === undefined) return null;
  const statistics = [...(known?.statistics ?? [])];
  const owners = new Map<string, string>(known?.rows.map((row, index) => [row, known.owners[index] ?? row]));
  for (const { metadata } of ordered) {
    for (const statistic of metadata.statistics) {
      if (!statistics.some((other) => other.name === statistic.name)) statistics.push(statistic);
    }
    metadata.layers.forEach((row, index) => {
      if (!owners.has(row)) owners.set(row, metadata.owners[index] ?? row);
    });
  }
  const steps = united(
    known?.steps ?? [],
    ordered.map(({ numbers }) => numbers.steps),
  );
  const held = ordered.reduce((sum, { numbers }) => sum + numbers.values.length, known?.values.length ?? 0);
  const size = steps.length * owners.size * statistics.length;
  if (4 * size + 8 * steps.length * owners.size > MAX_SPARSE_BYTES && held <= size / 8) {
    throw new Error(`Of ${name}, only ${held} of ${size} numbers are there; of one so large it must be one in 8.`);
  }
  const table = grown(known, steps, [...owners.keys()], [...owners.values()], statistics);
  for (const part of ordered) write(table, part);
  return new Series(name, steps, table.rows, table.owners, statistics, table.values, table.written);
}

interface Table {
  readonly steps: readonly number[];
  readonly rows: readonly string[];
  readonly owners: readonly string[];
  readonly statistics: readonly Statistic[];
  readonly values: Float32Array;
  readonly written: Float64Array;
}

function united(known: readonly number[], others: readonly (readonly number[])[]): number[] {
  const last = known.at(-1) ?? Number.NEGATIVE_INFINITY;
  const fresh = [...new Set(others.flat())].sort((a, b) => a - b);
  if ((fresh[0] ?? Number.POSITIVE_INFINITY) > last) return [...known, ...fresh];
  return [...new Set([...known, ...fresh])].sort((a, b) => a - b);
}

/** A table with the numbers that are known. Where steps only came to the end, it is the same one as long as it has room. */
function grown(
  known: Series | null,
  steps: readonly number[],
  rows: readonly string[],
  owners: readonly string[],
  statistics: readonly Statistic[],
): Table {
  const cells = steps.length * rows.length;
  const wide = rows.length === known?.rows.length && statistics.length === known.statistics.length;
  const appended = wide && (known.steps.length === 0 || steps[known.steps.length - 1] === known.steps.at(-1));
  if (appended && known.written.length >= cells) {
    // What a load that was given up has left there.
    const from = known.steps.length * rows.length;
    known.written.fill(Number.NEGATIVE_INFINITY, from, cells);
    known.values.fill(Number.NaN, from * statistics.length, cells * statistics.length);
    return { steps, rows, owners, statistics, values: known.values, written: known.written };
  }
  const capacity = known === null ? cells : Math.ceil(cells * 1.5); // what grows will grow again
  const values = new Float32Array(capacity * statistics.length).fill(Number.NaN);
  const written = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
  if (known !== null && appended) {
    const cellsKnown = known.steps.length * rows.length;
    values.set(known.values.subarray(0, cellsKnown * statistics.length));
    written.set(known.written.subarray(0, cellsKnown));
  } else if (known !== null) {
    const stepOf = new Map(steps.map((step, index) => [step, index]));
    known.steps.forEach((step, s) => {
      for (let row = 0; row < known.rows.length; row++) {
        const cell = (stepOf.get(step) as number) * rows.length + row; // known rows and statistics come first
        written[cell] = known.written[s * known.rows.length + row] as number;
        for (let column = 0; column < known.statistics.length; column++) {
          values[cell * statistics.length + column] = known.value(s, row, column);
        }
      }
    });
  }
  return { steps, rows, owners, statistics, values, written };
}

function write({ steps, rows, statistics, values, written }: Table, { metadata, numbers }: Part): void {
  const stepOf = new Map(steps.map((step, index) => [step, index]));
  const rowOf = new Map(rows.map((row, index) => [row, index]));
  const target = metadata.layers.map((row) => rowOf.get(row) as number);
  const columns = statistics.map(({ name }) => metadata.statistics.findIndex((other) => other.name === name));
  numbers.steps.forEach((step, s) => {
    const wallTime = numbers.wallTimes[s] ?? 0;
    const start = (stepOf.get(step) as number) * rows.length;
    for (let r = 0; r < target.length; r++) {
      const cell = start + (target[r] as number);
      if (wallTime < (written[cell] as number)) continue;
      written[cell] = wallTime;
      for (let index = 0; index < columns.length; index++) {
        const column = columns[index] as number;
        const from = (s * numbers.rows + r) * numbers.columns + column;
        values[cell * columns.length + index] = column < 0 ? Number.NaN : (numbers.values[from] ?? Number.NaN);
      }
    }
  });
}
