// One cell for each repetition of a fold, in the colour of the measure: one bad block among many stays visible.

import type { JSX } from "preact";
import type { ModelGraph } from "../graph";
import { hierarchyOf, membersOf } from "../layout/hierarchy";
import type { Fold, Node } from "../wire";
import { type Paint, textureOf } from "./structure_boxes";
import { STRIP } from "./structure_text";

/** The paint of each repetition: that of its node, or else of what stands out most inside. */
export function paintsOf(graph: ModelGraph, fold: Fold, paint: (node: Node) => Paint | null): (Paint | null)[] {
  const hierarchy = hierarchyOf(graph);
  const within = (id: string): Paint[] => {
    const node = graph.nodes.get(id);
    const own = node ? paint(node) : null;
    if (own && own.mark !== "none") return [own];
    const inside = (hierarchy.children.get(id) ?? []).flatMap(within);
    return inside.length > 0 || !own ? inside : [own];
  };
  const all = fold.members.map((_, i) => membersOf(hierarchy, fold, i).flatMap(within));
  const middle = median(all.flat().flatMap(({ at }) => at ?? []));
  return all.map((paints) => standingOut(paints, middle));
}

/** What is no number first, then what is farthest from `middle` on the scale; what has no value last. */
export function standingOut(paints: readonly (Paint | null)[], middle: number): Paint | null {
  const rank = (paint: Paint | null) => {
    if (!paint) return -2;
    if (paint.mark === "nan") return 2;
    if (paint.mark === "none") return -1;
    return Math.abs((paint.at ?? middle) - middle);
  };
  return paints.reduce((worst, paint) => (rank(paint) > rank(worst) ? paint : worst), paints[0] ?? null);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0.5;
}

/** Cells of at least one pixel: more repetitions than pixels share cells, each showing what stands out. */
export function cellsOf(paints: readonly (Paint | null)[], width: number): { first: number; paint: Paint | null }[] {
  const each = Math.max(1, Math.ceil(paints.length / width));
  const middle = median(paints.flatMap((paint) => paint?.at ?? []));
  return Array.from({ length: Math.ceil(paints.length / each) }, (_, i) => ({
    first: i * each,
    paint: standingOut(paints.slice(i * each, (i + 1) * each), middle),
  }));
}

export interface StripProps {
  paints: readonly (Paint | null)[];
  /** The repetition that shows; null if none or all do. */
  shown: number | null;
  x: number;
  y: number;
  width: number;
  hatch: string;
  titleOf: (repetition: number) => string;
  onShow: (repetition: number) => void;
}

export function MemberStrip({ paints, shown, x, y, width, hatch, titleOf, onShow }: StripProps): JSX.Element {
  const cells = cellsOf(paints, width);
  const cell = width / cells.length;
  const gap = cell > 5 ? 1.5 : cell > 3 ? 0.75 : 0;
  const mark = shown === null ? null : (shown / paints.length) * width;
  const clicked = (event: MouseEvent, first: number) => {
    event.stopPropagation();
    onShow(first);
  };
  return (
    <g class="strip" transform={`translate(${x} ${y})`}>
      {cells.map(({ first, paint }, i) => (
        // biome-ignore lint/a11y/noStaticElementInteractions: a pointer's shortcut; the box has keys for it
        <rect
          key={first}
          class={`cell ${paint ? paint.mark || "painted" : "plain"}`}
          data-repetition={first}
          x={i * cell}
          width={Math.max(1, cell - gap)}
          height={STRIP}
          fill={paint?.mark === "" ? paint.fill : textureOf(paint, hatch)}
          onClick={(event) => clicked(event, first)}
          onDblClick={(event) => event.stopPropagation()}
        >
          <title>{titleOf(first) + (paint?.value ? `: ${paint.value}` : "")}</title>
        </rect>
      ))}
      {mark !== null && (
        <rect
          class="here"
          x={mark - 1}
          y={-2}
          width={Math.max(3, width / paints.length - gap + 2)}
          height={STRIP + 4}
        />
      )}
    </g>
  );
}
