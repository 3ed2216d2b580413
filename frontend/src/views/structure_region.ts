// Which part of a large picture is drawn, and how finely: elements that nobody sees make panning halt.

import { useRef } from "preact/hooks";
import type { Picture, Size } from "../layout/picture";
import type { Rectangle } from "./structure_viewport";

/** Up to so many boxes everything is drawn, in view or not. */
const FEW = 350;
/** Below this scale many boxes are drawn as plain rectangles: no text in them could be read. */
export const FAR = 0.3;

export interface Region extends Rectangle {
  /** Boxes as elements with text, or as plain rectangles, many to an element. */
  fine: boolean;
  /** Scale at which it was chosen. */
  k: number;
}

export interface At {
  readonly x: number;
  readonly y: number;
  readonly k: number;
}

/** What is drawn while the view is `at` a place: it keeps its identity until the view leaves it. */
export function useRegion(picture: Picture | undefined, at: At, pane: Size | null): Region | null {
  const held = useRef<{ picture: Picture; region: Region } | null>(null);
  if (!picture || !pane) return null;
  const region = regionFor(picture, at, pane, held.current?.picture === picture ? held.current.region : null);
  held.current = { picture, region };
  return region;
}

/** The region held before as long as it does, else what is on view and as much again around it. */
export function regionFor(picture: Picture, at: At, pane: Size, before: Region | null): Region {
  const few = picture.boxes.length <= FEW;
  const fine = few || at.k >= FAR;
  const view = { x: -at.x / at.k, y: -at.y / at.k, width: pane.width / at.k, height: pane.height / at.k };
  if (few) {
    const everything = Number.MAX_SAFE_INTEGER;
    return before ?? { x: -everything, y: -everything, width: 2 * everything, height: 2 * everything, fine, k: at.k };
  }
  const near = before !== null && before.fine === fine && at.k / before.k < 1.6 && before.k / at.k < 1.6;
  if (near && contains(before, view)) return before;
  const [aside, above] = [view.width * 0.5, view.height * 0.5];
  return {
    x: view.x - aside,
    y: view.y - above,
    width: view.width + 2 * aside,
    height: view.height + 2 * above,
    fine,
    k: at.k,
  };
}

function contains(outer: Rectangle, inner: Rectangle): boolean {
  const across = outer.x <= inner.x && inner.x + inner.width <= outer.x + outer.width;
  return across && outer.y <= inner.y && inner.y + inner.height <= outer.y + outer.height;
}

/** Far away, edges within so many pixels of the screen are left out: nobody sees them between their boxes. */
const SHORT = 3;

/** Whether an edge belongs to what is drawn: strokes cost most of a frame, thousands of short ones nearly all of it. */
export function showsEdge(region: Region, points: readonly number[]): boolean {
  const edge = around(points);
  return meets(edge, region) && (region.fine || Math.max(edge.width, edge.height) * region.k > SHORT);
}

export function meets(a: Rectangle, b: Rectangle): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

/** The rectangle around a spline. */
export function around(points: readonly number[]): Rectangle {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < points.length; i += 2) {
    const [x = 0, y = 0] = [points[i], points[i + 1]];
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  return { x: left, y: top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
}
