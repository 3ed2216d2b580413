/**
 * Loads the numbers of tags, and of what is known already only what came since. Whether anything came is told by the
 * listing; so a look without news asks for no numbers at all.
 */

import { group } from "d3-array";
import type { Backend, Numbers, Wanted } from "./backend";
import type { Tag } from "./data";
import { inOrder, joinSeries, type Part } from "./joining";
import type { Series } from "./series";
import type { HistogramsMetadata, Metadata, SeriesMetadata } from "./wire";

/** How far a tag is known: the last two steps and their wall times, and the last wall time of all. */
interface Reached {
  readonly steps: readonly number[];
  readonly wallTimes: readonly number[];
  readonly newest: number;
}

function reached({ steps, wallTimes }: Numbers, before: Reached | null = null): Reached {
  return {
    steps: [...(before?.steps ?? []), ...steps.slice(-2)].slice(-2),
    wallTimes: [...(before?.wallTimes ?? []), ...wallTimes.slice(-2)].slice(-2),
    newest: wallTimes.reduce((last, wallTime) => Math.max(last, wallTime), before?.newest ?? 0),
  };
}

/** What came of a tag: nothing, the numbers of later steps, or another beginning (a restarted run wrote steps anew). */
type News = { readonly later: Numbers | null } | "anew";

async function newsOf(
  ask: (wanted: Wanted) => Promise<Numbers>,
  known: Reached,
  last: Tag<Metadata>["last"],
): Promise<News> {
  const [step = Number.NEGATIVE_INFINITY, wallTime] = [known.steps.at(-1), known.wallTimes.at(-1)];
  if (last === null || (last.step <= step && last.wallTime <= known.newest)) return { later: null };
  const after = known.steps.length > 1 ? known.steps[0] : undefined;
  if (last.step <= step || after === undefined) return "anew";
  // The last known step is asked for once more: where it was written anew, so were those before it.
  const { steps, wallTimes, rows, columns, values } = await ask({ after });
  if (steps[0] !== step || wallTimes[0] !== wallTime) return "anew";
  const later = { steps: steps.slice(1), wallTimes: wallTimes.slice(1), rows, columns };
  return { later: { ...later, values: values.subarray(rows * columns) } };
}

/** A series as far as it is loaded. */
export interface LoadedSeries {
  readonly series: Series | null;
  /** What could not be read, in words. */
  readonly problems: readonly string[];
  /** Tag -> how far it is known. */
  readonly reached: ReadonlyMap<string, Reached>;
}

/** Some rows of a tag; null for all of them. */
export type Rows = (metadata: SeriesMetadata) => readonly string[] | null;

export const allRows: Rows = () => null;

/** Load the tags of one series, or what is new of them; `known` itself is returned where nothing is. */
export async function loadSeries(
  backend: Backend,
  run: string,
  tags: readonly Tag<SeriesMetadata>[],
  rows: Rows,
  signal: AbortSignal,
  known: LoadedSeries | null,
): Promise<LoadedSeries> {
  const problems: string[] = [];
  const far = new Map<string, Reached>();
  const asking = tags.map(async ({ tag, metadata, last }): Promise<Part | "anew" | null> => {
    const wanted = rows(metadata);
    if (wanted?.length === 0) return null;
    const ask = (more: Wanted) => backend.array(run, tag, wanted === null ? more : { ...more, rows: wanted }, signal);
    try {
      const before = known?.reached.get(tag) ?? null;
      const news = before === null ? { later: await ask({}) } : await newsOf(ask, before, last);
      if (news === "anew") return news;
      if (before !== null) far.set(tag, before);
      if (news.later === null) return null;
      far.set(tag, reached(news.later, before));
      return { metadata: wanted === null ? metadata : restricted(metadata, wanted), numbers: news.later };
    } catch (error) {
      if (signal.aborted) throw error;
      problems.push(`${tag}: ${words(error)}`);
      return null;
    }
  });
  const parts = await Promise.all(asking);
  if (parts.includes("anew")) return loadSeries(backend, run, tags, rows, signal, null);
  const fresh = parts.filter((part): part is Part => part !== null && part !== "anew");
  const before = known?.series ?? null;
  const asBefore = (reached: ReadonlyMap<string, Reached>): LoadedSeries =>
    problems.join() === known?.problems.join() ? known : { series: before, problems, reached };
  if (fresh.length === 0) return asBefore(far);
  try {
    return { series: joinSeries(fresh, before), problems, reached: far };
  } catch (error) {
    problems.push(words(error));
    return asBefore(known?.reached ?? new Map()); // what was not joined is not known
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function restricted(metadata: SeriesMetadata, rows: readonly string[]): SeriesMetadata {
  const kept = metadata.layers.flatMap((row, index) => (rows.includes(row) ? [index] : []));
  const of = (list: readonly string[]) => kept.map((index) => list[index] ?? "");
  return { ...metadata, layers: of(metadata.layers), owners: of(metadata.owners) };
}

/** One row's histogram over the steps: `counts[step * bins + bin]`. */
export interface HistogramSeries {
  readonly name: string;
  readonly row: string;
  readonly steps: readonly number[];
  readonly edges: readonly number[];
  readonly counts: Float32Array;
}

/** The histograms of some rows as far as they are loaded. */
export interface LoadedHistograms {
  readonly all: readonly HistogramSeries[];
  /** What could not be read, in words. */
  readonly problems: readonly string[];
  readonly parts: ReadonlyMap<string, HistogramPart>;
}

interface HistogramPart {
  readonly metadata: HistogramsMetadata;
  readonly row: string;
  readonly numbers: Numbers;
  readonly reached: Reached;
}

/** Load one row of each tag that `rowOf` names one of; tags of one name, row and equal bins are joined. */
export async function loadHistograms(
  backend: Backend,
  run: string,
  tags: readonly Tag<HistogramsMetadata>[],
  rowOf: (metadata: HistogramsMetadata) => string | null,
  signal: AbortSignal,
  known: LoadedHistograms | null,
): Promise<LoadedHistograms> {
  const problems: string[] = [];
  const load = async ({ tag, metadata, last }: Tag<HistogramsMetadata>, row: string): Promise<HistogramPart | null> => {
    const ask = (more: Wanted) => backend.array(run, tag, { ...more, rows: [row] }, signal);
    const before = known?.parts.get(tag);
    const news = before?.row === row ? await newsOf(ask, before.reached, last) : "anew";
    if (before !== undefined && news !== "anew" && news.later === null) return before;
    const fresh = news === "anew" ? await ask({}) : news.later;
    if (fresh === null) return null;
    const numbers = news === "anew" || before === undefined ? fresh : appended(before.numbers, fresh);
    return { metadata, row, numbers, reached: reached(numbers) };
  };
  const asking = tags.map(async (tag): Promise<[string, HistogramPart][]> => {
    const row = rowOf(tag.metadata);
    if (row === null) return [];
    try {
      const part = await load(tag, row);
      return part === null ? [] : [[tag.tag, part]];
    } catch (error) {
      if (signal.aborted) throw error;
      problems.push(`${tag.tag}: ${words(error)}`);
      const before = known?.parts.get(tag.tag);
      return before?.row === row ? [[tag.tag, before]] : [];
    }
  });
  const parts = new Map((await Promise.all(asking)).flat());
  const told = known?.problems.join() === problems.join();
  if (told && known?.parts.size === parts.size && [...parts].every(([tag, part]) => known.parts.get(tag) === part))
    return known;
  const alike = group(parts.values(), ({ metadata: { name, edges }, row }) => JSON.stringify([name, row, edges]));
  return { all: [...alike.values()].map(joinHistograms), problems, parts };
}

function appended(before: Numbers, later: Numbers): Numbers {
  const values = new Float32Array(before.values.length + later.values.length);
  values.set(before.values);
  values.set(later.values, before.values.length);
  const steps = [...before.steps, ...later.steps];
  return { ...before, steps, wallTimes: [...before.wallTimes, ...later.wallTimes], values };
}

function joinHistograms(parts: readonly HistogramPart[]): HistogramSeries {
  const {
    metadata: { name, edges },
    row,
  } = parts[0] as HistogramPart;
  const last = new Map<number, { wallTime: number; counts: Float32Array }>();
  const bins = edges.length - 1;
  for (const { numbers } of inOrder(parts)) {
    numbers.steps.forEach((step, index) => {
      const wallTime = numbers.wallTimes[index] ?? 0;
      if (wallTime < (last.get(step)?.wallTime ?? Number.NEGATIVE_INFINITY)) return;
      last.set(step, { wallTime, counts: numbers.values.subarray(index * bins, (index + 1) * bins) });
    });
  }
  const steps = [...last.keys()].sort((a, b) => a - b);
  const counts = new Float32Array(steps.length * bins);
  steps.forEach((step, index) => {
    counts.set((last.get(step) as { counts: Float32Array }).counts, index * bins);
  });
  return { name, row, steps, edges, counts };
}
