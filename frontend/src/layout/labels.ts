// Where the shapes of tensors can stand beside their edges without touching a box or one another.

import type { PlacedBox, PlacedEdge } from "./picture";

export interface PlacedLabel {
  text: string;
  /** Left end of the text's base line. */
  x: number;
  y: number;
}

interface Area {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

const HEIGHT = 12;
const AIR = 3;
const CELL = 200;

/** Areas by the cells of a grid, so that a look costs the same however many there are. */
class Taken {
  readonly #cells = new Map<string, Area[]>();
  *#keys({ left, top, right, bottom }: Area): Generator<string> {
    for (let x = Math.floor(left / CELL); x <= Math.floor(right / CELL); x++)
      for (let y = Math.floor(top / CELL); y <= Math.floor(bottom / CELL); y++) yield `${x} ${y}`;
  }
  add(area: Area): void {
    for (const key of this.#keys(area)) {
      const areas = this.#cells.get(key);
      if (areas) areas.push(area);
      else this.#cells.set(key, [area]);
    }
  }
  touches(area: Area): boolean {
    for (const key of this.#keys(area))
      for (const other of this.#cells.get(key) ?? [])
        if (area.left < other.right && other.left < area.right && area.top < other.bottom && other.top < area.bottom)
          return true;
    return false;
  }
}

/**
 * A label at each edge that has a text and room for it, the first edges first. Of an open container only the header is
 * in the way (`header` high): its content has its own boxes.
 */
export function placeLabels(
  boxes: readonly PlacedBox[],
  edges: readonly { edge: PlacedEdge; text: string }[],
  header: number,
  widthOf: (text: string) => number,
): PlacedLabel[] {
  const taken = new Taken();
  for (const { x, y, width, height, expanded } of boxes)
    taken.add({ left: x, top: y, right: x + width, bottom: y + (expanded ? header : height) });
  return edges.flatMap(({ edge, text }) => {
    if (text === "") return [];
    const width = widthOf(text);
    for (const [x, onLine, level] of spotsOn(edge.points))
      for (const left of level ? [x - width / 2] : [x + AIR + 1, x - width - AIR - 1]) {
        const y = level ? onLine - HEIGHT / 2 - AIR : onLine;
        const area = { left: left - 1, top: y - HEIGHT / 2, right: left + width + 1, bottom: y + HEIGHT / 2 };
        if (taken.touches(area)) continue;
        taken.add(area);
        return [{ text, x: left, y: y + 4 }];
      }
    return [];
  });
}

/** Points along a spline from the middle outwards, and whether it runs level there. */
function spotsOn(points: readonly number[]): [x: number, y: number, level: boolean][] {
  const segments = (points.length - 2) / 6;
  return [0.5, 0.4, 0.6, 0.25, 0.75, 0.12, 0.88].map((part) => {
    const index = Math.min(segments - 1, Math.floor(part * segments));
    const [x, y] = pointOn(points, index, part * segments - index);
    const [toX, toY] = pointOn(points, index, Math.min(1, part * segments - index + 0.05));
    const [fromX, fromY] = pointOn(points, index, Math.max(0, part * segments - index - 0.05));
    return [x, y, Math.abs(toX - fromX) > Math.abs(toY - fromY)];
  });
}

function pointOn(points: readonly number[], segment: number, t: number): [number, number] {
  const at = (axis: number) => {
    const [a = 0, b = 0, c = 0, d = 0] = [0, 2, 4, 6].map((i) => points[6 * segment + i + axis]);
    const u = 1 - t;
    return u * u * u * a + 3 * u * u * t * b + 3 * u * t * t * c + t * t * t * d;
  };
  return [at(0), at(1)];
}
