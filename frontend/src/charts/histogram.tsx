import type { JSX } from "preact";
import { useCallback, useMemo } from "preact/hooks";
import { ColourScale } from "../colour";
import { formatNumber } from "../format";
import { nearestIndex } from "../series";
import { Canvas, type Inks } from "./canvas";
import { drawCells, inkPixel, type Pixel } from "./cells";
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

const AXIS = 56;
const BARS = 84;
const TICK_DISTANCE = 16;
const LONG_RUN = 3;

/** A row of the picture: a bin, or null for a run of bins that are empty at every step. */
export type BinRow = number | null;

/**
 * The bins worth a row, from the highest down: bins between two filled ones stay, but a long run of bins that are
 * empty at every step (the exponents between small and exactly zero) becomes one gap.
 */
export function binRows(counts: ArrayLike<number>, bins: number): BinRow[] {
  const filled = Array.from({ length: bins }, () => false);
  for (let index = 0; index < counts.length; index++) {
    if ((counts[index] as number) > 0) filled[index % bins] = true;
  }
  const rows: BinRow[] = [];
  let run: number[] = [];
  for (let bin = bins - 1; bin >= 0; bin--) {
    if (!filled[bin]) {
      run.push(bin);
      continue;
    }
    if (rows.length > 0) rows.push(...(run.length > LONG_RUN ? [null] : run));
    rows.push(bin);
    run = [];
  }
  return rows;
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
  const rows = useMemo(() => binRows(counts, bins), [counts, bins]);
  const all = useMemo(() => steps.map((_, index) => shares(counts, bins, index)), [steps, counts, bins]);
  const scale = useMemo(() => new ColourScale("linear", 0, largest(all)), [all]);
  const columns = useMemo(() => stepColumns(steps, x), [steps, x]);
  const y = useCallback((row: number) => (row / Math.max(1, rows.length)) * height, [rows, height]);
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) =>
      drawCells(context, inks, {
        columns: () => columns,
        rows: rows.length,
        y,
        width: x.width,
        colour: (share) => withOpacity(inks.data, Math.sqrt(scale.position(share))),
        // An empty bin is blank, as what was not measured is.
        value: (index, row) => all[index]?.[rows[row] ?? -1] || Number.NaN,
        mark: () => "none",
      }),
    [columns, rows, y, scale, all, x],
  );
  const now = all[nearestIndex(steps, step)];
  return (
    <div class="histogram" role="img" aria-label={label}>
      <svg class="histogram-axis" width={AXIS} height={height} aria-hidden="true">
        {edgeTicks(rows, y, height).map(({ edge, at }) => (
          <text key={edge} x={AXIS - 4} y={at} text-anchor="end">
            {edgeText(edges, edge)}
          </text>
        ))}
      </svg>
      <div class="histogram-time">
        <Canvas width={x.width} height={height} draw={draw} />
        <svg class="heat-cross" width={x.width} height={height} aria-hidden="true">
          {rows.map((bin, row) =>
            bin === null ? (
              <line key={row} class="gap" x1={0} x2={x.width} y1={y(row + 0.5)} y2={y(row + 0.5)} />
            ) : null,
          )}
          <line x1={x.x(step)} x2={x.x(step)} y1={0} y2={height} />
        </svg>
      </div>
      <svg class="histogram-bars" width={BARS} height={height} aria-hidden="true">
        {rows.map((bin, row) => {
          const share = bin === null ? Number.NaN : (now?.[bin] ?? Number.NaN);
          if (bin === null || !(share > 0)) return null;
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

const FAINTEST = 0.1;

/** A colour of the theme (`#rrggbb`) at an opacity that grows with `share`, and is never quite nothing. */
function withOpacity(colour: string, share: number): Pixel {
  return inkPixel(colour, Math.round(255 * (FAINTEST + (1 - FAINTEST) * share)));
}

/** The largest share of all; the smallest positive number where there is none. */
export function largest(all: readonly Float64Array[]): number {
  let most = Number.MIN_VALUE;
  for (const row of all) for (const share of row) if (share > most) most = share;
  return most;
}

interface EdgeTick {
  /** Index of the edge. */
  readonly edge: number;
  /** Baseline of its text. */
  readonly at: number;
}

/** The edges to name, from the top: as many as there is room for, the outermost and those at a gap before others. */
export function edgeTicks(rows: readonly BinRow[], y: (row: number) => number, height: number): EdgeTick[] {
  const candidates: { edge: number; at: number; first: boolean }[] = [];
  rows.forEach((bin, row) => {
    if (bin === null) return;
    const above = rows[row - 1];
    const below = rows[row + 1];
    if (row === 0 || above === null) candidates.push({ edge: bin + 1, at: y(row), first: row === 0 });
    candidates.push({ edge: bin, at: y(row + 1), first: below === undefined || below === null });
  });
  const kept: EdgeTick[] = [];
  for (const { edge, at } of [
    ...candidates.filter(({ first }) => first),
    ...candidates.filter(({ first }) => !first),
  ]) {
    const inside = Math.min(height - 1, Math.max(9, at + 4));
    if (kept.every((tick) => Math.abs(tick.at - inside) >= TICK_DISTANCE)) kept.push({ edge, at: inside });
  }
  return kept.sort((a, b) => a.at - b.at);
}

/** An edge in words. */
export function edgeText(edges: readonly (number | null)[], index: number): string {
  const edge = edges[index] ?? null;
  return edge === null ? (index === 0 ? "-∞" : "∞") : formatNumber(edge);
}
