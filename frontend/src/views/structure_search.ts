// What a search finds, and which boxes a search or a selection lights up.

import { adjacencyOf, contentOf } from "../flow";
import type { ModelGraph } from "../graph";
import { hierarchyOf, nameOf, visibleBox } from "../layout/hierarchy";
import { patternOf } from "../pattern";
import type { Node } from "../wire";

export interface Found {
  /** Ids of the nodes that match, in order of execution. */
  ids: ReadonlySet<string>;
  /** Why the query is no expression, in words; "" if all is well. */
  problem: string;
}

const latest = new WeakMap<ModelGraph, { query: string; found: Found | null }>();

/** The nodes whose id, qualified name, shown name, class or operation match `query` (see `patternOf`); null without one. */
export function find(graph: ModelGraph, query: string): Found | null {
  const known = latest.get(graph);
  if (known?.query === query) return known.found;
  const pattern = patternOf(query);
  const matches = (node: Node) =>
    [node.id, node.module, nameOf(graph, node), node.class_name, node.op].some((text) => pattern?.test(text));
  const found = pattern && {
    ids: new Set(pattern.problem ? [] : [...graph.nodes.values()].filter(matches).map(({ id }) => id)),
    problem: pattern.problem,
  };
  latest.set(graph, { query, found });
  return found;
}

/** The match after (`by` = 1) or before (-1) the selected node in order of execution, round the end; null if none. */
export function neighbour(graph: ModelGraph, found: Found, selected: string | null, by: 1 | -1): string | null {
  const ids = [...found.ids];
  if (ids.length === 0) return null;
  if (selected === null) return (by === 1 ? ids[0] : ids.at(-1)) ?? null;
  const order = new Map([...graph.nodes.keys()].map((id, index) => [id, index]));
  const here = order.get(selected) ?? -1;
  const beyond = (id: string) => (order.get(id) ?? 0) * by > here * by;
  return (by === 1 ? (ids.find(beyond) ?? ids[0]) : (ids.findLast(beyond) ?? ids.at(-1))) ?? null;
}

export interface Hits {
  /** How many nodes match, and how many of them are inside closed containers. */
  count: number;
  hidden: number;
  /** The visible boxes that match or hold a match. */
  boxes: ReadonlySet<string>;
}

/** The matches of `query` as boxes of the picture, or null if there is no query. */
export function search(graph: ModelGraph, expanded: ReadonlySet<string>, query: string): Hits | null {
  const found = find(graph, query);
  if (found === null) return null;
  const hierarchy = hierarchyOf(graph);
  const boxes = new Set<string>();
  let hidden = 0;
  for (const id of found.ids) {
    const box = visibleBox(hierarchy, expanded, id) ?? id;
    if (box !== id) hidden += 1;
    boxes.add(box);
  }
  return { count: found.ids.size, hidden, boxes };
}

/** Indices of the edges that enter or leave `id` (of a container or a fold: through its wall). */
export function edgesOf(graph: ModelGraph, id: string | null): Set<number> {
  const indices = new Set<number>();
  if (id === null) return indices;
  const { up, down } = adjacencyOf(graph);
  const inside = contentOf(graph, id);
  for (const node of new Set(inside).add(id)) {
    for (const index of [...(up.get(node) ?? []), ...(down.get(node) ?? [])]) {
      const edge = graph.edges[index];
      const within = edge && inside.has(edge.source) && inside.has(edge.target);
      if (!within || node === id) indices.add(index);
    }
  }
  return indices;
}
