/** What a run holds, sorted; and its blobs, of which the last are remembered. */

import type { Tensor, Tensors } from "./safetensors";
import {
  type AttributionMetadata,
  type HistogramsMetadata,
  type LayerArraysMetadata,
  type MaximizationMetadata,
  type Metadata,
  type SamplesBlob,
  type SamplesMetadata,
  type SeriesMetadata,
  type SurrogateMetadata,
  type TagEntry,
  type TagListing,
  TRUST,
} from "./wire";

/** A tag that can be read, of one kind. */
export interface Tag<M extends Metadata> {
  readonly tag: string;
  readonly metadata: M;
  readonly steps: readonly number[];
  /** The largest step and the last wall time when the listing was made; null where there is none. */
  readonly last: { readonly step: number; readonly wallTime: number } | null;
}

/** The readable tags of a run by kind. */
export interface Tags {
  readonly graph: readonly Tag<Metadata>[];
  readonly series: readonly Tag<SeriesMetadata>[];
  readonly histograms: readonly Tag<HistogramsMetadata>[];
  readonly samples: readonly Tag<SamplesMetadata>[];
  readonly attribution: readonly Tag<AttributionMetadata>[];
  readonly maximization: readonly Tag<MaximizationMetadata>[];
  readonly surrogate: readonly Tag<SurrogateMetadata>[];
  readonly activation: readonly Tag<LayerArraysMetadata>[];
  readonly weight: readonly Tag<LayerArraysMetadata>[];
  readonly attention: readonly Tag<LayerArraysMetadata>[];
  readonly embedding: readonly Tag<LayerArraysMetadata>[];
}

/** The kinds of what is kept of layers as it is, to be shown as pictures. */
export type ArraysKind = LayerArraysMetadata["kind"];

/** Sort the readable tags of a listing by kind. */
export function sortTags(listing: TagListing | null): Tags {
  const of = <M extends Metadata>(kind: M["kind"]): Tag<M>[] =>
    (listing?.tags ?? []).flatMap((entry: TagEntry) => {
      const { tag, steps, metadata, max_step: step, max_wall_time: wallTime } = entry;
      const last = step === null || wallTime === null ? null : { step, wallTime };
      return metadata?.kind === kind ? [{ tag, steps, last, metadata: metadata as M }] : [];
    });
  return {
    graph: of("graph"),
    series: of<SeriesMetadata>("series"),
    histograms: of<HistogramsMetadata>("histograms"),
    samples: of<SamplesMetadata>("samples"),
    attribution: of<AttributionMetadata>("attribution"),
    maximization: of<MaximizationMetadata>("maximization"),
    surrogate: of<SurrogateMetadata>("surrogate"),
    activation: of<LayerArraysMetadata>("activation"),
    weight: of<LayerArraysMetadata>("weight"),
    attention: of<LayerArraysMetadata>("attention"),
    embedding: of<LayerArraysMetadata>("embedding"),
  };
}

/** Remembers the last blobs, so that scrubbing back and forth does not load them again. */
export class BlobMemory<T> {
  private readonly blobs = new Map<string, T>();

  constructor(
    private readonly ask: (run: string, tag: string, step: number, signal: AbortSignal) => Promise<T>,
    private readonly capacity = 32,
  ) {}

  async load(run: string, tag: string, step: number, signal: AbortSignal): Promise<T> {
    const key = JSON.stringify([run, tag, step]);
    const blob = this.blobs.has(key) ? (this.blobs.get(key) as T) : await this.ask(run, tag, step, signal);
    this.blobs.delete(key);
    this.blobs.set(key, blob);
    const [oldest] = this.blobs.keys();
    if (this.blobs.size > this.capacity && oldest !== undefined) this.blobs.delete(oldest);
    return blob;
  }
}

/** Everything of one attribution tag at one step that the layer panel shows. */
export interface Maps {
  readonly step: number;
  readonly method: string;
  readonly signed: boolean;
  /** [samples, ...] of the selected layer or input, or null if the blob lacks it. */
  readonly map: Tensor | null;
  readonly targets: Tensor | null;
  readonly probabilities: Tensor | null;
  readonly delta: Tensor | null;
  /** Name in TRUST -> [samples]: how far to trust it; of inputs only. */
  readonly trust: ReadonlyMap<string, Tensor>;
  /** What to know before trusting it, in words; of inputs only. */
  readonly notes: readonly string[];
}

/** The maps of one layer, or of the input at a position, at one step. */
export async function loadMaps(
  memory: BlobMemory<Tensors>,
  run: string,
  { tag, metadata }: Tag<AttributionMetadata>,
  step: number,
  of: string | number,
  signal: AbortSignal,
): Promise<Maps> {
  const tensors = await memory.load(run, tag, step, signal);
  const scores = [...TRUST.keys()].map((name) => [name, tensors.get(`trust:${name}`)] as const);
  return {
    step,
    method: metadata.method,
    signed: metadata.signed,
    map: tensors.get(typeof of === "number" ? `input:${of}` : `layer:${of}`) ?? null,
    targets: tensors.get("targets") ?? null,
    probabilities: tensors.get("probabilities") ?? null,
    delta: tensors.get("delta") ?? null,
    trust: new Map(
      typeof of === "number" ? scores.filter((score): score is [string, Tensor] => score[1] !== undefined) : [],
    ),
    notes: typeof of === "number" ? notesIn(tensors.get("notes")) : [],
  };
}

function notesIn(tensor: Tensor | undefined): string[] {
  return tensor?.data instanceof Uint8Array ? new TextDecoder().decode(tensor.data).split("\n") : [];
}

/** The inputs of a probe set. */
export interface Inputs {
  /** Null where there are none, or not yet. */
  readonly tensors: Tensors | null;
  /** How to show them; null where nothing tells. */
  readonly description: SamplesBlob | null;
  /** Why they cannot be shown, or not by their names, in words; "" if they can, or are on their way. */
  readonly problem: string;
}

/** The inputs saved at one step; those whose description cannot be read are there without it. */
export async function loadInputs(
  memory: BlobMemory<Tensors>,
  descriptions: BlobMemory<SamplesBlob | null>,
  run: string,
  tag: string,
  step: number,
  signal: AbortSignal,
): Promise<Inputs> {
  const described = descriptions.load(run, tag, step, signal).then(
    (description) => ({ description, problem: "" }),
    (error: Error) => ({ description: null, problem: `The inputs of step ${step} have no names. ${error.message}` }),
  );
  return { tensors: await memory.load(run, tag, step, signal), ...(await described) };
}

/** Whether a method says anything of a layer, or, of `null`, of an input. */
export function tells({ metadata }: Tag<AttributionMetadata>, layer: string | null): boolean {
  return layer === null ? (metadata.inputs ?? []).length > 0 : metadata.layers.includes(layer);
}

/** Up to `count` of the items, evenly spread, the first and the last among them. */
export function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.round((i * (items.length - 1)) / (count - 1))] as T);
}

/** The steps at which one sort of data was saved. */
export interface SavedSteps {
  readonly label: string;
  readonly steps: readonly number[];
}

const BLOBS: readonly (readonly [keyof Tags, string])[] = [
  ["attribution", "attributions"],
  ["maximization", "maximization"],
  ["activation", "activation maps"],
  ["weight", "weights"],
  ["attention", "attention"],
  ["embedding", "embeddings"],
  ["surrogate", "surrogates"],
];

/** At which steps blobs were saved, of each kind that there is. */
export function savedBlobs(tags: Tags): SavedSteps[] {
  const rows = BLOBS.map(([kind, label]) => ({ label, steps: union(tags[kind].map(({ steps }) => steps)) }));
  return rows.filter(({ steps }) => steps.length > 0);
}

/** The steps of all lists, ascending. */
export function union(lists: readonly (readonly number[])[]): number[] {
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}
