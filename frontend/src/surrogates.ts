/** The surrogates of the run: each at the step that is shown, its scores over the steps, and which one is looked at. */

import { computed, type ReadonlySignal } from "@preact/signals";
import type { Backend } from "./backend";
import { BlobMemory, spread, type Tag } from "./data";
import { type Resource, resource } from "./resource";
import { nearest } from "./series";
import type { Store } from "./store";
import type { Surrogate, SurrogateMetadata } from "./wire";

/** A surrogate at the saved step that is nearest to the one shown. */
export interface Imitation {
  /** What it sees, and its kind: the name of its tag. */
  readonly name: string;
  readonly step: number;
  /** Null where it cannot be read. */
  readonly surrogate: Surrogate | null;
  /** Why not, in words; "" if it can. */
  readonly problem: string;
}

/** How well a surrogate imitated the network at some steps; NaN where that cannot be read. */
export interface Scores {
  readonly steps: readonly number[];
  readonly heldOut: readonly number[];
  readonly training: readonly number[];
}

export interface Surrogates {
  readonly all: ReadonlySignal<Resource<readonly Imitation[]>>;
  /** Name -> its scores, at no more than `MOST_SCORES` steps spread over the run. */
  readonly scores: ReadonlySignal<Resource<ReadonlyMap<string, Scores>>>;
  /** Those of the selected layer; without one, all. */
  readonly listed: ReadonlySignal<readonly Imitation[]>;
  /** The one of them that is looked at. */
  readonly shown: ReadonlySignal<Imitation | null>;
  /** The output whose importances are shown. */
  readonly output: ReadonlySignal<number>;
  /** The one with a tree that has the place of the structure. */
  readonly enlarged: ReadonlySignal<Imitation | null>;
}

const MOST_SCORES = 24;

/** Follow the store's run and step with its surrogates. */
export function surrogatesOf(store: Store, backend: Backend, end: AbortSignal): Surrogates {
  const memory = new BlobMemory(backend.surrogate);
  const scored = new BlobMemory(
    async (run, tag, step, signal) => {
      const { score, training_score } = await memory.load(run, tag, step, signal);
      return [score, training_score] as const;
    },
    1000, // of a surrogate itself, which may be large, only the last are remembered
  );

  const all = resource<readonly Imitation[]>(end, () => {
    const run = store.run.value;
    const near = held(store).flatMap((tag) => {
      const step = nearest(tag.steps, store.step.value);
      return step === null ? [] : [{ tag, step }];
    });
    if (run === null || near.length === 0) return null;
    return {
      key: JSON.stringify(["surrogates", run]),
      version: JSON.stringify(near.map(({ tag, step }) => [tag.tag, step])),
      look: store.look.value,
      load: (signal) =>
        Promise.all(near.map(({ tag, step }) => imitation(memory.load(run, tag.tag, step, signal), tag, step, signal))),
    };
  });

  const scores = resource<ReadonlyMap<string, Scores>>(end, () => {
    const run = store.run.value;
    const wanted = held(store).map((tag) => ({ tag, steps: spread(tag.steps, MOST_SCORES) }));
    if (run === null || wanted.length === 0) return null;
    return {
      key: JSON.stringify(["surrogate scores", run]),
      version: JSON.stringify(wanted.map(({ tag, steps }) => [tag.tag, steps])),
      look: store.look.value,
      load: async (signal) => {
        const found = wanted.map(async ({ tag, steps }): Promise<[string, Scores]> => {
          const pairs = await Promise.all(
            steps.map((step) => scored.load(run, tag.tag, step, signal).catch(unless(signal, UNREAD))),
          );
          return [
            tag.metadata.name,
            { steps, heldOut: pairs.map(([heldOut]) => heldOut), training: pairs.map(([, training]) => training) },
          ];
        });
        return new Map(await Promise.all(found));
      },
    };
  });

  const listed = computed(() => {
    const layer = store.layer.value;
    const found = all.value.data ?? [];
    return layer === null ? found : found.filter(({ surrogate }) => surrogate?.of === layer);
  });
  const shown = computed(() => {
    const chosen = store.chosen("surrogate");
    return listed.value.find(({ name }) => name === chosen) ?? listed.value[0] ?? null;
  });
  return {
    all,
    scores,
    listed,
    shown,
    output: computed(() => {
      const count = shown.value?.surrogate?.importances.length ?? 0;
      return Math.min(store.chosen("output") ?? 0, Math.max(0, count - 1));
    }),
    enlarged: computed(() => (store.chosen("tree") && shown.value?.surrogate?.tree.length ? shown.value : null)),
  };
}

/** Those of the inputs first, and of them trees, which can be read from end to end. */
function held(store: Store): readonly Tag<SurrogateMetadata>[] {
  const place = ({ metadata: { name } }: Tag<SurrogateMetadata>) =>
    (name.startsWith("inputs/") ? 0 : 2) + (name.endsWith("/decision_tree") ? 0 : 1);
  return [...store.tags.value.surrogate].sort((one, other) => place(one) - place(other));
}

const UNREAD = [Number.NaN, Number.NaN] as const;

/** What stands for something that failed; not for what nobody waits for any more. */
function unless<T>(signal: AbortSignal, instead: T): (error: unknown) => T {
  return (error) => {
    if (signal.aborted) throw error;
    return instead;
  };
}

async function imitation(
  loading: Promise<Surrogate>,
  { metadata: { name } }: Tag<SurrogateMetadata>,
  step: number,
  signal: AbortSignal,
): Promise<Imitation> {
  try {
    return { name, step, surrogate: await loading, problem: "" };
  } catch (error) {
    if (signal.aborted) throw error;
    return { name, step, surrogate: null, problem: error instanceof Error ? error.message : String(error) };
  }
}
