// The call tree of a graph: which boxes stand in which container, with repeated siblings gathered in folds.

import type { ModelGraph } from "../graph";
import type { Fold, Node } from "../wire";

export interface Hierarchy {
  /**
   * Boxes directly inside each container, in order of execution; the key null is the top of the model. A fold stands
   * in the place of its members and is itself a container: of all its members, one repetition after the other.
   */
  readonly children: ReadonlyMap<string | null, readonly string[]>;
  /** The container of each box: of a member its fold. A container always stands before its content. */
  readonly parent: ReadonlyMap<string, string | null>;
  /** The folds that hold together, by id; one whose members are missing or stand elsewhere is none. */
  readonly folds: ReadonlyMap<string, Fold>;
  /** Where each box stands among the children of its container. */
  readonly position: ReadonlyMap<string, number>;
}

const hierarchies = new WeakMap<ModelGraph, Hierarchy>();

/** The call tree of `graph`. A parent that is missing or not yet executed counts as the top. */
export function hierarchyOf(graph: ModelGraph): Hierarchy {
  const known = hierarchies.get(graph);
  if (known) return known;
  const around = new Map<string, string | null>();
  for (const { id, parent } of graph.nodes.values())
    around.set(id, parent !== null && around.has(parent) ? parent : null);
  const { folds, foldOf } = soundFolds(graph, around);
  const children = new Map<string | null, string[]>([[null, []]]);
  const parent = new Map<string, string | null>();
  const add = (id: string, container: string | null) => {
    parent.set(id, container);
    const siblings = children.get(container);
    if (siblings) siblings.push(id);
    else children.set(container, [id]);
  };
  for (const [id, container] of around) {
    // A fold takes its place at its first member, the outermost first.
    const chain: string[] = [];
    for (let fold = foldOf.get(id); fold !== undefined && !parent.has(fold); fold = foldOf.get(fold)) chain.push(fold);
    for (const fold of chain.reverse()) add(fold, foldOf.get(fold) ?? container);
    add(id, foldOf.get(id) ?? container);
  }
  for (const [id, fold] of folds) children.set(id, fold.members.flat());
  const position = new Map([...children.values()].flatMap((boxes) => boxes.map((id, i) => [id, i] as const)));
  const hierarchy = { children, parent, folds, position };
  hierarchies.set(graph, hierarchy);
  return hierarchy;
}

/** The folds whose members are all there, inside the container that the fold names and in no other fold. */
function soundFolds(graph: ModelGraph, around: ReadonlyMap<string, string | null>) {
  const folds = new Map<string, Fold>();
  const foldOf = new Map<string, string>();
  const waiting = graph.folds.filter(({ id, members }) => !graph.nodes.has(id) && members.length > 1);
  // Inner folds first: each round takes those whose members are all known by now.
  for (let before = -1; folds.size > before; ) {
    before = folds.size;
    for (const fold of waiting) {
      const ids = fold.members.flat();
      const container = (id: string) => (folds.has(id) ? (folds.get(id)?.parent ?? null) : around.get(id));
      const free = (id: string) => container(id) === fold.parent && !foldOf.has(id);
      if (folds.has(fold.id) || ids.length === 0 || new Set(ids).size < ids.length || !ids.every(free)) continue;
      folds.set(fold.id, fold);
      for (const id of ids) foldOf.set(id, fold.id);
    }
  }
  return { folds, foldOf };
}

/** Ids from the top of the model down to `id` itself, folds among them. */
export function pathTo(hierarchy: Hierarchy, id: string): string[] {
  const path: string[] = [];
  for (let at: string | null = hierarchy.parent.has(id) ? id : null; at !== null; at = hierarchy.parent.get(at) ?? null)
    path.push(at);
  return path.reverse();
}

/**
 * A fold is in one of three states: closed (null), open at one repetition (the word `<id>` or, but for the first,
 * `<id>@3` in the set of what is open), or unfolded, all repetitions side by side (`<id>@*`).
 */
export type FoldState = number | "all" | null;

const states = new WeakMap<ReadonlySet<string>, { hierarchy: Hierarchy; folds: Map<string, FoldState> }>();

/** What each fold that is not closed shows. */
function openFolds(hierarchy: Hierarchy, expanded: ReadonlySet<string>): Map<string, FoldState> {
  const known = states.get(expanded);
  if (known?.hierarchy === hierarchy) return known.folds;
  const folds = new Map<string, FoldState>();
  for (const token of hierarchy.folds.size > 0 ? expanded : []) {
    const at = hierarchy.folds.has(token) ? token.length : token.lastIndexOf("@");
    const fold = at < 0 ? undefined : hierarchy.folds.get(token.slice(0, at));
    if (!fold) continue;
    const choice = token.slice(at + 1);
    const last = fold.members.length - 1;
    if (choice === "*") folds.set(fold.id, "all");
    else if (/^\d*$/.test(choice)) folds.set(fold.id, Math.min(last, Number(choice)));
  }
  states.set(expanded, { hierarchy, folds });
  return folds;
}

export function foldState(hierarchy: Hierarchy, expanded: ReadonlySet<string>, fold: string): FoldState {
  return openFolds(hierarchy, expanded).get(fold) ?? null;
}

/** True if `id` is a container or fold whose content is on view, provided that it is itself. */
export function isOpen(hierarchy: Hierarchy, expanded: ReadonlySet<string>, id: string): boolean {
  if (hierarchy.folds.has(id)) return foldState(hierarchy, expanded, id) !== null;
  return expanded.has(id) && hierarchy.children.has(id);
}

/** The boxes that `container` shows when it is open: of a fold those of the chosen repetition, or all. */
export function shownChildren(
  hierarchy: Hierarchy,
  expanded: ReadonlySet<string>,
  container: string | null,
): readonly string[] {
  const fold = container === null ? undefined : hierarchy.folds.get(container);
  const state = fold ? foldState(hierarchy, expanded, fold.id) : null;
  if (fold && typeof state === "number") return fold.members[state] ?? [];
  return hierarchy.children.get(container) ?? [];
}

/** The box that stands for `id` on the screen: itself, its outermost closed container, or the fold that hides it. */
export function visibleBox(hierarchy: Hierarchy, expanded: ReadonlySet<string>, id: string): string | null {
  const path = pathTo(hierarchy, id);
  for (const [i, step] of path.entries()) {
    const next = path[i + 1];
    if (next === undefined || !isOpen(hierarchy, expanded, step)) return step;
    if (hierarchy.folds.has(step) && !shownChildren(hierarchy, expanded, step).includes(next)) return step;
  }
  return null;
}

/** The nodes that one repetition of a fold consists of, folds in it resolved to their own first repetition. */
export function membersOf(hierarchy: Hierarchy, fold: Fold, repetition: number): string[] {
  return (fold.members[repetition] ?? []).flatMap((id) => {
    const inner = hierarchy.folds.get(id);
    return inner ? membersOf(hierarchy, inner, 0) : [id];
  });
}

/** What a box is called: the name of a node inside its container, or the label of a fold. */
export function labelOf(graph: ModelGraph, id: string): string {
  const node = graph.nodes.get(id);
  return node ? nameOf(graph, node) : (hierarchyOf(graph).folds.get(id)?.label ?? id);
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

/** How many boxes are directly inside a container, each repetition of a fold counted; 0 for a leaf. */
export function contentCount(hierarchy: Hierarchy, id: string): number {
  const inside = hierarchy.children.get(id) ?? [];
  return inside.reduce((sum, child) => sum + (hierarchy.folds.get(child)?.members.length ?? 1), 0);
}
