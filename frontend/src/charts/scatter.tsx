import { extent } from "d3-array";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import "./scatter.css";

/** One sample as a point. */
export interface Point {
  readonly index: number;
  readonly x: number;
  readonly y: number;
  /** Number of its class, or null. */
  readonly group: number | null;
}

export interface Bounds {
  readonly x: readonly [number, number];
  readonly y: readonly [number, number];
}

/** The bounds of all points, with some room, of one unit per pixel in both directions. */
export function boundsOf(points: readonly Point[]): Bounds {
  const finite = points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const [left = 0, right = 0] = extent(finite, ({ x }) => x) as [number, number];
  const [bottom = 0, top = 0] = extent(finite, ({ y }) => y) as [number, number];
  const half = (Math.max(right - left, top - bottom) || 1) * 0.54;
  const [x, y] = [(left + right) / 2, (bottom + top) / 2];
  return { x: [x - half, x + half], y: [y - half, y + half] };
}

/** Colours that are told apart, also by the colour-blind (Okabe and Ito 2008), then shapes; ten of them. */
const HUES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00"] as const;
const SHAPES = 4;

export interface ScatterProps {
  readonly points: readonly Point[];
  readonly bounds: Bounds;
  readonly size: number;
  /** What a point is called. */
  readonly name: (point: Point) => string;
  readonly label: string;
  readonly selected?: number | null;
  readonly onSelect?: (index: number) => void;
}

/** Samples as points; groups are told by colour and shape, and a point by its name where it is pointed at. */
export function Scatter({ points, bounds, size, name, label, selected, onSelect }: ScatterProps): JSX.Element {
  const [pointed, setPointed] = useState<Point | null>(null);
  const small = size < 150;
  const radius = small ? 2 : 4;
  const shown = points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const at = (point: Point): [number, number] => [
    ((point.x - bounds.x[0]) / (bounds.x[1] - bounds.x[0])) * size,
    size - ((point.y - bounds.y[0]) / (bounds.y[1] - bounds.y[0])) * size,
  ];
  const nearest = (event: PointerEvent): Point | null => {
    const { left, top } = (event.currentTarget as Element).getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    let best: Point | null = null;
    let least = 14 ** 2;
    for (const point of shown) {
      const [px, py] = at(point);
      const distance = (px - x) ** 2 + (py - y) ** 2;
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  };
  const told = pointed ?? shown.find(({ index }) => index === selected) ?? null;
  const step = (event: KeyboardEvent) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (by === 0 || shown.length === 0) return;
    event.preventDefault();
    const place = shown.findIndex(({ index }) => index === selected);
    onSelect?.((shown[(place + by + shown.length) % shown.length] as Point).index);
  };
  const picture = (
    <svg
      width={size}
      height={size}
      viewBox={`0 0 ${size} ${size}`}
      role="img"
      aria-label={label}
      onPointerMove={small ? undefined : (event) => setPointed(nearest(event))}
      onPointerLeave={() => setPointed(null)}
    >
      {shown.map((point) => {
        const [x, y] = at(point);
        return <Mark key={point.index} group={point.group} x={x} y={y} radius={radius} />;
      })}
      {told !== null && !small && <circle class="scatter-told" cx={at(told)[0]} cy={at(told)[1]} r={radius + 4} />}
    </svg>
  );
  if (small) return picture;
  return (
    <div class="scatter">
      <div
        class="scatter-picture"
        role="slider"
        aria-label={`${label}; arrow keys go through the samples`}
        aria-valuemin={0}
        aria-valuemax={Math.max(0, points.length - 1)}
        aria-valuenow={selected ?? 0}
        aria-valuetext={told === null ? "no sample" : name(told)}
        tabIndex={0}
        onKeyDown={step}
        onClick={() => pointed !== null && onSelect?.(pointed.index)}
      >
        {picture}
      </div>
      <p class="scatter-readout number">{told === null ? " " : name(told)}</p>
    </div>
  );
}

interface MarkProps {
  readonly group: number | null;
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** The mark of a group: filled circles first, then rings, squares and triangles of the same colours. */
export function Mark({ group, x, y, radius }: MarkProps): JSX.Element {
  if (group === null || group < 0) return <circle class="scatter-point" cx={x} cy={y} r={radius} />;
  const hue = HUES[group % HUES.length] as string;
  const shape = Math.floor(group / HUES.length) % SHAPES;
  const r = radius * 0.95;
  if (shape === 1) return <circle cx={x} cy={y} r={r * 0.85} fill="none" stroke={hue} stroke-width={radius * 0.6} />;
  if (shape === 2) return <rect x={x - r} y={y - r} width={2 * r} height={2 * r} fill={hue} />;
  if (shape === 3) return <path d={`M${x - r * 1.2},${y + r}h${r * 2.4}l${-r * 1.2},${-r * 2.2}z`} fill={hue} />;
  return <circle cx={x} cy={y} r={radius} fill={hue} />;
}
