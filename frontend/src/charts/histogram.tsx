import type { JSX } from "preact";
import { useCallback, useMemo } from "preact/hooks";
import { ColourScale } from "../colour";
import { formatNumber } from "../format";
import { nearestIndex } from "../series";
import { Canvas, type Inks } from "./canvas";
import { drawCells } from "./cells";
import { type StepScale, stepColumns } from "./columns";

export interface HistogramProps {
  readonly steps: readonly number[];
  /** bins + 1 ascending edges; an end that is not a number is infinite. */
  readonly edges: readonly (number | null)[];
  /** `counts[step * bins + bin]`. */
  readonly counts: Float32Array;
  readonly x: StepScale;
  readonly height: number;
  readonly step: number;
  readonly label: string;
}

const BARS = 84;
const TICK_DISTANCE = 16;

/** First and one past the last bin that is not empty at every step; all bins if all are empty. */
export function filledBins(counts: ArrayLike<number>, bins: number): [number, number] {
  let first = bins;
  let end = 0;
  for (let index = 0; index < counts.length; index++) {
    if (!((counts[index] as number) > 0)) continue;
    first = Math.min(first, index % bins);
    end = Math.max(end, (index % bins) + 1);
  }
  return first < end ? [first, end] : [0, bins];
}

/** Shares of the elements at one step, bin by bin; NaN where there were none. */
export function shares(counts: Float32Array, bins: number, step: number): Float64Array {
  const row = counts.subarray(step * bins, (step + 1) * bins);
  const total = row.reduce((sum, count) => sum + (Number.isFinite(count) ? count : 0), 0);
  return Float64Array.from(row, (count) => (total > 0 ? count / total : Number.NaN));
}

/** The distribution of a tensor over time, and beside it, on the same axis of values, at the current step. */
export function Histogram({ steps, edges, counts, x, height, step, label }: HistogramProps): JSX.Element {
  const bins = edges.length - 1;
  const [first, end] = useMemo(() => filledBins(counts, bins), [counts, bins]);
  const shown = end - first;
  const all = useMemo(() => steps.map((_, index) => shares(counts, bins, index)), [steps, counts, bins]);
  const scale = useMemo(
    () => new ColourScale("linear", 0, Math.max(1e-6, ...all.map((row) => Math.max(...row.map((s) => s || 0))))),
    [all],
  );
  const columns = useMemo(() => stepColumns(steps, x), [steps, x]);
  const y = useCallback((row: number) => (row / shown) * height, [shown, height]);
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) =>
      drawCells(context, inks, {
        columns,
        rows: shown,
        y,
        scale,
        cell: (index, row) => {
          const value = all[index]?.[end - 1 - row] ?? Number.NaN;
          return { value, mark: value > 0 ? "" : "none" };
        },
      }),
    [columns, shown, y, scale, all, end],
  );
  const now = all[nearestIndex(steps, step)];
  const ticks = edgeTicks(edges, first, end, Math.max(2, Math.floor(height / TICK_DISTANCE)));
  return (
    <div class="histogram" role="img" aria-label={label}>
      <svg class="histogram-axis" width={56} height={height} aria-hidden="true">
        {ticks.map((edge) => (
          <text key={edge} x={52} y={tickY(y(end - edge), height)} text-anchor="end">
            {edgeText(edges, edge)}
          </text>
        ))}
      </svg>
      <div class="histogram-time">
        <Canvas width={x.width} height={height} draw={draw} />
        <svg class="heat-cross" width={x.width} height={height} aria-hidden="true">
          <line x1={x.x(step)} x2={x.x(step)} y1={0} y2={height} />
        </svg>
      </div>
      <svg class="histogram-bars" width={BARS} height={height} aria-hidden="true">
        {now !== undefined &&
          Array.from({ length: shown }, (_, row) => {
            const bin = end - 1 - row;
            const share = now[bin] ?? Number.NaN;
            if (!(share > 0)) return null;
            return (
              <rect key={bin} x={0} y={y(row)} width={scale.position(share) * BARS} height={Math.max(0.5, y(1) - 0.5)}>
                <title>{`${edgeText(edges, bin)} to ${edgeText(edges, bin + 1)}: ${formatNumber(share * 100)} %`}</title>
              </rect>
            );
          })}
      </svg>
    </div>
  );
}

/** Indices of the edges to name: evenly spread, 0 among them where it is an edge. */
export function edgeTicks(edges: readonly (number | null)[], first: number, end: number, most: number): number[] {
  const every = Math.max(1, Math.ceil((end - first) / most));
  const zero = edges.indexOf(0);
  const start = zero >= first && zero <= end ? zero - Math.floor((zero - first) / every) * every : first;
  return Array.from({ length: Math.floor((end - start) / every) + 1 }, (_, index) => start + index * every);
}

function edgeText(edges: readonly (number | null)[], index: number): string {
  const edge = edges[index] ?? null;
  return edge === null ? (index === 0 ? "-∞" : "∞") : formatNumber(edge);
}

function tickY(y: number, height: number): number {
  return Math.min(height - 2, Math.max(9, y + 4));
}
