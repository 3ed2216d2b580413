// What is open at first: as much of the model as one can take in and read.

import type { ModelGraph } from "../graph";
import { type Hierarchy, hierarchyOf, isOpen, pathTo, shownChildren } from "./hierarchy";

const FEW = 15;
const MANY = 40;
const TOO_MANY = 200;

/**
 * The containers and folds that are open at first: level by level until 15 to 40 boxes show (leaves, closed containers
 * and closed folds; what is open is a frame around its boxes, a fold around one repetition). Where a whole level is too
 * much, its containers open one by one in order of execution as long as the picture stays at 40 boxes. A fold opens
 * only when there is nothing else to open, and unfolds only if that alone makes 15 boxes. A model whose every container
 * is larger opens its smallest one (up to 200 boxes), because a single closed box tells nothing.
 */
export function openingExpansion(graph: ModelGraph): Set<string> {
  const hierarchy = hierarchyOf(graph);
  const open = new Set<string>();
  let shown = hierarchy.children.get(null)?.length ?? 0;
  let waiting: string[] = []; // closed folds on view
  let folded = false; // one repetition stands for many: of it no more opens than it takes
  let level = [...(hierarchy.children.get(null) ?? [])];
  while (shown < FEW) {
    waiting.push(...level.filter((id) => hierarchy.folds.has(id)));
    const containers = level.filter((id) => !hierarchy.folds.has(id) && sizeOf(hierarchy, id) > 0);
    let opened = openSome(hierarchy, containers, shown, folded);
    if (opened.length === 0) {
      opened = openSome(hierarchy, waiting, shown);
      folded ||= opened.length > 0;
      waiting = waiting.filter((id) => !opened.includes(id));
    }
    if (opened.length === 0) break;
    for (const id of opened) {
      open.add(id);
      shown += sizeOf(hierarchy, id) - 1;
    }
    level = opened.flatMap((id) => contentOf(hierarchy, id));
  }
  return shown < FEW ? (unfolded(hierarchy, open) ?? open) : open;
}

/** With the first fold unfolded that brings the picture to 15 to 40 boxes so; null if none does. */
function unfolded(hierarchy: Hierarchy, open: ReadonlySet<string>): Set<string> | null {
  for (const fold of hierarchy.folds.keys()) {
    const inside = (id: string) => pathTo(hierarchy, id).includes(fold);
    const next = new Set([...open].filter((id) => !inside(id)));
    next.add(`${fold}@*`);
    const count = countShown(hierarchy, next, null);
    if (count >= FEW && count <= MANY) return next;
  }
  return null;
}

/** Leaves, closed containers and closed folds on view inside `container`. */
function countShown(hierarchy: Hierarchy, open: ReadonlySet<string>, container: string | null): number {
  return shownChildren(hierarchy, open, container).reduce(
    (sum, id) => sum + (isOpen(hierarchy, open, id) ? countShown(hierarchy, open, id) : 1),
    0,
  );
}

/** Which of these boxes to open when `shown` are on view: all, as many as fit (or as it takes), or the smallest alone. */
function openSome(hierarchy: Hierarchy, level: readonly string[], shown: number, sparing = false): string[] {
  const size = (id: string) => sizeOf(hierarchy, id);
  if (level.length === 0) return [];
  const boxes = sparing ? [...level].sort((one, other) => size(one) - size(other)) : level;
  if (!sparing && boxes.reduce((sum, id) => sum + size(id) - 1, shown) <= MANY) return [...boxes];
  const opened: string[] = [];
  let count = shown;
  for (const id of boxes) {
    if (count >= FEW || count + size(id) - 1 > MANY) continue;
    opened.push(id);
    count += size(id) - 1;
  }
  const smallest = boxes.reduce((least, id) => (size(id) < size(least) ? id : least));
  return opened.length > 0 || size(smallest) > TOO_MANY ? opened : [smallest];
}

/** The boxes that show when `id` opens: of a fold, its first repetition. */
function contentOf(hierarchy: Hierarchy, id: string): readonly string[] {
  return hierarchy.folds.get(id)?.members[0] ?? hierarchy.children.get(id) ?? [];
}

function sizeOf(hierarchy: Hierarchy, id: string): number {
  return contentOf(hierarchy, id).length;
}
