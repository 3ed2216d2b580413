/** Two runs that differ: in the second, gradients are twice as large, the last layer is called otherwise, the first is gone. */

import type { Backend } from "../src/backend";
import type { ModelGraph } from "../src/graph";
import type { Metadata } from "../src/wire";
import { mockBackend, type Shape } from "./mock";

export const OTHER = "lr=0.1, no warm-up";
export const RENAMED = "classifier";

export function comparedBackend(shape: Shape): Backend {
  const backend = mockBackend(shape);
  const [gone, last] = [shape.layers[0] as string, shape.layers.at(-1) as string];
  const there = (name: string) => (name.split(".")[0] === last ? RENAMED + name.slice(last.length) : name);
  const back = (name: string) => (name.split(".")[0] === RENAMED ? last + name.slice(RENAMED.length) : name);
  const held = (name: string) => name.split(".")[0] !== gone;
  const moved = <M extends Metadata>(metadata: M): M =>
    "layers" in metadata && !("method" in metadata)
      ? {
          ...metadata,
          layers: metadata.layers.map(there),
          ...("owners" in metadata && { owners: metadata.owners.map(there) }),
        }
      : metadata;
  return {
    ...backend,
    tags: async (run, signal) => {
      const listing = await backend.tags(run, signal);
      if (run !== OTHER) return listing;
      const tags = listing.tags.map((entry) => ({ ...entry, metadata: entry.metadata && moved(entry.metadata) }));
      return { ...listing, tags };
    },
    array: async (run, tag, wanted, signal) => {
      const own = run === OTHER ? { ...wanted, ...(wanted.rows && { rows: wanted.rows.map(back) }) } : wanted;
      const numbers = await backend.array(run, tag, own, signal);
      return run === OTHER ? { ...numbers, values: numbers.values.map((value) => 2 * value) } : numbers;
    },
    graph: async (run, tag, step, signal) => {
      const graph = await backend.graph(run, tag, step, signal);
      return run === OTHER ? without(graph, held, there) : graph;
    },
    comparison: async (run, other) => {
      const graph = await backend.graph(run, "", 0, new AbortController().signal);
      const forth = [...graph.nodes.keys()].map((id) => {
        if (!held(id)) return { a: id, b: null, state: "removed", changes: [] };
        return { a: id, b: there(id), state: there(id) === id ? "same" : "changed", changes: ["parameters"] };
      });
      const nodes = run === OTHER ? forth.map((node) => ({ ...node, a: node.b, b: node.a })) : forth;
      return { run, other, nodes, version: 1 };
    },
  };
}

function without(graph: ModelGraph, held: (id: string) => boolean, there: (id: string) => string): ModelGraph {
  const kept = [...graph.nodes.values()].filter(({ id }) => held(id));
  const nodes = new Map(
    kept.map((node) => [there(node.id), { ...node, id: there(node.id), module: there(node.module) }]),
  );
  const edges = graph.edges
    .filter(({ source, target }) => held(source) && held(target))
    .map((edge) => ({ ...edge, source: there(edge.source), target: there(edge.target) }));
  return { ...graph, nodes, edges };
}
