// Where something was found, on the boxes of the picture and the rows of the outline.

import type { JSX } from "preact";
import type { Flag } from "../findings";
import { flagOf } from "../findings";
import type { ModelGraph } from "../graph";
import { hierarchyOf, pathTo, visibleBox } from "../layout/hierarchy";
import type { PlacedBox } from "../layout/picture";
import type { Finding } from "../wire";
import { FlagMark } from "./flag";

/** Layer -> what was found there. */
export type Found = ReadonlyMap<string, readonly Finding[]>;
export type Flags = ReadonlyMap<string, Flag>;

export const NOTHING_FOUND: Found = new Map();

/** Box -> its glyph: what was found in it, or else in what it hides while it is closed. */
export function boxFlags(graph: ModelGraph, expanded: ReadonlySet<string>, found: Found, step: number): Flags {
  const hierarchy = hierarchyOf(graph);
  return gathered(found, step, (layer) => {
    const box = visibleBox(hierarchy, expanded, layer);
    return box === null || box === layer ? [] : [box];
  });
}

/** Node or fold -> its glyph: what was found in it, or else anywhere inside. */
export function treeFlags(graph: ModelGraph, found: Found, step: number): Flags {
  const hierarchy = hierarchyOf(graph);
  return gathered(found, step, (layer) => pathTo(hierarchy, layer).slice(0, -1));
}

function gathered(found: Found, step: number, holders: (layer: string) => readonly string[]): Flags {
  const inside = new Map<string, Finding[]>();
  for (const [layer, findings] of found) {
    for (const holder of holders(layer)) inside.set(holder, [...(inside.get(holder) ?? []), ...findings]);
  }
  const flags = new Map<string, Flag>();
  for (const id of new Set([...found.keys(), ...inside.keys()])) {
    const flag = flagOf(found.get(id) ?? [], inside.get(id) ?? [], step);
    if (flag !== null) flags.set(id, flag);
  }
  return flags;
}

const SIZE = 15; // pixels of the screen
const LARGEST = 3; // times its size beside a box that is drawn in full size

interface BoxFlagsProps {
  readonly boxes: readonly PlacedBox[];
  readonly flags: Flags;
  /** How far the picture is zoomed: glyphs keep their size on the screen, so that they are seen from far away. */
  readonly k: number;
}

/** The glyphs on the corners of boxes; of those that would lie over each other, the worst. */
export function BoxFlags({ boxes, flags, k }: BoxFlagsProps): JSX.Element {
  const size = SIZE * Math.min(LARGEST, Math.max(1, 1 / k));
  const wanted = boxes.flatMap((box) => {
    const flag = flags.get(box.id);
    return flag === undefined ? [] : [{ id: box.id, flag, x: box.x - size / 2, y: box.y - size / 2 }];
  });
  const worstFirst = wanted.sort((one, other) => rank(one.flag) - rank(other.flag));
  const placed: typeof wanted = [];
  for (const one of worstFirst) {
    const free = placed.every(({ x, y }) => Math.abs(x - one.x) >= size || Math.abs(y - one.y) >= size);
    if (free) placed.push(one);
  }
  return (
    <g class="flags">
      {placed.map(({ id, flag, x, y }) => (
        <g key={id} data-flag={id}>
          <FlagMark flag={flag} x={x} y={y} size={size} />
        </g>
      ))}
    </g>
  );
}

function rank({ severity, own }: Flag): number {
  return (severity === "error" ? 0 : 2) + (own ? 0 : 1);
}
