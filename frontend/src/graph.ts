import type { GraphBlob, Node } from "./wire";

/** The structure as the views read it: its nodes are found by id and stand in order of execution. */
export interface ModelGraph extends Omit<GraphBlob, "nodes"> {
  /** Node id -> node. A `Map`, since objects put ids like "0" and "1" first, whatever the order was. */
  readonly nodes: ReadonlyMap<string, Node>;
}

/** The graph of a blob; of two nodes of one id the later counts. */
export function toGraph(blob: GraphBlob): ModelGraph {
  return { ...blob, nodes: new Map(blob.nodes.map((node) => [node.id, node])) };
}

/** The node of that id, or undefined. */
export function nodeOf(graph: ModelGraph | null, id: string | null): Node | undefined {
  return id === null ? undefined : graph?.nodes.get(id);
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

/** Ids of the modules from which the outputs come, straight or through functions (a softmax, say). */
export function lastModules(graph: ModelGraph): Set<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const waiting = [...graph.nodes.values()].filter(({ kind }) => kind === "output").map(({ id }) => id);
  for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
    for (const { source, target } of graph.edges) {
      if (target !== id || seen.has(source)) continue;
      seen.add(source);
      const kind = nodeOf(graph, source)?.kind;
      if (kind === "module") found.add(source);
      if (kind === "function") waiting.push(source);
    }
  }
  return found;
}
