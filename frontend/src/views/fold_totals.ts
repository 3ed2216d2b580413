import type { ModelGraph } from "../graph";
import { hierarchyOf, membersOf } from "../layout/hierarchy";
import type { Fold, Node } from "../wire";

/** What stands for one repetition: its first module, else the first of its nodes. */
export function headOf(graph: ModelGraph, fold: Fold, repetition: number): Node | undefined {
  const nodes = membersOf(hierarchyOf(graph), fold, repetition).flatMap((id) => graph.nodes.get(id) ?? []);
  return nodes.find(({ kind }) => kind === "module") ?? nodes[0];
}

export interface Totals {
  readonly parameters: number;
  readonly bytes: number;
}

const known = new WeakMap<Fold, Totals>();

/** Parameters in a fold, each module counted once: of one repetition where all have the same weights. */
export function foldTotals(graph: ModelGraph, fold: Fold): Totals {
  const before = known.get(fold);
  if (before) return before;
  const { folds } = hierarchyOf(graph);
  const modules = new Set<string>();
  let [parameters, bytes] = [0, 0];
  for (const id of fold.shared ? (fold.members[0] ?? []) : fold.members.flat()) {
    const [inner, node] = [folds.get(id), graph.nodes.get(id)];
    const inside = inner ? foldTotals(graph, inner) : null;
    const counted = node && !modules.has(node.module || id);
    if (node) modules.add(node.module || id);
    parameters += inside?.parameters ?? (counted ? node.total_parameters : 0);
    bytes += inside?.bytes ?? (counted ? node.total_bytes : 0);
  }
  const totals = { parameters, bytes };
  known.set(fold, totals);
  return totals;
}
