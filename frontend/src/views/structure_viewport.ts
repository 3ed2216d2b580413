// Zoom and pan of the structure: d3-zoom for wheel, drag and pinch; gentle moves of our own that any gesture ends.

import { select } from "d3-selection";
import { type D3ZoomEvent, type ZoomBehavior, type ZoomTransform, zoom, zoomIdentity } from "d3-zoom";
import { createContext, type RefObject } from "preact";
import { useCallback, useContext, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Size } from "../layout/picture";

export interface Rectangle extends Size {
  x: number;
  y: number;
}

const SMALLEST = 0.01;
const LARGEST = 3;
/** Below this scale the smallest labels (12.8 px) are under 9 px. */
export const LEGIBLE = 9 / 12.8;
const MARGIN = 12;
/** Room for the bar of breadcrumbs above the picture. */
const TOP = 36;
/** What the zoom buttons cover in the lower right corner, and with them the minimap. */
const BUTTONS = { width: 290, height: 52 };
const CORNER = { width: 172, height: 196 };
const DURATION = 260;

/** Moves one viewport as another was moved. */
type Follow = (from: ZoomTransform, to: ZoomTransform, gently: boolean) => void;

/** Viewports that a gesture moves together, each from where it is: their pictures need not be laid out alike. */
export class LinkedViewports {
  private readonly all = new Set<Follow>();

  join(follow: Follow): () => void {
    this.all.add(follow);
    return () => this.all.delete(follow);
  }

  moved(own: Follow | null, from: ZoomTransform, to: ZoomTransform, gently: boolean): void {
    for (const follow of this.all) if (follow !== own) follow(from, to, gently);
  }
}

export const Linked = createContext<LinkedViewports | null>(null);

export interface Viewport {
  transform: ZoomTransform;
  /** Size of the pane; null while it is hidden. */
  size: Size | null;
  /** Go to a transform, gently or at once. */
  go: (transform: ZoomTransform, gently: boolean) => void;
  /** Where it is going, or is. */
  goal: () => ZoomTransform;
  zoomBy: (factor: number) => void;
}

export function useViewport(svg: RefObject<SVGSVGElement | null>): Viewport {
  const [transform, setTransform] = useState(zoomIdentity);
  const [size, setSize] = useState<Size | null>(null);
  const behavior = useRef<ZoomBehavior<SVGSVGElement, unknown> | null>(null);
  const current = useRef<ZoomTransform>(zoomIdentity);
  const goal = useRef<ZoomTransform>(zoomIdentity);
  const frame = useRef(0);
  const linked = useContext(Linked);
  const own = useRef<Follow | null>(null);

  useEffect(() => {
    const element = svg.current;
    if (!element) return;
    const zooming = zoom<SVGSVGElement, unknown>()
      .scaleExtent([SMALLEST, LARGEST])
      .clickDistance(4)
      .on("zoom", (event: D3ZoomEvent<SVGSVGElement, unknown>) => {
        const before = current.current;
        current.current = event.transform;
        if (event.sourceEvent) {
          cancelAnimationFrame(frame.current);
          goal.current = event.transform;
          linked?.moved(own.current, before, event.transform, false);
        }
        setTransform(event.transform);
      });
    behavior.current = zooming;
    select(element).call(zooming).on("dblclick.zoom", null);
    const observer = new ResizeObserver(() => {
      const { width, height } = element.getBoundingClientRect();
      setSize((old) =>
        old?.width === width && old.height === height ? old : width && height ? { width, height } : null,
      );
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      cancelAnimationFrame(frame.current);
      select(element).on(".zoom", null);
    };
  }, [svg, linked]);

  const apply = useCallback(
    (to: ZoomTransform) => {
      if (svg.current && behavior.current) select(svg.current).call(behavior.current.transform, to);
    },
    [svg],
  );

  const go = useCallback(
    (to: ZoomTransform, gently: boolean) => {
      cancelAnimationFrame(frame.current);
      goal.current = to;
      const still = typeof matchMedia === "function" && matchMedia("(prefers-reduced-motion: reduce)").matches;
      if (!gently || still || document.hidden) {
        apply(to);
        return;
      }
      const from = current.current;
      const start = performance.now();
      const move = (now: number) => {
        const done = Math.min(1, Math.max(0, (now - start) / DURATION));
        const eased = 1 - (1 - done) ** 3;
        const between = (a: number, b: number) => a + (b - a) * eased;
        apply(
          done === 1
            ? to
            : zoomIdentity.translate(between(from.x, to.x), between(from.y, to.y)).scale(between(from.k, to.k)),
        );
        if (done < 1) frame.current = requestAnimationFrame(move);
      };
      frame.current = requestAnimationFrame(move);
    },
    [apply],
  );

  const zoomBy = useCallback(
    (factor: number) => {
      if (!svg.current) return;
      const { width, height } = svg.current.getBoundingClientRect();
      const from = goal.current;
      go(scaledAbout(from, factor, width / 2, height / 2), true);
      linked?.moved(own.current, from, goal.current, true);
    },
    [go, svg, linked],
  );

  useEffect(() => {
    own.current = (from, to, gently) => {
      const at = goal.current;
      const factor = to.k / from.k;
      const [x, y] = [to.x + (at.x - from.x) * factor, to.y + (at.y - from.y) * factor];
      go(zoomIdentity.translate(x, y).scale(Math.min(LARGEST, Math.max(SMALLEST, at.k * factor))), gently);
    };
    return linked?.join(own.current);
  }, [go, linked]);

  return useMemo(() => ({ transform, size, go, goal: () => goal.current, zoomBy }), [transform, size, go, zoomBy]);
}

function scaledAbout(at: ZoomTransform, factor: number, x: number, y: number): ZoomTransform {
  const k = Math.min(LARGEST, Math.max(SMALLEST, at.k * factor));
  return zoomIdentity.translate(x - ((x - at.x) * k) / at.k, y - ((y - at.y) * k) / at.k).scale(k);
}

/**
 * The room that a picture has in a pane, in steps of 60 pixels, so that dragging the pane's border does not lay out at
 * every pixel; null if hidden.
 */
export function useRoom(pane: Size | null): Size | null {
  const steps = (length: number) => Math.max(240, 60 * Math.floor(length / 60));
  const [width, height] = pane ? [steps(pane.width - 2 * MARGIN), steps(pane.height - 2 * MARGIN)] : [0, 0];
  return useMemo(() => (width && height ? { width, height } : null), [width, height]);
}

/** `at`, moved so that a point of the picture is in the middle of the pane. */
export function centred(at: ZoomTransform, x: number, y: number, pane: Size): ZoomTransform {
  return zoomIdentity.translate(pane.width / 2 - x * at.k, pane.height / 2 - y * at.k).scale(at.k);
}

/** The whole picture, in the middle of the pane, never enlarged, with no box under the zoom buttons. */
export function fitWhole(picture: Size & { boxes?: readonly Rectangle[] }, pane: Size): ZoomTransform {
  const whole = fitInto(picture, pane);
  const [left, top] = [pane.width - BUTTONS.width, pane.height - BUTTONS.height];
  const covered = (box: Rectangle) => whole.applyX(box.x + box.width) > left && whole.applyY(box.y + box.height) > top;
  if (!picture.boxes?.some(covered)) return whole;
  return fitInto(picture, { width: pane.width, height: top + MARGIN });
}

function fitInto(picture: Size, room: Size): ZoomTransform {
  const [w, h] = [room.width - 2 * MARGIN, room.height - 2 * MARGIN];
  const k = Math.max(SMALLEST, Math.min(1, w / picture.width, h / picture.height));
  return zoomIdentity.translate((room.width - picture.width * k) / 2, (room.height - picture.height * k) / 2).scale(k);
}

/**
 * The first sight: the whole picture if its labels are legible then; else as wide as is legible, from the top left
 * corner, or with `start` (where the flow begins) in the middle if it is not on view then.
 */
export function fitLegibly(
  picture: Size & { boxes?: readonly Rectangle[] },
  pane: Size,
  start: Rectangle | null,
): ZoomTransform {
  const whole = fitWhole(picture, pane);
  if (whole.k >= LEGIBLE) return whole;
  const wide = (pane.width - 2 * MARGIN) / picture.width;
  const k = Math.min(1, Math.max(LEGIBLE, wide));
  const y = MARGIN - (start ? Math.min(0, start.y) : 0) * k;
  if (wide >= LEGIBLE) return zoomIdentity.translate((pane.width - picture.width * k) / 2, y).scale(k);
  const seen = !start || MARGIN + (start.x + start.width) * k <= pane.width;
  const x = seen ? MARGIN : pane.width / 2 - (start.x + start.width / 2) * k;
  return zoomIdentity.translate(x, y).scale(k);
}

/** `at`, moved so that the top centre of `after` is where that of `before` was on the screen. */
export function keptInPlace(at: ZoomTransform, before: Rectangle, after: Rectangle): ZoomTransform {
  const dx = before.x + before.width / 2 - (after.x + after.width / 2);
  return zoomIdentity.translate(at.x + dx * at.k, at.y + (before.y - after.y) * at.k).scale(at.k);
}

/** `at`, moved as little as brings `box` into the pane; of what is larger than the pane, its top and its middle. */
export function brought(at: ZoomTransform, box: Rectangle, pane: Size): ZoomTransform {
  const shift = (start: number, length: number, low: number, high: number, middle: boolean) => {
    if (length > high - low) return middle ? (low + high) / 2 - (start + length / 2) : low - start;
    return Math.max(0, low - start) - Math.max(0, start + length - high);
  };
  const [x, y] = [at.applyX(box.x), at.applyY(box.y)];
  const dx = shift(x, box.width * at.k, MARGIN, pane.width - MARGIN, true);
  const right = x + dx + box.width * at.k;
  const corner = box.height * at.k < pane.height - TOP - CORNER.height && right > pane.width - CORNER.width;
  const dy = shift(y, box.height * at.k, TOP, pane.height - (corner ? CORNER.height : BUTTONS.height), false);
  return zoomIdentity.translate(at.x + dx, at.y + dy).scale(at.k);
}
