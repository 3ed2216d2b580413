// The call tree of a graph: which boxes stand in which container, and which of them are on view.

import type { ModelGraph } from "../graph";
import type { Node } from "../wire";

export interface Hierarchy {
  /** Boxes directly inside each container, in order of execution; the key null is the top of the model. */
  readonly children: ReadonlyMap<string | null, readonly string[]>;
  /** The container of each box. It always stands before the box in `graph.nodes`, so a chain of parents ends. */
  readonly parent: ReadonlyMap<string, string | null>;
}

const hierarchies = new WeakMap<ModelGraph, Hierarchy>();

/** The call tree of `graph`. A parent that is missing or not yet executed counts as the top. */
export function hierarchyOf(graph: ModelGraph): Hierarchy {
  const known = hierarchies.get(graph);
  if (known) return known;
  const children = new Map<string | null, string[]>([[null, []]]);
  const parent = new Map<string, string | null>();
  for (const node of graph.nodes.values()) {
    const container = node.parent !== null && parent.has(node.parent) ? node.parent : null;
    parent.set(node.id, container);
    const siblings = children.get(container);
    if (siblings) siblings.push(node.id);
    else children.set(container, [node.id]);
  }
  const hierarchy = { children, parent };
  hierarchies.set(graph, hierarchy);
  return hierarchy;
}

/** Ids from the top of the model down to `id` itself. */
export function pathTo(hierarchy: Hierarchy, id: string): string[] {
  const path: string[] = [];
  for (let at: string | null = hierarchy.parent.has(id) ? id : null; at !== null; at = hierarchy.parent.get(at) ?? null)
    path.push(at);
  return path.reverse();
}

/** The box that stands for `id` on the screen: itself, or its outermost closed container. */
export function visibleBox(hierarchy: Hierarchy, expanded: ReadonlySet<string>, id: string): string | null {
  const path = pathTo(hierarchy, id);
  return path.find((step) => !expanded.has(step) || !hierarchy.children.has(step)) ?? path.at(-1) ?? null;
}

/** The name of a box inside its container: the path relative to the enclosing module, with `#k` for later calls. */
export function nameOf(graph: ModelGraph, node: Node): string {
  if (node.kind === "input" || node.kind === "output") return terminalName(node);
  if (node.kind !== "module") return node.kind === "function" ? node.op || node.id : lastSegment(node.id);
  const call = node.call > 0 ? `#${node.call}` : "";
  if (!node.module) return node.id;
  const enclosing = node.parent === null ? "" : (graph.nodes.get(node.parent)?.module ?? "");
  if (enclosing && node.module.startsWith(`${enclosing}.`)) return node.module.slice(enclosing.length + 1) + call;
  return (enclosing ? lastSegment(node.module) : node.module) + call;
}

/** `input/mask` as "mask", as the box shows that it is an input; a bare index keeps its kind: `output/0` is "output 0". */
function terminalName(node: Node): string {
  const name = node.id.startsWith(`${node.kind}/`) ? node.id.slice(node.kind.length + 1) : node.id;
  return /^\d*$/.test(name) ? `${node.kind} ${name}`.trim() : name;
}

function lastSegment(path: string): string {
  return path.slice(path.lastIndexOf(".") + 1) || path;
}

const FEW = 15;
const MANY = 40;
const TOO_MANY = 200;

/**
 * The containers that are open at first: level by level until 15 to 40 boxes show (leaves and closed containers; what
 * is open is a frame around its boxes). Where a whole level is too much, its containers open one by one in order of
 * execution as long as the picture stays at 40 boxes; a model whose every container is larger opens its smallest one
 * (up to 200 boxes), because a single closed box tells nothing.
 */
export function openingExpansion(graph: ModelGraph): Set<string> {
  const { children } = hierarchyOf(graph);
  const size = (id: string) => children.get(id)?.length ?? 0;
  const open = new Set<string>();
  let shown = children.get(null)?.length ?? 0;
  let level = (children.get(null) ?? []).filter((id) => size(id) > 0);
  while (shown < FEW && level.length > 0) {
    const all = level.reduce((sum, id) => sum + size(id) - 1, shown);
    const opened: string[] = [];
    for (const id of level) {
      if (all > MANY && (shown >= FEW || shown + size(id) - 1 > MANY)) continue;
      opened.push(id);
      shown += size(id) - 1;
    }
    const smallest = level.reduce((least, id) => (size(id) < size(least) ? id : least));
    if (opened.length === 0 && size(smallest) <= TOO_MANY) {
      opened.push(smallest);
      shown += size(smallest) - 1;
    }
    for (const id of opened) open.add(id);
    level = opened.flatMap((id) => (children.get(id) ?? []).filter((child) => size(child) > 0));
  }
  return open;
}
