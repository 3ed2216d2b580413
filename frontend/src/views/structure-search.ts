// Which boxes a search or a selection lights up.

import type { ModelGraph } from "../graph";
import { hierarchyOf, nameOf, pathTo, visibleBox } from "../layout/hierarchy";
import type { Node } from "../wire";

/** True if `query` (any case) is part of the node's id, qualified name, shown name, class or operation. */
export function matches(graph: ModelGraph, node: Node, query: string): boolean {
  const wanted = query.trim().toLowerCase();
  const texts = [node.id, node.module, nameOf(graph, node), node.class_name, node.op];
  return wanted !== "" && texts.some((text) => text.toLowerCase().includes(wanted));
}

export interface Hits {
  /** How many nodes match, and how many of them are inside closed containers. */
  count: number;
  hidden: number;
  /** The visible boxes that match or hold a match. */
  boxes: ReadonlySet<string>;
}

/** The matches of `query`, or null if there is no query. */
export function search(graph: ModelGraph, expanded: ReadonlySet<string>, query: string): Hits | null {
  if (query.trim() === "") return null;
  const hierarchy = hierarchyOf(graph);
  const boxes = new Set<string>();
  let [count, hidden] = [0, 0];
  for (const node of graph.nodes.values()) {
    if (!matches(graph, node, query)) continue;
    const box = visibleBox(hierarchy, expanded, node.id) ?? node.id;
    count += 1;
    if (box !== node.id) hidden += 1;
    boxes.add(box);
  }
  return { count, hidden, boxes };
}

/** Indices of the edges that enter or leave `id` (of a container: through its wall). */
export function edgesOf(graph: ModelGraph, id: string | null): Set<number> {
  const indices = new Set<number>();
  if (id === null) return indices;
  const hierarchy = hierarchyOf(graph);
  const inside = (end: string) => pathTo(hierarchy, end).includes(id);
  graph.edges.forEach((edge, i) => {
    if (edge.source === id || edge.target === id || inside(edge.source) !== inside(edge.target)) indices.add(i);
  });
  return indices;
}
