import { extent } from "d3-array";
import { line } from "d3-shape";
import type { JSX } from "preact";
import type { Tensor } from "../safetensors";
import "./vector.css";

const MOST_CURVES = 6;

interface VectorProps {
  /** [features] as bars, or [time, variables] as curves; null where there is nothing. */
  readonly values: Pick<Tensor, "shape" | "data"> | null;
  readonly size: number;
  /** Width, where it differs. */
  readonly width?: number;
  readonly label: string;
}

/** A few numbers without axes: bars from zero, or curves one above another. */
export function Vector({ values, size, width = size, label }: VectorProps): JSX.Element {
  const [length = 0, variables = 1] = values?.shape ?? [];
  const data = values?.data ?? [];
  const curves = (values?.shape.length ?? 0) > 1;
  return (
    <svg class="vector" width={width} height={size} viewBox={`0 0 ${width} ${size}`} role="img" aria-label={label}>
      {curves ? curvesOf(data, length, variables, width, size) : barsOf(data, length, width, size)}
    </svg>
  );
}

function barsOf(data: ArrayLike<number>, length: number, width: number, size: number): JSX.Element[] {
  const most = Array.from(data).reduce((m, v) => (Number.isFinite(v) ? Math.max(m, Math.abs(v)) : m), 0) || 1;
  const negative = Array.from(data).some((value) => value < 0);
  const zero = negative ? size / 2 : size - 1;
  const reach = negative ? size / 2 - 1 : size - 2;
  const bar = width / Math.max(1, length);
  const bars = Array.from(data, (value, index) => {
    const height = Number.isFinite(value) ? (Math.abs(value) / most) * reach : size;
    return (
      <rect
        key={index}
        class={Number.isFinite(value) ? (value < 0 ? "vector-negative" : "vector-bar") : "vector-nan"}
        x={index * bar}
        y={Number.isFinite(value) ? (value < 0 ? zero : zero - height) : 0}
        width={Math.max(0.5, bar - (bar > 4 ? 1 : 0))}
        height={Math.max(0.5, height)}
      />
    );
  });
  return [...bars, <line key="zero" class="vector-zero" x1={0} x2={width} y1={zero} y2={zero} />];
}

function curvesOf(
  data: ArrayLike<number>,
  length: number,
  variables: number,
  width: number,
  size: number,
): JSX.Element[] {
  const count = Math.min(variables, MOST_CURVES);
  const row = size / count;
  return Array.from({ length: count }, (_, variable) => {
    const values = Array.from({ length }, (__, time) => data[time * variables + variable] ?? Number.NaN);
    const [low = 0, high = 1] = extent(values.filter(Number.isFinite)) as [number | undefined, number | undefined];
    const range = high > low ? high - low : 1;
    const path = line<number>()
      .defined(Number.isFinite)
      .x((_value, time) => (time / Math.max(1, length - 1)) * width)
      .y((value) => variable * row + row - 2 - ((value - low) / range) * (row - 4))(values);
    return <path key={variable} class="vector-curve" d={path ?? ""} />;
  });
}
