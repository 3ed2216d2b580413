// Which rows the outline shows: the call tree, each fold one row that opens to all its members.

import type { ModelGraph } from "../graph";
import { type Hierarchy, hierarchyOf, labelOf, pathTo } from "../layout/hierarchy";

export interface Row {
  /** Id of a node or a fold. */
  readonly id: string;
  readonly parent: string | null;
  /** 1 at the top. */
  readonly level: number;
  /** Which of its siblings it is, from 1, and how many there are. */
  readonly position: number;
  readonly siblings: number;
  /** How many rows it opens to; 0 for a leaf. */
  readonly inside: number;
}

/** The rows that show when the containers and folds in `open` are open, from top to bottom. */
export function rowsOf({ children, parent }: Hierarchy, open: ReadonlySet<string>): Row[] {
  const rows: Row[] = [];
  const waiting: Row[] = [];
  const push = (ids: readonly string[], level: number) => {
    for (let i = ids.length - 1; i >= 0; i--) {
      const id = ids[i] as string;
      const place = { level, position: i + 1, siblings: ids.length };
      waiting.push({ id, parent: parent.get(id) ?? null, inside: children.get(id)?.length ?? 0, ...place });
    }
  };
  push(children.get(null) ?? [], 1);
  for (let row = waiting.pop(); row !== undefined; row = waiting.pop()) {
    rows.push(row);
    if (open.has(row.id)) push(children.get(row.id) ?? [], row.level + 1);
  }
  return rows;
}

/** Ids of the rows around `id`, outermost first. */
export function around(graph: ModelGraph, id: string): string[] {
  return pathTo(hierarchyOf(graph), id).slice(0, -1);
}

/** Index of the next row that is called something with `typed` first, from `start` on and round the end; -1 if none. */
export function startingWith(graph: ModelGraph, rows: readonly Row[], typed: string, start: number): number {
  const wanted = typed.toLowerCase();
  for (let i = 0; i < rows.length; i++) {
    const index = (start + i) % rows.length;
    if (
      labelOf(graph, rows[index]?.id ?? "")
        .toLowerCase()
        .startsWith(wanted)
    )
      return index;
  }
  return -1;
}
