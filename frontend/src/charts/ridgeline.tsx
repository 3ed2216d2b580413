import { area, curveMonotoneX, line } from "d3-shape";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { spread } from "../data";
import { formatStep } from "../format";
import { nearest } from "../series";
import { binRows, edgeText, largest, shares } from "./histogram";

const MOST = 24;
const OVERLAP = 3.2; // how many ridges a ridge rises over at most
const GUTTER = 46; // px for the steps
const AXIS = 16;
const LABEL = 11;
const TICK = 44;

interface RidgelineProps {
  readonly steps: readonly number[];
  /** bins + 1 ascending edges; an end that is not a number is infinite. */
  readonly edges: readonly (number | null)[];
  /** `counts[step * bins + bin]`. */
  readonly counts: Float32Array;
  readonly span: readonly [number, number];
  readonly step: number;
  readonly width: number;
  readonly height: number;
  readonly label: string;
  readonly onStep: (step: number) => void;
}

/** The distributions behind each other, the earliest at the back: how a shape moves; the current one is lifted out. */
export function Ridgeline(props: RidgelineProps): JSX.Element {
  const { steps, edges, counts, span, step, width, height, label, onStep } = props;
  const bins = edges.length - 1;
  const current = nearest(steps, step);
  const columns = useMemo(() => binRows(counts, bins).reverse(), [counts, bins]);
  const ridges = useMemo(() => {
    const within = steps.filter((one) => one >= span[0] && one <= span[1]);
    const shown = new Set(spread(within, MOST));
    if (current !== null) shown.add(current);
    return [...shown]
      .sort((a, b) => a - b)
      .map((one) => ({ step: one, share: shares(counts, bins, steps.indexOf(one)) }));
  }, [steps, counts, bins, span, current]);
  const most = useMemo(() => largest(ridges.map(({ share }) => share)), [ridges]);
  const inner = Math.max(20, width - GUTTER);
  const gap = (height - AXIS) / (ridges.length + OVERLAP);
  const x = (column: number) => GUTTER + ((column + 0.5) / Math.max(1, columns.length)) * inner;
  const rise = (share: number) => (share / most) * gap * (OVERLAP + 0.8);
  const baseline = (ridge: number) => (ridge + 1 + OVERLAP) * gap;
  const named = everyFew(ridges.length, gap, LABEL);
  return (
    <svg class="ridgeline" width={width} height={height} role="img" aria-label={label}>
      {ridges.map(({ step: at, share }, index) => {
        const points = columns.map((bin, column): [number, number] => {
          const value = bin === null ? 0 : (share[bin] ?? Number.NaN);
          return [x(column), baseline(index) - (Number.isFinite(value) ? rise(value) : 0)];
        });
        const isCurrent = at === current;
        return (
          // biome-ignore lint/a11y/noStaticElementInteractions: the scrubber goes to every step by keyboard
          <g key={at} class={isCurrent ? "ridge current" : "ridge"} onClick={() => onStep(at)}>
            <title>{`step ${formatStep(at)}`}</title>
            <path class="ridge-face" d={filled(points, baseline(index)) ?? ""} />
            <path class="ridge-line" d={outline(points) ?? ""} />
            {(named(index) || isCurrent) && (
              <text x={GUTTER - 5} y={baseline(index)} text-anchor="end">
                {formatStep(at)}
              </text>
            )}
          </g>
        );
      })}
      {columns.map((bin, column) =>
        bin !== null && column % Math.max(1, Math.ceil((TICK * columns.length) / inner)) === 0 ? (
          <text key={bin} class="ridge-tick" x={x(column)} y={height - 3} text-anchor="middle">
            {edgeText(edges, bin)}
          </text>
        ) : null,
      )}
    </svg>
  );
}

const outline = line<[number, number]>().curve(curveMonotoneX);

function filled(points: readonly [number, number][], foot: number): string | null {
  return area<[number, number]>().curve(curveMonotoneX).y0(foot)(points.map((point) => point));
}

/** Of many ridges only so many are named that the names do not touch, the last among them. */
function everyFew(count: number, gap: number, room: number): (ridge: number) => boolean {
  const every = Math.max(1, Math.ceil(room / gap));
  return (ridge) => (count - 1 - ridge) % every === 0;
}
