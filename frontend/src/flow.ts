/** What a node's result depends on, and what depends on it: everything up- and downstream along the edges. */

import type { ModelGraph } from "./graph";
import { hierarchyOf } from "./layout/hierarchy";

export type Direction = "up" | "down" | "both";

export interface Reach {
  /** Ids of the nodes that are reached, with the node itself, its content, and all that holds one of them. */
  readonly nodes: ReadonlySet<string>;
  /** Indices into `graph.edges` of the tensors that lead there. */
  readonly edges: ReadonlySet<number>;
}

/** Indices of the edges at each node's end: those it takes from (`up`) and those it gives to (`down`). */
interface Adjacency {
  readonly up: ReadonlyMap<string, readonly number[]>;
  readonly down: ReadonlyMap<string, readonly number[]>;
}

const adjacencies = new WeakMap<ModelGraph, Adjacency>();

/** The edges of a graph by their ends. */
export function adjacencyOf(graph: ModelGraph): Adjacency {
  const known = adjacencies.get(graph);
  if (known) return known;
  const [up, down] = [new Map<string, number[]>(), new Map<string, number[]>()];
  const put = (ends: Map<string, number[]>, id: string, edge: number) => {
    const edges = ends.get(id);
    if (edges) edges.push(edge);
    else ends.set(id, [edge]);
  };
  graph.edges.forEach(({ source, target }, edge) => {
    put(down, source, edge);
    put(up, target, edge);
  });
  const adjacency = { up, down };
  adjacencies.set(graph, adjacency);
  return adjacency;
}

/** The nodes in `id` that have no children: of a container and of a fold its content, of anything else itself. */
export function contentOf(graph: ModelGraph, id: string): Set<string> {
  const { children } = hierarchyOf(graph);
  const content = new Set<string>();
  const waiting = [id];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const inside = children.get(next);
    if (inside) for (const child of inside) waiting.push(child);
    else if (graph.nodes.has(next)) content.add(next);
  }
  return content;
}

/**
 * All that is upstream of `id`, downstream, or both; a container and a fold count as their content. Linear in the
 * number of nodes and edges. Empty for an id that the graph does not have.
 */
export function reach(graph: ModelGraph, id: string, direction: Direction): Reach {
  const start = contentOf(graph, id);
  const nodes = new Set(start);
  const edges = new Set<number>();
  const adjacency = adjacencyOf(graph);
  for (const way of ["up", "down"] as const) {
    if (direction === "both" || direction === way) walk(graph, start, way, adjacency[way], nodes, edges);
  }
  return { nodes: withHolders(graph, nodes), edges };
}

function walk(
  graph: ModelGraph,
  start: ReadonlySet<string>,
  way: "up" | "down",
  adjacency: ReadonlyMap<string, readonly number[]>,
  nodes: Set<string>,
  edges: Set<number>,
): void {
  const seen = new Set(start); // of this way alone: what is downstream of something upstream is neither
  const waiting = [...start];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const index of adjacency.get(next) ?? []) {
      const edge = graph.edges[index];
      const end = way === "up" ? edge?.source : edge?.target;
      if (end === undefined || !graph.nodes.has(end)) continue;
      edges.add(index);
      nodes.add(end);
      if (seen.has(end)) continue;
      seen.add(end);
      waiting.push(end);
    }
  }
}

/** `nodes`, and the containers and folds that hold one of them. */
function withHolders(graph: ModelGraph, nodes: ReadonlySet<string>): Set<string> {
  const { parent } = hierarchyOf(graph);
  const all = new Set<string>();
  for (const id of nodes)
    for (let at: string | null = id; at !== null && !all.has(at); at = parent.get(at) ?? null) all.add(at);
  return all;
}
