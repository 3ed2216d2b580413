/**
 * Two runs, or two steps of one run. What is compared with is a store of its own, which shares every choice but run and
 * step; so each view can show either side. What follows from both is here: who is who, and the difference.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Backend } from "./backend";
import { type Counterpart, counterpartOf, reversed, SAME_NAMES } from "./counterpart";
import { type Difference, differenceOf } from "./difference";
import { type Resource, resource } from "./resource";
import type { Store } from "./store";
import type { ComparisonListing } from "./wire";

export interface Comparison {
  /** What is compared with; it holds nothing as long as nothing is compared. */
  readonly other: Store;
  readonly active: ReadonlySignal<boolean>;
  /** Whether both sides are shown rather than their difference. */
  readonly sideBySide: ReadonlySignal<boolean>;
  readonly counterpart: ReadonlySignal<Counterpart>;
  /** The same as the other side sees it. */
  readonly back: ReadonlySignal<Counterpart>;
  /** Why it is not known who is who, in words; "" if it is. */
  readonly problem: ReadonlySignal<string>;
  readonly difference: ReadonlySignal<Difference | null>;
  /** The side that is shown alone while its key is held down, in the place of both. */
  readonly held: Signal<"A" | "B" | null>;
}

/** Follow the choices of the store. */
export function comparisonOf(store: Store, other: Store, backend: Backend, end: AbortSignal): Comparison {
  const active = computed(() => other.run.value !== null);
  const listing = resource<ComparisonListing>(end, () => {
    const [run, against] = [store.run.value, other.run.value];
    if (run === null || against === null || run === against) return null;
    const [here, there] = [store.tags.value.graph.at(-1), other.tags.value.graph.at(-1)];
    if (here === undefined || there === undefined) return null;
    return {
      key: JSON.stringify([run, against]),
      version: JSON.stringify([here.tag, here.last, there.tag, there.last]),
      look: store.look.value,
      load: (signal) => backend.comparison(run, against, signal),
    };
  });
  const counterpart = computed(() => {
    const { data } = listing.value;
    return data === null ? SAME_NAMES : counterpartOf(data);
  });
  return {
    other,
    active,
    sideBySide: computed(() => active.value && store.chosen("compareAs") === "side"),
    counterpart,
    back: computed(() => reversed(counterpart.value)),
    problem: computed(() => (listing as ReadonlySignal<Resource<unknown>>).value.error),
    held: signal(null),
    difference: computed(() => (active.value ? differenceOf(store, other, counterpart.value) : null)),
  };
}
