import type { ModelGraph, Node } from "./wire";

/** The node of that id, or undefined; a layer may be called `constructor`. */
export function nodeOf(graph: ModelGraph | null, id: string | null): Node | undefined {
  return graph !== null && id !== null && Object.hasOwn(graph.nodes, id) ? graph.nodes[id] : undefined;
}

/** Ids of the nodes around a node, innermost first; from its dotted name where the graph does not have it. */
export function ancestors(id: string, graph: ModelGraph | null): string[] {
  const found: string[] = [];
  const node = nodeOf(graph, id);
  if (node !== undefined) {
    let parent = node.parent;
    while (parent !== null && !found.includes(parent)) {
      found.push(parent);
      parent = nodeOf(graph, parent)?.parent ?? null;
    }
    return found;
  }
  const parts = id.split(".");
  while (parts.length > 1) {
    parts.pop();
    found.push(parts.join("."));
  }
  return found;
}
