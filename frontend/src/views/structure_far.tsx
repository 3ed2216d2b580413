// A large picture from far away: boxes as plain rectangles, one element for all of one colour, and the names of what is
// large enough to be named.

import type { JSX } from "preact";
import type { ModelGraph } from "../graph";
import { labelOf } from "../layout/hierarchy";
import type { PlacedBox } from "../layout/picture";
import type { Node } from "../wire";
import { type Paint, textureOf } from "./structure_boxes";
import { meets } from "./structure_region";
import { fitText, shapeOf, textWidth } from "./structure_text";
import type { Rectangle } from "./structure_viewport";
import "./structure_far.css";

export interface FarProps {
  graph: ModelGraph;
  boxes: readonly PlacedBox[];
  paint: (node: Node) => Paint | null;
  selected: string | null;
  /** Boxes that a search or a selection lights up; null if there is none. */
  bright: ReadonlySet<string> | null;
  hatch: string;
  k: number;
}

const rectangle = ({ x, y, width, height }: Rectangle) => {
  const [left, top] = [Math.round(x), Math.round(y)];
  return `M${left} ${top}h${Math.round(width)}v${Math.round(height)}h${-Math.round(width)}z`;
};

export function FarBoxes({ graph, boxes, paint, selected, bright, hatch, k }: FarProps): JSX.Element {
  const groups = new Map<string, { fill: string | undefined; name: string; path: string }>();
  for (const box of boxes) {
    if (box.expanded) continue;
    const node = graph.nodes.get(box.id);
    const own = node ? paint(node) : null;
    const dim = bright !== null && !bright.has(box.id) ? " dim" : "";
    const kind = node ? shapeOf(node) : "module fold";
    const name = `far ${kind} ${own ? own.mark || "painted" : ""}${dim}`;
    const fill = own?.mark === "" ? own.fill : textureOf(own, hatch);
    const key = `${name} ${fill}`;
    const group = groups.get(key) ?? { fill, name, path: "" };
    group.path += rectangle(box);
    groups.set(key, group);
  }
  const chosen = boxes.find(({ id }) => id === selected);
  return (
    <g class="distance">
      {[...groups].map(([key, { fill, name, path }]) => (
        <path key={key} class={name} d={path} style={fill ? { fill } : undefined} />
      ))}
      {chosen && <path class="far chosen" d={rectangle(chosen)} style={{ strokeWidth: 3 / k }} />}
      <Names graph={graph} boxes={boxes} k={k} />
    </g>
  );
}

/** The walls of open containers, one element for each depth. */
export function FarWalls({ boxes }: { boxes: readonly PlacedBox[] }): JSX.Element {
  const depths: string[] = [];
  for (const box of boxes) if (box.expanded) depths[box.depth] = (depths[box.depth] ?? "") + rectangle(box);
  return (
    <g>
      {depths.map((path, depth) => (
        <path key={path.length} class={`far-wall ${depth % 2 === 0 ? "even" : "odd"}`} d={path} />
      ))}
    </g>
  );
}

const MOST = 80;
const LEAST = 70; // pixels of width on the screen

/** Names of containers in the size of the screen, the outermost first, none over another. */
function Names({ graph, boxes, k }: { graph: ModelGraph; boxes: readonly PlacedBox[]; k: number }) {
  const placed: (Rectangle & { id: string; text: string })[] = [];
  const wide = boxes.filter(({ expanded, width, height }) => expanded && width * k > LEAST && height * k > 34);
  for (const box of [...wide].sort((a, b) => a.depth - b.depth)) {
    const text = fitText(labelOf(graph, box.id), "name", Math.min(220, box.width * k - 12));
    const size = { x: box.x + 4 / k, y: box.y + 4 / k, width: (textWidth(text, "name") + 10) / k, height: 18 / k };
    if (placed.length < MOST && !placed.some((other) => meets(other, size))) placed.push({ ...size, id: box.id, text });
  }
  return (
    <g class="names">
      {placed.map(({ id, text, x, y }) => (
        <g key={id} transform={`translate(${x} ${y}) scale(${1 / k})`}>
          <rect width={textWidth(text, "name") + 10} height={18} rx={4} />
          <text x={5} y={13} class="t-name">
            {text}
          </text>
        </g>
      ))}
    </g>
  );
}

/** The innermost box at a point of the picture. */
export function boxAt(boxes: readonly PlacedBox[], x: number, y: number): PlacedBox | undefined {
  return boxes.findLast((box) => meets(box, { x, y, width: 0.01, height: 0.01 }));
}
