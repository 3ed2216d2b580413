// What is open: ids of containers, and of folds with what they show. Everything here gives a new set or an answer.

import type { ModelGraph } from "../graph";
import { type FoldState, foldState, type Hierarchy, hierarchyOf, isOpen, pathTo, shownChildren } from "./hierarchy";

/** `expanded` without any word about `fold`, and then with `state`. */
export function withFold(expanded: ReadonlySet<string>, fold: string, state: FoldState): Set<string> {
  const next = new Set(expanded);
  for (const token of expanded)
    if (token === fold || (token.startsWith(`${fold}@`) && /^(\d+|\*)$/.test(token.slice(fold.length + 1))))
      next.delete(token);
  if (state === "all") next.add(`${fold}@*`);
  else if (state !== null) next.add(state === 0 ? fold : `${fold}@${state}`);
  return next;
}

/** Opens what is closed and closes what is open; a fold opens at its first repetition. */
export function toggled(graph: ModelGraph, expanded: ReadonlySet<string>, id: string): Set<string> {
  const hierarchy = hierarchyOf(graph);
  if (hierarchy.folds.has(id)) return withFold(expanded, id, foldState(hierarchy, expanded, id) === null ? 0 : null);
  const next = new Set(expanded);
  if (!next.delete(id)) next.add(id);
  return next;
}

/** `expanded` with `fold` open at one repetition, or at all; what was open in the one shown before opens in this too. */
export function showing(
  graph: ModelGraph,
  expanded: ReadonlySet<string>,
  fold: string,
  state: number | "all",
): Set<string> {
  const hierarchy = hierarchyOf(graph);
  const members = hierarchy.folds.get(fold)?.members ?? [];
  const before = foldState(hierarchy, expanded, fold);
  const next = withFold(expanded, fold, state);
  if (typeof before !== "number") return next;
  const from = members[before] ?? [];
  const targets = state === "all" ? members : [members[state] ?? []];
  for (const to of targets) for (const [i, id] of from.entries()) carryOver(hierarchy, expanded, next, id, to[i]);
  return next;
}

/** Open inside `to` what is open inside `from`, box by box in the same places. */
function carryOver(
  hierarchy: Hierarchy,
  expanded: ReadonlySet<string>,
  next: Set<string>,
  from: string,
  to: string | undefined,
): void {
  if (to === undefined || !isOpen(hierarchy, expanded, from) || !hierarchy.children.has(to)) return;
  if (!hierarchy.folds.has(to)) next.add(to);
  else if (!isOpen(hierarchy, next, to)) {
    const state = foldState(hierarchy, expanded, from);
    next.add(state === "all" ? `${to}@*` : state === 0 ? to : `${to}@${state}`);
  }
  const inside = hierarchy.children.get(to) ?? [];
  for (const [i, child] of (hierarchy.children.get(from) ?? []).entries())
    carryOver(hierarchy, expanded, next, child, inside[i]);
}

/** The box that has the place of `id` in another repetition of `fold`; null if `id` is not in it. */
export function counterpart(graph: ModelGraph, fold: string, repetition: number, id: string): string | null {
  const hierarchy = hierarchyOf(graph);
  const path = pathTo(hierarchy, id);
  const at = path.indexOf(fold);
  const members = hierarchy.folds.get(fold)?.members ?? [];
  const member = path[at + 1];
  if (at < 0 || member === undefined) return null;
  const own = members.find((ids) => ids.includes(member)) ?? [];
  let here = members[repetition]?.[own.indexOf(member)];
  for (const step of path.slice(at + 2))
    here = here === undefined ? here : hierarchy.children.get(here)?.[hierarchy.position.get(step) ?? -1];
  return here ?? null;
}

/** `expanded` with everything open around `id`: its containers, and its folds at the repetition that it is part of. */
export function revealing(graph: ModelGraph, expanded: ReadonlySet<string>, id: string): Set<string> {
  const hierarchy = hierarchyOf(graph);
  let next = new Set(expanded);
  const path = pathTo(hierarchy, id);
  path.slice(0, -1).forEach((step, i) => {
    const fold = hierarchy.folds.get(step);
    const child = path[i + 1] ?? "";
    if (!fold) next.add(step);
    else if (!isOpen(hierarchy, next, step) || !shownChildren(hierarchy, next, step).includes(child))
      next = showing(graph, next, step, Math.max(0, repetitionOf(hierarchy, fold.id, child)));
  });
  return next;
}

/** Which repetition of `fold` the member `id` is part of; −1 if it is none. */
export function repetitionOf(hierarchy: Hierarchy, fold: string, id: string): number {
  return hierarchy.folds.get(fold)?.members.findIndex((ids) => ids.includes(id)) ?? -1;
}

/** Everything open: folds at the repetition that they show, else the first; with `unfolded`, all repetitions. */
export function everythingOpen(graph: ModelGraph, unfolded = false): Set<string> {
  const { children, folds } = hierarchyOf(graph);
  const open = new Set<string>();
  for (const id of children.keys()) if (id !== null) open.add(unfolded && folds.has(id) ? `${id}@*` : id);
  return open;
}

const BASES: readonly (string | undefined)[] = ["*", "**"];

/** The open set as few words for the address: `*` is everything, `**` unfolded too; `-x` takes one word back. */
export function compact(graph: ModelGraph, expanded: ReadonlySet<string>): string[] {
  const plain = [...expanded];
  let best = plain;
  BASES.forEach((base, i) => {
    const all = everythingOpen(graph, i === 1);
    const closed = [...all].filter((token) => !expanded.has(token)).map((token) => `-${token}`);
    const more = plain.filter((token) => !all.has(token));
    if (1 + closed.length + more.length < best.length) best = [base ?? "", ...closed, ...more];
  });
  return best;
}

/** The open set of such words. */
export function expansionOf(graph: ModelGraph, words: readonly string[]): Set<string> {
  const base = BASES.indexOf(words[0]);
  if (base < 0) return new Set(words);
  const open = everythingOpen(graph, base === 1);
  for (const word of words.slice(1)) if (!word.startsWith("-") || !open.delete(word.slice(1))) open.add(word);
  return open;
}
