/** What units of the selected layer respond to, and what is kept of the layer as it is; loaded as it is selected. */

import type { ReadonlySignal } from "@preact/signals";
import type { Backend } from "./backend";
import { type ArraysKind, BlobMemory, type Inputs, loadInputs, spread, type Tag } from "./data";
import { nodeOf } from "./graph";
import { type Question, type Resource, resource } from "./resource";
import type { Tensor, Tensors } from "./safetensors";
import { nearestIndex } from "./series";
import type { Store } from "./store";
import type { LayerArraysMetadata, MaximizationMetadata, TopSample, Unit } from "./wire";

/** What one tag keeps of a layer (or of one of its parameters) at one step. */
export interface Held {
  readonly step: number;
  /** The layer, or the parameter. */
  readonly name: string;
  /** The probe set that it is of; and all that have such at any step. */
  readonly probeSet: string;
  readonly probeSets: readonly string[];
  /** By the names in LAYER_ARRAYS of the wire; and what belongs to all layers. */
  readonly arrays: ReadonlyMap<string, Tensor>;
  readonly inputs: Inputs;
}

/** What activation maximization found for one unit at one step. */
export interface Maximized {
  readonly unit: Unit;
  /** Which of the units of the layer at that step it is. */
  readonly index: number;
  readonly modality: string;
  /** The samples among which its top samples are. */
  readonly inputs: Inputs;
  readonly objective: number | null;
  /** The address of its image; null where the input is no image. */
  readonly url: string | null;
  /** A signal [time, variables] or the row of a table [features]; null for images and tokens. */
  readonly values: Tensor | null;
  readonly tokens: readonly string[];
  readonly topSamples: readonly TopSample[];
}

export interface MaximizedAt {
  readonly step: number;
  readonly units: readonly Maximized[];
}

export interface Pictures {
  readonly units: ReadonlySignal<Resource<MaximizedAt>>;
  /** The same at a few steps spread over the whole run. */
  readonly unitsFilm: ReadonlySignal<Resource<readonly MaximizedAt[]>>;
  readonly activation: ReadonlySignal<Resource<Held>>;
  readonly attention: ReadonlySignal<Resource<Held>>;
  readonly embedding: ReadonlySignal<Resource<Held>>;
  readonly embeddingFilm: ReadonlySignal<Resource<readonly Held[]>>;
  /** The tensors of this run that TensorBoard's Projector has; asked where a layer has an embedding. */
  readonly projected: ReadonlySignal<Resource<readonly string[]>>;
  /** Every parameter of the layer that is kept. */
  readonly weights: ReadonlySignal<Resource<readonly Held[]>>;
}

const FILM_FRAMES = 6;
const NO_INPUTS: Inputs = { tensors: null, description: null, problem: "" };

interface Frame<M extends LayerArraysMetadata | MaximizationMetadata> {
  readonly tag: Tag<M>;
  readonly step: number;
}

/** Where something is kept, by step; several tags may have a step. */
function framesOf<M extends LayerArraysMetadata | MaximizationMetadata>(tags: readonly Tag<M>[]): Frame<M>[] {
  const frames = tags.flatMap((tag) => tag.steps.map((step) => ({ tag, step })));
  return frames.sort((one, other) => one.step - other.step);
}

/** The same with one for each step: of several, the last. */
function lastOfEach<F extends { readonly step: number }>(frames: readonly F[]): F[] {
  return [...new Map(frames.map((frame) => [frame.step, frame])).values()];
}

function at<F extends { readonly step: number }>(frames: readonly F[], step: number): F {
  const steps = frames.map((frame) => frame.step);
  return frames[nearestIndex(steps, step)] as F;
}

function versionOf(frames: readonly Frame<LayerArraysMetadata | MaximizationMetadata>[]): string {
  return frames.map(({ tag, step }) => `${tag.tag} ${step}`).join();
}

/** Follow the store's selection. */
export function picturesOf(store: Store, backend: Backend, end: AbortSignal): Pictures {
  const memory = new BlobMemory(backend.tensors, 24);
  const descriptions = new BlobMemory(backend.description);
  const headers = new BlobMemory(backend.maximization, 64);

  /** Samples are saved again only when they change, so those of a step are the latest until then. */
  const inputsOf = async (run: string, name: string, step: number, signal: AbortSignal): Promise<Inputs> => {
    const tag = store.tags.peek().samples.find(({ metadata }) => name !== "" && metadata.name === name);
    const saved = tag?.steps.findLast((one) => one <= step);
    if (tag === undefined || saved === undefined) return NO_INPUTS;
    return loadInputs(memory, descriptions, run, tag.tag, saved, signal).catch((error: Error) => {
      if (signal.aborted) throw error;
      return { ...NO_INPUTS, problem: `The inputs of step ${saved} cannot be shown. ${error.message}` };
    });
  };

  // --- what is kept of layers ------------------------------------------------------------------------------------

  /** The frames at which a kind keeps anything of `name`, of one probe set; and the names of all. */
  const holding = (kind: ArraysKind, name: string | null) => {
    const tags = name === null ? [] : store.tags.value[kind].filter(({ metadata }) => metadata.layers.includes(name));
    const probeSets = [...new Set(tags.map(({ metadata }) => metadata.name))].sort();
    const wanted = [store.chosen("probeSet"), "probe"].find((one) => one !== null && probeSets.includes(one));
    const probeSet = wanted ?? probeSets[0];
    const frames = lastOfEach(framesOf(tags.filter(({ metadata }) => metadata.name === probeSet)));
    return { frames, probeSets };
  };
  const load = async (
    run: string,
    { tag, step }: Frame<LayerArraysMetadata>,
    probeSets: readonly string[],
    name: string,
    signal: AbortSignal,
  ): Promise<Held> => {
    const [tensors, inputs] = await Promise.all([
      memory.load(run, tag.tag, step, signal),
      inputsOf(run, tag.metadata.samples, step, signal),
    ]);
    return { step, name, probeSet: tag.metadata.name, probeSets, arrays: arraysOf(tensors, name), inputs };
  };
  const ask = <T>(
    kind: ArraysKind,
    choose: (frames: readonly Frame<LayerArraysMetadata>[]) => readonly Frame<LayerArraysMetadata>[],
    answer: (held: readonly Held[]) => T,
  ): ReadonlySignal<Resource<T>> =>
    resource<T>(end, () => {
      const run = store.run.value;
      const name = store.layer.value;
      const { frames, probeSets } = holding(kind, name);
      const chosen = choose(frames);
      if (run === null || name === null || chosen.length === 0) return null;
      return {
        key: JSON.stringify([kind, run, name, chosen[0]?.tag.metadata.name]),
        version: versionOf(chosen),
        look: store.look.value,
        load: async (signal) =>
          answer(await Promise.all(chosen.map((frame) => load(run, frame, probeSets, name, signal)))),
      };
    });
  const now = (frames: readonly Frame<LayerArraysMetadata>[]) => (frames.length ? [at(frames, store.step.value)] : []);
  const over = (frames: readonly Frame<LayerArraysMetadata>[]) =>
    frames.length > 1 ? spread(frames, FILM_FRAMES) : [];
  const first = (held: readonly Held[]): Held => held[0] as Held;
  const every = (held: readonly Held[]): readonly Held[] => held;

  const askWeights = (): Question<readonly Held[]> | null => {
    const run = store.run.value;
    const layer = store.layer.value;
    if (run === null || layer === null) return null;
    const module = nodeOf(store.graph.value.data, layer)?.module || layer;
    const tags = store.tags.value.weight;
    const names = [...new Set(tags.flatMap(({ metadata }) => ownedBy(metadata, module)))];
    const chosen = names.map((name) => ({ name, frame: at(holding("weight", name).frames, store.step.value) }));
    if (chosen.length === 0) return null;
    return {
      key: JSON.stringify(["weight", run, layer]),
      version: versionOf(chosen.map(({ frame }) => frame)),
      look: store.look.value,
      load: (signal) => Promise.all(chosen.map(({ name, frame }) => load(run, frame, [], name, signal))),
    };
  };

  const askProjected = (): Question<readonly string[]> | null => {
    const run = store.run.value;
    if (run === null || holding("embedding", store.layer.value).frames.length === 0) return null;
    const load = (signal: AbortSignal) => backend.projected(run, signal);
    return { key: JSON.stringify(["projected", run]), look: store.look.value, live: true, load };
  };

  // --- what units respond to ---------------------------------------------------------------------------------------

  const askUnits = <T>(
    choose: (steps: readonly number[]) => readonly number[],
    answer: (found: readonly MaximizedAt[]) => T,
  ): ReadonlySignal<Resource<T>> =>
    resource<T>(end, () => {
      const run = store.run.value;
      const layer = store.layer.value ?? "";
      const telling = store.tags.value.maximization.filter(({ metadata }) => unitsOf(metadata, layer).length > 0);
      const frames = framesOf(telling);
      const steps = choose([...new Set(frames.map(({ step }) => step))]);
      const chosen = steps.map((step) => frames.filter((frame) => frame.step === step));
      if (run === null || chosen.length === 0) return null;
      return {
        key: JSON.stringify(["units", run, layer]),
        version: versionOf(chosen.flat()),
        look: store.look.value,
        load: async (signal) =>
          answer(await Promise.all(chosen.map((together) => loadStep(run, together, layer, signal)))),
      };
    });

  /** What one or several calls found of a layer at one step. */
  const loadStep = async (
    run: string,
    frames: readonly Frame<MaximizationMetadata>[],
    layer: string,
    signal: AbortSignal,
  ): Promise<MaximizedAt> => {
    const found = await Promise.all(frames.map((frame) => loadUnits(run, frame, layer, signal)));
    return {
      step: (frames[0] as (typeof frames)[0]).step,
      units: found.flat().map((unit, index) => ({ ...unit, index })),
    };
  };

  const loadUnits = async (
    run: string,
    { tag: { tag, metadata }, step }: Frame<MaximizationMetadata>,
    layer: string,
    signal: AbortSignal,
  ): Promise<Omit<Maximized, "index">[]> => {
    const { modality } = metadata;
    const [header, arrays, inputs] = await Promise.all([
      headers.load(run, tag, step, signal),
      modality === "image" || modality === "text" ? null : backend.arrays(run, tag, step, 1, signal),
      inputsOf(run, metadata.samples, step, signal),
    ]);
    const url = (index: number) => (modality === "image" ? backend.imageUrl(run, tag, step, index) : null);
    return unitsOf(metadata, layer).map((index) => ({
      unit: metadata.units[index] as Unit,
      modality,
      inputs,
      objective: header.objectives[index] ?? null,
      url: url(index),
      values: arrays?.get(String(index)) ?? null,
      tokens: header.tokens[index] ?? [],
      topSamples: header.top_samples[index] ?? [],
    }));
  };

  const nowUnits = (steps: readonly number[]) =>
    steps.length > 0 ? [steps[nearestIndex(steps, store.step.value)] as number] : [];
  const overUnits = (steps: readonly number[]) => (steps.length > 1 ? spread(steps, FILM_FRAMES) : []);

  return {
    units: askUnits(nowUnits, (found) => found[0] as MaximizedAt),
    unitsFilm: askUnits(overUnits, (found) => found),
    activation: ask("activation", now, first),
    attention: ask("attention", now, first),
    embedding: ask("embedding", now, first),
    embeddingFilm: ask("embedding", over, every),
    projected: resource(end, askProjected),
    weights: resource(end, askWeights),
  };
}

function ownedBy({ layers, owners }: LayerArraysMetadata, module: string): string[] {
  return layers.filter((_, index) => owners[index] === module);
}

function arraysOf(tensors: Tensors, name: string): Map<string, Tensor> {
  return new Map(
    [...tensors].flatMap(([key, tensor]) => {
      const colon = key.indexOf(":");
      if (colon < 0) return [[key, tensor]];
      return key.slice(colon + 1) === name ? [[key.slice(0, colon), tensor]] : [];
    }),
  );
}

function unitsOf({ units }: MaximizationMetadata, layer: string): number[] {
  return units.flatMap((unit, index) => (unit.layer === layer ? [index] : []));
}
