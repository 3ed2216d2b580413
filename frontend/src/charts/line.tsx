import { extent, median } from "d3-array";
import { line } from "d3-shape";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { ScaleKind } from "../colour";
import { formatNumber } from "../format";
import type { StepScale } from "./columns";

export interface Points {
  readonly steps: readonly number[];
  readonly values: ArrayLike<number>;
}

/** Maps values to pixels; `low` and `high` are the limits that the axis shows. */
export interface ValueScale {
  readonly low: number;
  readonly high: number;
  y(value: number): number;
}

/** The scale on which the finite values fill the height; logarithmic where all are positive and `kind` is `log`. */
export function valueScale(
  values: ArrayLike<number>,
  kind: ScaleKind | "linear",
  height: number,
  inset = 4,
): ValueScale {
  const finite = Array.from(values).filter((value) => Number.isFinite(value) && (kind !== "log" || value > 0));
  let [low = 0, high = 1] = extent(finite) as [number | undefined, number | undefined];
  if (kind === "fraction") [low, high] = [0, 1];
  if (kind === "cosine") high = 1;
  if (kind === "count") low = 0;
  if (low === high) [low, high] = kind === "log" ? [low / 2, high * 2] : [low - 1, high + 1];
  const transform = kind === "log" && low > 0 ? Math.log : (value: number) => value;
  const [from, to] = [transform(low), transform(high)];
  const inner = height - 2 * inset;
  return {
    low,
    high,
    y: (value) => {
      const t = (transform(kind === "log" ? Math.max(value, low) : value) - from) / (to - from);
      return inset + (1 - t) * inner;
    },
  };
}

/** How a curve is drawn: by orders of magnitude where a few values would press all others flat. */
export function curveKind(values: readonly number[]): "linear" | "log" {
  const finite = values.filter(Number.isFinite);
  const [low = 0, high = 0] = extent(finite) as [number | undefined, number | undefined];
  return low > 0 && high > FLAT * (median(finite) ?? high) ? "log" : "linear";
}

const FLAT = 10_000;

/** An exponential moving average without the bias of its start, as TensorBoard smooths; NaN leaves it as it was. */
export function smoothed(values: ArrayLike<number>, weight: number): Float64Array {
  let sum = 0;
  let mass = 0;
  return Float64Array.from(values, (value) => {
    if (!Number.isFinite(value)) return value;
    sum = sum * weight + (1 - weight) * value;
    mass = mass * weight + (1 - weight);
    return sum / mass;
  });
}

/** Lowest and highest point of each pixel column: the picture stays, the path stays short. */
export function thinned({ steps, values }: Points, scale: StepScale): [x: number, value: number][] {
  const points = steps.flatMap((step, index): [number, number][] =>
    step < scale.first || step > scale.last ? [] : [[scale.x(step), values[index] ?? Number.NaN]],
  );
  if (points.length <= 2 * scale.width) return points;
  const kept: [number, number][] = [];
  let start = 0;
  while (start < points.length) {
    const pixel = Math.floor((points[start] as [number, number])[0]);
    let end = start;
    let low = start;
    let high = start;
    let broken = -1;
    while (end < points.length && Math.floor((points[end] as [number, number])[0]) === pixel) {
      const value = (points[end] as [number, number])[1];
      if (!Number.isFinite(value)) broken = end;
      else {
        if (!(value >= (points[low] as [number, number])[1])) low = end; // also where that one is NaN
        if (!(value <= (points[high] as [number, number])[1])) high = end;
      }
      end++;
    }
    const indices = [...new Set([start, low, high, ...(broken >= 0 ? [broken] : [])])].sort((a, b) => a - b);
    for (const index of indices) kept.push(points[index] as [number, number]);
    start = end;
  }
  return kept;
}

/** Of ascending positions, those that keep `distance` from the one before. */
export function apart(positions: readonly number[], distance: number): number[] {
  const kept: number[] = [];
  for (const position of positions) {
    if (position - (kept.at(-1) ?? Number.NEGATIVE_INFINITY) >= distance) kept.push(position);
  }
  return kept;
}

const CROSS_PX = 9;

export interface LineProps {
  readonly points: Points;
  /** A paler curve behind, e.g. before smoothing. */
  readonly behind?: Points;
  /** The curve of what is compared with, on the same scale; broken. */
  readonly compared?: Points | null;
  readonly kind: ScaleKind | "linear";
  readonly x: StepScale;
  readonly height: number;
  /** Where the vertical rule stands. */
  readonly step: number;
  /** Where that of what is compared with stands. */
  readonly compareStep?: number | null;
  readonly label: string;
}

/** A curve over the steps with a rule at the current one; values that are not finite are crosses at the foot. */
export function Line(props: LineProps): JSX.Element {
  const { points, behind, compared = null, kind, x, height, step, compareStep = null, label } = props;
  // Kept while only the step changes: there can be fifty of them beside each other.
  const curve = useMemo(
    () => <Curve {...{ points, compared, kind, x, height, ...(behind && { behind }) }} />,
    [points, behind, compared, kind, x, height],
  );
  return (
    <svg class="line" width={x.width} height={height} role="img" aria-label={label}>
      {curve}
      {compareStep !== null && (
        <line class="rule of-b" x1={x.x(compareStep)} x2={x.x(compareStep)} y1={0} y2={height} />
      )}
      <line class="rule" x1={x.x(step)} x2={x.x(step)} y1={0} y2={height} />
    </svg>
  );
}

type CurveProps = Omit<LineProps, "step" | "compareStep" | "label">;

function Curve({ points, behind, compared = null, kind, x, height }: CurveProps): JSX.Element {
  const y = valueScale(shownValues(x, behind ?? points, compared), kind, height);
  const path = line<[number, number]>()
    .defined(([, value]) => Number.isFinite(value))
    .x(([at]) => at)
    .y(([, value]) => y.y(value));
  const drawn = thinned(points, x);
  const dots = drawn.filter(([, value]) => Number.isFinite(value)).length <= 40 ? drawn : [];
  return (
    <>
      <line class="axis" x1={0} x2={x.width} y1={height - 0.5} y2={height - 0.5} />
      {behind && <path class="curve behind" d={path(thinned(behind, x)) ?? ""} />}
      {compared && <path class="curve of-b" d={path(thinned(compared, x)) ?? ""} />}
      <path class="curve" d={path(drawn) ?? ""} />
      {dots.map(([at, value]) =>
        Number.isFinite(value) ? <circle key={at} class="dot" cx={at} cy={y.y(value)} r={1.8} /> : null,
      )}
      <Broken drawn={drawn} y={height - 8} />
      {compared && <Broken drawn={thinned(compared, x)} y={2} />}
    </>
  );
}

/** A cross where a curve is not a finite number. */
export function Broken({ drawn, y }: { readonly drawn: readonly [number, number][]; readonly y: number }): JSX.Element {
  const broken = drawn.filter(([, value]) => !Number.isFinite(value)).map(([at]) => at);
  return (
    <>
      {apart(broken, CROSS_PX).map((at) => (
        <path key={at} class="broken" d={`M${at - 3},${y}l6,6m0,-6l-6,6`}>
          <title>not a finite number</title>
        </path>
      ))}
    </>
  );
}

/** What is shown of one or two curves: the values that their scale is to hold. */
export function shownValues({ first, last }: StepScale, ...curves: readonly (Points | null)[]): number[] {
  return curves.flatMap((points) =>
    Array.from(points?.values ?? []).filter((_, index) => {
      const step = points?.steps[index] ?? Number.NaN;
      return step >= first && step <= last;
    }),
  );
}

/** The limits of a value scale as two small numbers at its left. */
export function ValueAxis({
  scale,
  height,
  format = formatNumber,
  kind = "linear",
}: {
  readonly scale: ValueScale;
  readonly height: number;
  readonly format?: (value: number) => string;
  readonly kind?: "linear" | "log";
}): JSX.Element {
  return (
    <span class="value-axis number" style={{ height: `${height}px` }}>
      <span>{format(scale.high)}</span>
      {kind === "log" && <span class="quiet">log</span>}
      <span>{format(scale.low)}</span>
    </span>
  );
}
