/** What the store asks of the backend: what a run holds, and of its numbers no more than what is shown. */

import type { ReadonlySignal } from "@preact/signals";
import type { Backend, Numbers } from "./backend";
import type { Tag } from "./data";
import type { ModelGraph } from "./graph";
import { allRows, type LoadedSeries, loadSeries, type Rows } from "./loading";
import { type Question, type Resource, resource } from "./resource";
import type { Store } from "./store";
import type { FindingsListing, Metadata, SeriesMetadata, TagListing } from "./wire";

type Asked<T> = ReadonlySignal<Resource<T>>;

/** Series name -> what is loaded of it. */
export type AllSeries = ReadonlyMap<string, LoadedSeries>;

/**
 * What can be asked, each made a resource that follows the choices of the store. They are asked as they are made, so
 * each is made when the store holds those that it depends on: runs first, then the listing.
 */
export function questions(store: Store, backend: Backend, end: AbortSignal) {
  const ofRun = <T>(what: string, load: (run: string, s: AbortSignal, known: T | null) => Promise<T>) =>
    resource<T>(end, () => {
      const run = store.run.value;
      const look = store.look.value;
      return run === null
        ? null
        : { key: JSON.stringify([what, run]), look, live: true, load: (s, known) => load(run, s, known) };
    });

  const askGraph = (): Question<ModelGraph> | null => {
    const run = store.run.value;
    const tag = store.tags.value.graph.at(-1);
    const step = tag?.steps.at(-1);
    if (run === null || tag === undefined || step === undefined) return null;
    return {
      key: JSON.stringify([run, tag.tag]),
      version: String(step),
      look: store.look.value,
      load: (signal) => backend.graph(run, tag.tag, step, signal),
    };
  };

  const askSeries = (name: string | undefined): Question<LoadedSeries> | null => {
    const run = store.run.value;
    if (run === null || name === undefined) return null;
    const tags = store.tags.value.series.filter(({ metadata }) => metadata.name === name);
    return {
      key: JSON.stringify([run, name]),
      version: state(tags),
      look: store.look.value,
      live: true,
      load: (signal, known) => loadSeries(backend, run, tags, allRows, signal, known),
    };
  };

  const askScalar = (): Question<Numbers> | null => {
    const run = store.run.value;
    const scalar = store.scalar.value;
    if (run === null || scalar === null) return null;
    return {
      key: JSON.stringify([run, scalar]),
      look: store.look.value,
      live: true,
      load: async (signal, known) => {
        const curve = await backend.scalar(run, scalar, signal);
        const grown = known?.steps.length !== curve.steps.length || known.wallTimes.at(-1) !== curve.wallTimes.at(-1);
        return grown ? curve : known;
      },
    };
  };

  return {
    runs: (): Asked<readonly string[]> =>
      resource(end, () => ({
        key: "runs",
        look: store.look.value,
        live: true,
        load: async (signal, known) => same(known, [...(await backend.runs(signal)).runs]),
      })),
    listing: (): Asked<TagListing> =>
      ofRun("tags", async (run, signal, known) => same(known, await backend.tags(run, signal))),
    findings: (): Asked<FindingsListing> =>
      ofRun("findings", async (run, signal, known) => same(known, await backend.findings(run, signal))),
    graph: (): Asked<ModelGraph> => resource(end, askGraph),
    /** The series of the chosen measure, whole. */
    series: (): Asked<LoadedSeries> => resource(end, () => askSeries(store.measure.value?.series)),
    /** How well each layer tells the classes, of every layer; nothing is asked where that was not recorded. */
    probes: (): Asked<LoadedSeries> =>
      resource(end, () => askSeries(store.seriesNames.value.find((name) => name === "linear_probes"))),
    /** One row of every series, for the steps at which it was saved. */
    recorded: (): Asked<AllSeries> =>
      resource(end, () => {
        const run = store.run.value;
        return run === null ? null : askRows(store, backend, JSON.stringify(["recorded", run]), firstRow);
      }),
    scalarCurve: (): Asked<Numbers> => resource(end, askScalar),
  };
}

const firstRow: Rows = ({ layers }) => layers.slice(0, 1);

/** The question for some rows of every series of the run. */
export function askRows(store: Store, backend: Backend, key: string, rows: Rows): Question<AllSeries> | null {
  const run = store.run.value;
  const tags = store.tags.value.series;
  if (run === null || store.listing.value.data === null) return null;
  return {
    key,
    version: state(tags),
    look: store.look.value,
    live: true,
    load: async (signal, known) => {
      const names = store.seriesNames.peek();
      const of = (name: string): Tag<SeriesMetadata>[] => tags.filter(({ metadata }) => metadata.name === name);
      const all = await Promise.all(
        names.map((name) => loadSeries(backend, run, of(name), rows, signal, known?.get(name) ?? null)),
      );
      const loaded = new Map(names.map((name, index) => [name, all[index] as LoadedSeries]));
      const unchanged = known?.size === loaded.size && names.every((name) => known.get(name) === loaded.get(name));
      return unchanged ? known : loaded;
    },
  };
}

/** Changes when any of the tags grows, or others come. */
function state(tags: readonly Tag<Metadata>[]): string {
  return JSON.stringify(tags.map(({ tag, last }) => [tag, last]));
}

/** `known` if it says the same as `next`, so that nobody is woken. */
function same<T>(known: T | null, next: T): T {
  return known !== null && JSON.stringify(known) === JSON.stringify(next) ? known : next;
}
