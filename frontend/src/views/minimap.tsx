// The whole picture in the corner, and which part of it is on view; dragged, it moves the view.

import type { JSX } from "preact";
import { useCallback, useMemo, useRef } from "preact/hooks";
import { Canvas, type Inks } from "../charts/canvas";
import { notDrawn } from "../download";
import type { PlacedBox, Size } from "../layout/picture";
import "./minimap.css";

export interface MinimapProps {
  readonly picture: Size & { readonly boxes: readonly PlacedBox[] };
  /** Where the picture stands in the pane: translation in pixels and scale. */
  readonly transform: { readonly x: number; readonly y: number; readonly k: number };
  readonly pane: Size;
  /** The data colour of a box; "" for none. Must keep its identity while it gives the same. */
  readonly colour: (id: string) => string;
  /** Bring this point of the picture to the middle of the pane. */
  readonly onMove: (x: number, y: number) => void;
}

const WIDEST = 148;
const HIGHEST = 132;
/** Of a small pane, the map takes no more than this share of either side. */
const SHARE = 0.22;
/** A very tall or very wide picture still leaves something to point at. */
const NARROWEST = 26;
/** Boxes are drawn down to this depth, and to this size in pixels. */
const DEEPEST = 3;
const SMALLEST = 1;
/** Part of the picture that may be out of view before there is a minimap: its own margin, and rounding. */
const SLACK = 8;
const FRAME = 5;

interface Rectangle extends Size {
  x: number;
  y: number;
}

/** The part of the picture that is on view, in the picture's coordinates. */
export function onView({ transform: { x, y, k }, pane }: Pick<MinimapProps, "transform" | "pane">): Rectangle {
  return { x: -x / k, y: -y / k, width: pane.width / k, height: pane.height / k };
}

/** Whether something of the picture is out of view. */
export function isPartial({ picture, transform, pane }: Pick<MinimapProps, "picture" | "transform" | "pane">): boolean {
  const view = onView({ transform, pane });
  const slack = SLACK / transform.k;
  return (
    view.x > slack ||
    view.y > slack ||
    view.x + view.width < picture.width - slack ||
    view.y + view.height < picture.height - slack
  );
}

export function Minimap(props: MinimapProps): JSX.Element | null {
  const { picture, transform, pane, colour, onMove } = props;
  const map = useRef<HTMLDivElement>(null);
  const [widest, highest] = [Math.min(WIDEST, SHARE * pane.width), Math.min(HIGHEST, SHARE * pane.height)];
  const scale = Math.min(widest / picture.width, highest / picture.height);
  const width = Math.max(NARROWEST, picture.width * scale);
  const height = Math.max(NARROWEST, picture.height * scale);
  const left = (width - picture.width * scale) / 2;
  const top = (height - picture.height * scale) / 2;
  const boxes = useMemo(() => worthDrawing(picture.boxes, scale), [picture, scale]);
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) => {
      for (const box of boxes) drawBox(context, inks, box, colour(box.id), { scale, left, top });
    },
    [boxes, colour, scale, left, top],
  );
  if (!isPartial(props)) return null;
  const view = onView({ transform, pane });
  const clipped = clip(
    { x: left + view.x * scale, y: top + view.y * scale, width: view.width * scale, height: view.height * scale },
    { width, height },
  );
  const move = (event: PointerEvent) => {
    const box = map.current?.getBoundingClientRect();
    if (box === undefined) return;
    onMove((event.clientX - box.left - FRAME - left) / scale, (event.clientY - box.top - FRAME - top) / scale);
  };
  return (
    // The keys of the picture do the same: this is for pointers alone.
    <div
      ref={map}
      {...notDrawn}
      class="minimap"
      aria-hidden="true"
      data-testid="minimap"
      style={{ padding: `${FRAME}px` }}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        move(event);
      }}
      onPointerMove={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && move(event)}
    >
      <Canvas width={width} height={height} draw={draw} />
      <i
        style={{
          left: `${FRAME + clipped.x}px`,
          top: `${FRAME + clipped.y}px`,
          width: `${clipped.width}px`,
          height: `${clipped.height}px`,
        }}
      />
    </div>
  );
}

function worthDrawing(boxes: readonly PlacedBox[], scale: number): PlacedBox[] {
  return boxes.filter(
    ({ depth, width, height }) => depth <= DEEPEST && width * scale >= SMALLEST && height * scale >= SMALLEST,
  );
}

interface Place {
  readonly scale: number;
  readonly left: number;
  readonly top: number;
}

function drawBox(context: CanvasRenderingContext2D, inks: Inks, box: PlacedBox, colour: string, at: Place): void {
  const rectangle = [at.left + box.x * at.scale, at.top + box.y * at.scale] as const;
  const [width, height] = [Math.max(1, box.width * at.scale), Math.max(1, box.height * at.scale)];
  context.fillStyle = colour || inks.none;
  context.fillRect(...rectangle, width, height);
  if (!box.expanded || width < 3 || height < 3) return;
  context.fillStyle = inks.surface;
  context.fillRect(rectangle[0] + 0.75, rectangle[1] + 0.75, width - 1.5, height - 1.5);
}

/** The part of a rectangle that lies within a size, and something of it in any case. */
function clip(rectangle: Rectangle, within: Size): Rectangle {
  const cut = (start: number, length: number, most: number) => {
    const from = Math.min(Math.max(0, start), most - 4);
    return [from, Math.max(4, Math.min(most, start + length) - from)] as const;
  };
  const [x, width] = cut(rectangle.x, rectangle.width, within.width);
  const [y, height] = cut(rectangle.y, rectangle.height, within.height);
  return { x, y, width, height };
}
