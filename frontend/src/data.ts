/** What the views read, loaded from the backend: joins of tags, slices of blobs, and a small memory of blobs. */

import { group } from "d3-array";
import type { Backend, Numbers } from "./backend";
import type { Tensor, Tensors } from "./safetensors";
import { holders, joinSeries, type Series } from "./series";
import type {
  AttributionMetadata,
  HistogramsMetadata,
  MaximizationMetadata,
  MaximizationStep,
  Metadata,
  SamplesMetadata,
  SeriesMetadata,
  TagEntry,
  TagListing,
} from "./wire";

/** A tag that can be read, of one kind. */
export interface Tag<M extends Metadata> {
  readonly tag: string;
  readonly metadata: M;
  readonly steps: readonly number[];
}

/** The readable tags of a run by kind. */
export interface Tags {
  readonly graph: readonly Tag<Metadata>[];
  readonly series: readonly Tag<SeriesMetadata>[];
  readonly histograms: readonly Tag<HistogramsMetadata>[];
  readonly samples: readonly Tag<SamplesMetadata>[];
  readonly attribution: readonly Tag<AttributionMetadata>[];
  readonly maximization: readonly Tag<MaximizationMetadata>[];
}

/** Sort the readable tags of a listing by kind. */
export function sortTags(listing: TagListing | null): Tags {
  const of = <M extends Metadata>(kind: M["kind"]): Tag<M>[] =>
    (listing?.tags ?? []).flatMap(({ tag, steps, metadata }: TagEntry) =>
      metadata?.kind === kind ? [{ tag, steps, metadata: metadata as M }] : [],
    );
  return {
    graph: of("graph"),
    series: of<SeriesMetadata>("series"),
    histograms: of<HistogramsMetadata>("histograms"),
    samples: of<SamplesMetadata>("samples"),
    attribution: of<AttributionMetadata>("attribution"),
    maximization: of<MaximizationMetadata>("maximization"),
  };
}

/** All series of a run by name, and what of them could not be read. */
export interface AllSeries {
  readonly byName: ReadonlyMap<string, Series>;
  readonly problems: readonly string[];
  /** Tag -> what tells whether it has grown. */
  readonly states: ReadonlyMap<string, string>;
}

/**
 * Load all series of a run. With `known`, one row of each is asked for first, and all of it only where steps came in;
 * `known` itself is returned where nothing changed.
 */
export async function loadSeries(
  backend: Backend,
  run: string,
  tags: readonly Tag<SeriesMetadata>[],
  signal: AbortSignal,
  known: AllSeries | null,
): Promise<AllSeries> {
  const problems: string[] = [];
  const attempt = async <T>(tag: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw error;
      problems.push(`${tag}: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  };
  const names = [...new Set(tags.map(({ metadata }) => metadata.name))];
  const states = new Map<string, string>();
  const load = async (name: string): Promise<Series | null> => {
    const parts = tags.filter(({ metadata }) => metadata.name === name);
    const fresh = await Promise.all(
      parts.map(({ tag, metadata }) =>
        attempt(tag, async () => {
          const probe = known?.states.has(tag)
            ? await backend.array(run, tag, metadata.layers.slice(0, 1), signal)
            : null;
          return { tag, state: probe && stateOf(probe) };
        }),
      ),
    );
    const before = known?.byName.get(name);
    const unchanged = fresh.every((part) => part?.state && part.state === known?.states.get(part.tag));
    if (before !== undefined && unchanged) {
      for (const part of fresh) if (part?.state) states.set(part.tag, part.state);
      return before;
    }
    const loaded = await Promise.all(
      parts.map(({ tag, metadata }) =>
        attempt(tag, async () => {
          const numbers = await backend.array(run, tag, [], signal);
          states.set(tag, stateOf(numbers));
          return { metadata, numbers };
        }),
      ),
    );
    return joinSeries(loaded.filter((part) => part !== null));
  };
  const all = await Promise.all(names.map(load));
  const byName = new Map(all.filter((series) => series !== null).map((series) => [series.name, series]));
  const same = known !== null && problems.join() === known.problems.join() && byName.size === known.byName.size;
  return same && [...byName].every(([name, series]) => known.byName.get(name) === series)
    ? known
    : { byName, problems, states };
}

function stateOf({ steps, wallTimes }: { steps: readonly number[]; wallTimes: readonly number[] }): string {
  return `${steps.length} ${steps.at(-1)} ${wallTimes.at(-1)}`;
}

/** One row's histogram over the steps: `counts[step * bins + bin]`. */
export interface HistogramSeries {
  readonly name: string;
  readonly steps: readonly number[];
  readonly edges: readonly number[];
  readonly counts: Float32Array;
}

/** Load the histograms of one row from every tag that holds it; tags of one name and equal bins are joined. */
export async function loadHistograms(
  backend: Backend,
  run: string,
  tags: readonly Tag<HistogramsMetadata>[],
  row: string,
  signal: AbortSignal,
): Promise<HistogramSeries[]> {
  const parts = await Promise.all(
    tags
      .filter(({ metadata }) => metadata.layers.includes(row))
      .map(async ({ tag, metadata }) => ({ metadata, numbers: await backend.array(run, tag, [row], signal) })),
  );
  const alike = group(parts, ({ metadata: { name, edges } }) => JSON.stringify([name, edges]));
  return [...alike.values()].map((joined) => joinHistograms(joined));
}

function joinHistograms(parts: readonly { metadata: HistogramsMetadata; numbers: Numbers }[]): HistogramSeries {
  const { name, edges } = (parts[0] as (typeof parts)[0]).metadata;
  const holding = holders(parts);
  const bins = edges.length - 1;
  const counts = new Float32Array(holding.size * bins);
  [...holding].forEach(([step, { numbers }], index) => {
    const at = numbers.steps.indexOf(step) * numbers.columns;
    counts.set(numbers.values.subarray(at, at + bins), index * bins);
  });
  return { name, steps: [...holding.keys()], edges, counts };
}

/** Remembers the last blobs, so that scrubbing back and forth does not load them again. */
export class BlobMemory {
  private readonly blobs = new Map<string, Tensors>();

  constructor(
    private readonly backend: Backend,
    private readonly capacity = 32,
  ) {}

  async load(run: string, tag: string, step: number, signal: AbortSignal): Promise<Tensors> {
    const key = JSON.stringify([run, tag, step]);
    const tensors = this.blobs.get(key) ?? (await this.backend.tensors(run, tag, step, signal));
    this.blobs.delete(key);
    this.blobs.set(key, tensors);
    const [oldest] = this.blobs.keys();
    if (this.blobs.size > this.capacity && oldest !== undefined) this.blobs.delete(oldest);
    return tensors;
  }
}

/** Everything of one attribution tag at one step that the layer panel shows. */
export interface Maps {
  readonly step: number;
  readonly method: string;
  readonly signed: boolean;
  /** [samples, ...] of the selected layer, or null if the blob lacks it. */
  readonly map: Tensor | null;
  readonly targets: Tensor | null;
  readonly probabilities: Tensor | null;
  readonly delta: Tensor | null;
}

/** The maps of one layer at one step. */
export async function loadMaps(
  memory: BlobMemory,
  run: string,
  { tag, metadata }: Tag<AttributionMetadata>,
  step: number,
  layer: string,
  signal: AbortSignal,
): Promise<Maps> {
  const tensors = await memory.load(run, tag, step, signal);
  return {
    step,
    method: metadata.method,
    signed: metadata.signed,
    map: tensors.get(`layer:${layer}`) ?? null,
    targets: tensors.get("targets") ?? null,
    probabilities: tensors.get("probabilities") ?? null,
    delta: tensors.get("delta") ?? null,
  };
}

/** Up to `count` of the items, evenly spread, the first and the last among them. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as T);
}

/** The images of one maximization tag that belong to the selected layer. */
export interface Images {
  readonly step: number;
  readonly units: readonly { readonly channel: number; readonly url: string; readonly objective: number | null }[];
}

/** The images of the units of one layer at one step. */
export async function loadImages(
  backend: Backend,
  run: string,
  { tag, metadata }: Tag<MaximizationMetadata>,
  step: number,
  layer: string,
  signal: AbortSignal,
): Promise<Images> {
  const { objectives }: MaximizationStep = await backend.maximization(run, tag, step, signal);
  const units = metadata.units.flatMap((unit, index) =>
    unit.layer === layer
      ? [{ channel: unit.channel, url: backend.imageUrl(run, tag, step, index), objective: objectives[index] ?? null }]
      : [],
  );
  return { step, units };
}
