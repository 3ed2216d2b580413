/** Stand-ins for what is around the store: a host that keeps its hash, a backend that can be made to wait and fail. */

import { mockBackend, type Shape } from "../gallery/mock";
import type { Backend } from "../src/backend";
import type { ModelGraph } from "../src/graph";
import type { Host } from "../src/host";
import { Store } from "../src/store";
import type { TagEntry } from "../src/wire";

export class FakeHost implements Host {
  readonly written: string[] = [];
  /** Of what was written, whether it made an entry in the history. */
  readonly entries: boolean[] = [];
  private readonly hashListeners: (() => void)[] = [];
  private readonly reloadListeners: (() => void)[] = [];

  constructor(private current = "") {}

  hash(): string {
    return this.current;
  }

  writeHash(hash: string, entry = false): void {
    this.current = hash;
    this.written.push(hash);
    this.entries.push(entry);
  }

  address(hash: string): string {
    return `http://tensorboard/${hash}`;
  }

  onHashChange(listener: () => void): void {
    this.hashListeners.push(listener);
  }

  onReload(listener: () => void): void {
    this.reloadListeners.push(listener);
  }

  /** Somebody else changes the address. */
  go(hash: string): void {
    this.current = hash;
    for (const listener of this.hashListeners) listener();
  }

  reload(): void {
    for (const listener of this.reloadListeners) listener();
  }
}

/** Six leaf layers in two blocks, eleven steps of 50, attributions at 0, 200 and 400. */
export const TYPICAL: Shape = {
  layers: ["stem", "blocks.0.conv", "blocks.0.act", "blocks.1.conv", "blocks.1.act", "head"],
  steps: 11,
};

/** The opening that the tests give the store: everything at the top. */
export const opening = (graph: ModelGraph): Set<string> =>
  new Set([...graph.nodes.values()].flatMap(({ id, parent }) => (parent === null && id === "blocks" ? [id] : [])));

export interface Opened {
  readonly store: Store;
  readonly host: FakeHost;
  readonly end: AbortController;
}

/** A store on made-up data, all of whose first questions are answered. */
export async function opened(shape: Shape = TYPICAL, hash = "", changes: Partial<Backend> = {}): Promise<Opened> {
  const host = new FakeHost(hash);
  const end = new AbortController();
  const store = new Store({ ...mockBackend(shape), ...changes }, host, end.signal, opening);
  await settled();
  return { store, host, end };
}

/** A backend whose samples change: saved at `steps`, every pixel but the last of each image is the step itself. */
export function changingSamples(shape: Shape, steps = [0, 220]): Backend {
  const backend = mockBackend(shape);
  return {
    ...backend,
    tags: async (run, signal) => {
      const listing = await backend.tags(run, signal);
      const tags = listing.tags.map((entry) => (entry.kind === "samples" ? { ...entry, steps } : entry));
      return { ...listing, tags };
    },
    tensors: async (run, tag, step, signal) => {
      if (!tag.includes("/samples/")) return backend.tensors(run, tag, step, signal);
      const data = Float32Array.from({ length: 8 * 4 }, (_, pixel) => (pixel % 4 === 3 ? 100 : step));
      return new Map([["0", { shape: [8, 1, 2, 2], data }]]);
    },
  };
}

/** Wait until every promise that can has settled. */
export async function settled(): Promise<void> {
  for (let round = 0; round < 3; round++) await new Promise((resolve) => setTimeout(resolve));
}

/** A promise that the test settles. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T>(): Deferred<T> {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    [resolve, reject] = [yes, no];
  });
  return { promise, resolve, reject };
}

/** The listing of a shape, changed. */
export async function listingOf(shape: Shape, change: (tags: TagEntry[]) => TagEntry[]) {
  const listing = await mockBackend(shape).tags("baseline", new AbortController().signal);
  return { ...listing, tags: change(listing.tags) };
}
