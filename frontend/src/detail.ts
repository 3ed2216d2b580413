/** What the panel of the selected layer shows, loaded for the selection of the store. */

import type { ReadonlySignal } from "@preact/signals";
import type { Backend } from "./backend";
import { BlobMemory, type Inputs, loadInputs, loadMaps, type Maps, spread, type Tag, tells } from "./data";
import { type LoadedHistograms, loadHistograms } from "./loading";
import { type AllSeries, askRows } from "./questions";
import { type Question, type Resource, resource } from "./resource";
import { nearestIndex } from "./series";
import type { Store } from "./store";
import type { AttributionMetadata, HistogramsMetadata, SeriesMetadata } from "./wire";

export interface Detail {
  /** Every series, of the rows of the selected layer. */
  readonly curves: ReadonlySignal<Resource<AllSeries>>;
  /** Every histogram of the selected row, or of the layer itself where the row has none. */
  readonly histograms: ReadonlySignal<Resource<LoadedHistograms>>;
  readonly maps: ReadonlySignal<Resource<Maps>>;
  /** The maps at a few steps spread over the whole run. */
  readonly film: ReadonlySignal<Resource<readonly Maps[]>>;
  /** The inputs that those maps belong to, by the step at which they were saved. */
  readonly samples: ReadonlySignal<Resource<ReadonlyMap<number, Inputs>>>;
  /** The inputs that were the latest when maps were saved at `step`. */
  readonly inputsAt: (step: number) => Inputs;
}

const FILM_FRAMES = 6;
const NO_INPUTS: Inputs = { tensors: null, description: null, problem: "" };

interface Frame {
  readonly tag: Tag<AttributionMetadata>;
  readonly step: number;
}

/** Follow the store's selection with the resources of the layer panel. */
export function layerDetail(store: Store, backend: Backend, end: AbortSignal): Detail {
  const memory = new BlobMemory(backend.tensors);
  const descriptions = new BlobMemory(backend.description);

  const askCurves = (): Question<AllSeries> | null => {
    const run = store.run.value;
    const layer = store.layer.value;
    const wanted = new Set(store.layerRowNames.value);
    if (run === null || layer === null || wanted.size === 0) return null;
    const rows = ({ layers }: SeriesMetadata) => layers.filter((row) => wanted.has(row));
    return askRows(store, backend, JSON.stringify([run, layer, ...wanted]), rows);
  };

  const askHistograms = (): Question<LoadedHistograms> | null => {
    const run = store.run.value;
    const row = store.row.value;
    const own = store.layerRowNames.value[0] ?? null;
    const tags = store.tags.value.histograms;
    if (run === null || row === null || tags.length === 0) return null;
    const rowOf = ({ layers }: HistogramsMetadata) => [row, own].find((name) => name && layers.includes(name)) ?? null;
    return {
      key: JSON.stringify([run, row]),
      version: JSON.stringify(tags.map(({ tag, last }) => [tag, last])),
      look: store.look.value,
      load: (signal, known) => loadHistograms(backend, run, tags, rowOf, signal, known),
    };
  };

  /** Where the maps of the selected layer lie, or, without one, of the input: a method has several tags if the set of layers changed. */
  const frames = (): { run: string; key: string; at: readonly Frame[] } | null => {
    const run = store.run.value;
    const method = store.method.value;
    const layer = store.layer.value;
    if (run === null || method === null) return null;
    const holding = method.tags.filter((tag) => tells(tag, layer));
    const bySteps = new Map(holding.flatMap((tag) => tag.steps.map((step): [number, Frame] => [step, { tag, step }])));
    const at = [...bySteps.values()].sort((one, other) => one.step - other.step);
    return at.length ? { run, key: JSON.stringify([run, method.name, layer ?? store.input.value]), at } : null;
  };
  const load = (run: string, { tag, step }: Frame, signal: AbortSignal) =>
    loadMaps(memory, run, tag, step, store.layer.peek() ?? store.input.peek(), signal);

  const nearestFrame = (at: readonly Frame[]): Frame => {
    const steps = at.map(({ step }) => step);
    return at[nearestIndex(steps, store.step.value)] as Frame;
  };

  const askMaps = () => {
    const found = frames();
    if (found === null) return null;
    const { run, key, at } = found;
    const frame = nearestFrame(at);
    return {
      key,
      version: `${frame.tag.tag} ${frame.step}`,
      look: store.look.value,
      load: (signal: AbortSignal) => load(run, frame, signal),
    };
  };

  const askFilm = () => {
    const found = frames();
    if (found === null || found.at.length < 2) return null;
    const { run, key, at } = found;
    const spreadOut = spread(at, FILM_FRAMES);
    return {
      key,
      version: spreadOut.map(({ step }) => step).join(),
      look: store.look.value,
      load: (signal: AbortSignal) => Promise.all(spreadOut.map((frame) => load(run, frame, signal))),
    };
  };

  const samplesTag = () =>
    store.tags.value.samples.find(({ metadata }) => metadata.name === store.method.value?.samples);
  /** Samples are saved again only when they change, so a map's own are the latest until its step. */
  const savedUntil = (step: number): number | undefined => samplesTag()?.steps.findLast((saved) => saved <= step);

  const askSamples = () => {
    const found = frames();
    const tag = samplesTag();
    if (found === null || tag === undefined) return null;
    const { run, at } = found;
    const mapped = [nearestFrame(at), ...spread(at, FILM_FRAMES)].map(({ step }) => savedUntil(step));
    const steps = [...new Set(mapped.filter((step) => step !== undefined))].sort((a, b) => a - b);
    return {
      key: JSON.stringify([run, tag.tag]),
      version: steps.join(),
      look: store.look.value,
      load: async (signal: AbortSignal) => {
        const load = (step: number) => loadInputs(memory, descriptions, run, tag.tag, step, signal);
        return new Map(await Promise.all(steps.map(async (step) => [step, await load(step)] as const)));
      },
    };
  };

  const samples = resource<ReadonlyMap<number, Inputs>>(end, askSamples);
  const inputsAt = (step: number): Inputs => {
    const saved = savedUntil(step);
    if (saved === undefined) return { ...NO_INPUTS, problem: `No inputs were saved up to step ${step}.` };
    const inputs = samples.value.data?.get(saved);
    if (inputs?.problem) return inputs;
    const shown = String(store.layer.value === null ? store.input.value : 0);
    const reason =
      inputs === undefined ? samples.value.error : inputs.tensors?.has(shown) ? "" : "Their type is not read here.";
    return { ...(inputs ?? NO_INPUTS), problem: reason && `The inputs of step ${saved} cannot be shown. ${reason}` };
  };

  return {
    curves: resource(end, askCurves),
    histograms: resource(end, askHistograms),
    maps: resource(end, askMaps),
    film: resource<readonly Maps[]>(end, askFilm),
    samples,
    inputsAt,
  };
}
