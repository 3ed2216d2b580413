// Where the view goes by itself.

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { hierarchyOf, visibleBox } from "../layout/hierarchy";
import type { PlacedBox } from "../layout/picture";
import type { LaidOut } from "./structure_layout";
import { brought, fitLegibly, fitWhole, keptInPlace, type Viewport } from "./structure_viewport";

/**
 * First sight, staying in place while containers open and close, and bringing a new selection into view. `settled` is
 * false while the picture lags behind what is open: a selection is then still to be shown where it will stand.
 * `wholeNext` asks for the next picture to be shown as a whole.
 */
export function useView(
  viewport: Viewport,
  laidOut: LaidOut | null,
  settled: boolean,
  selected: string | null,
  wholeNext: { current: boolean },
): void {
  const last = useRef<LaidOut | null>(null);
  const shown = useRef<string | null>(null);
  const { size, go, goal } = viewport;
  useLayoutEffect(() => {
    if (!laidOut || !size || last.current === laidOut) return;
    const before = last.current;
    last.current = laidOut;
    const { picture } = laidOut;
    if (before?.graph !== laidOut.graph) {
      const start = picture.boxes.find((box) => box.y <= 0) ?? picture.boxes[0] ?? null;
      const first = fitLegibly(picture, size, start);
      const target = boxOf(laidOut, selected);
      go(target ? brought(first, target, size) : first, false);
      shown.current = selected;
      return;
    }
    if (wholeNext.current) {
      if (settled) wholeNext.current = false;
      go(fitWhole(picture, size), false);
      return;
    }
    const anchor = anchorOf(before, laidOut, selected, goal(), size);
    if (!anchor) return;
    const kept = keptInPlace(goal(), anchor.before, anchor.after);
    go(kept, false);
    if (anchor.after.expanded && !anchor.before.expanded) go(brought(kept, anchor.after, size), true);
  }, [laidOut, size, settled, selected, go, goal, wholeNext]);

  useEffect(() => {
    if (!laidOut || !size || shown.current === selected) return;
    if (settled) shown.current = selected;
    const target = boxOf(laidOut, selected);
    const at = goal();
    if (target && !shows(target, at, size)) go(brought(at, target, size), true);
  }, [laidOut, size, settled, selected, go, goal]);
}

/** The box that stands for the selected node: itself, or the closed container that holds it. */
function boxOf({ graph, expanded, picture }: LaidOut, selected: string | null): PlacedBox | undefined {
  const shownAs = selected === null ? null : visibleBox(hierarchyOf(graph), expanded, selected);
  return picture.boxes.find(({ id }) => id === shownAs);
}

/** True if a box is in view, and of one that is larger than the pane the top. */
function shows(
  box: PlacedBox,
  at: { applyX(x: number): number; applyY(y: number): number },
  pane: { width: number; height: number },
) {
  const [left, right] = [at.applyX(box.x), at.applyX(box.x + box.width)];
  const [top, bottom] = [at.applyY(box.y), at.applyY(box.y + box.height)];
  const across = right - left > pane.width ? left < pane.width && right > 0 : left >= 0 && right <= pane.width;
  return across && (bottom - top > pane.height ? top < pane.height && bottom > 0 : top >= 0 && bottom <= pane.height);
}

/** The box to hold still: what was opened or closed, else what is selected, else what is nearest to the middle. */
function anchorOf(
  before: LaidOut,
  after: LaidOut,
  selected: string | null,
  at: ReturnType<Viewport["goal"]>,
  pane: { width: number; height: number },
): { before: PlacedBox; after: PlacedBox } | null {
  const now = new Map(after.picture.boxes.map((box) => [box.id, box]));
  const shared = before.picture.boxes.filter((box) => now.has(box.id));
  const changed = shared.find((box) => box.expanded !== now.get(box.id)?.expanded);
  const [x, y] = [at.invertX(pane.width / 2), at.invertY(pane.height / 2)];
  const distance = (box: PlacedBox) => Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y);
  const chosen =
    changed ??
    shared.find((box) => box.id === selected) ??
    shared.reduce<PlacedBox | undefined>(
      (best, box) => (best && distance(best) <= distance(box) ? best : box),
      undefined,
    );
  const placed = chosen && now.get(chosen.id);
  return placed ? { before: chosen, after: placed } : null;
}
