import { line } from "d3-shape";
import type { JSX } from "preact";
import { useMemo, useRef } from "preact/hooks";
import { type StepScale, stepScale, stepTicks } from "../charts/columns";
import { anchor } from "../charts/heat";
import { Broken, curveKind, type Points, shownValues, smoothed, thinned, ValueAxis, valueScale } from "../charts/line";
import type { SavedSteps } from "../data";
import { formatName, formatNumber, formatStep } from "../format";
import { nearestIndex } from "../series";
import { move, nearness, snapped } from "../stepping";
import type { Store } from "../store";

const CURVE = 58;
const TICK_ROW = 10;
const AXIS = 15;
const SMOOTHING = 0.8;
const GRIP = 18; // px of the place where B is taken hold of
const GAP = 4; // px between gutter and plot, as in scrubber.css
const PAGE = 10;

interface TrackProps {
  readonly store: Store;
  readonly raw: Points | null;
  readonly smooth: boolean;
  readonly width: number;
}

const GUTTER = 98;

/** The curve, the ticks below it, and a handle at the step; of what is compared with another curve and handle. */
export function Track({ store, raw, smooth, width }: TrackProps): JSX.Element {
  const plot = Math.max(50, width - GUTTER - 4);
  const x = useMemo(
    () => stepScale(store.span.value, plot, 8, store.axis.value),
    [store.span.value, plot, store.axis.value],
  );
  const step = store.step.value;
  const saved = useMemo(() => together(store.saved.value), [store.saved.value]);
  const [first, last] = store.span.value;
  const ends = store.wholeSpan.value;
  const height = CURVE + Math.max(1, saved.length) * TICK_ROW + AXIS;
  const other = store.other.value;
  const beside = other !== null && other.run.value !== store.run.value ? other.scalarCurve.value.data : null;
  const [kind, y] = useMemo(() => {
    const values = shownValues(x, raw, beside);
    const found = curveKind(values);
    return [found, valueScale(values, found, CURVE)] as const;
  }, [x, raw, beside]);
  const plotted = useRef<HTMLDivElement>(null);
  const drag = (moved: Store) => (event: PointerEvent) => {
    if (event.type === "pointerdown") (event.currentTarget as Element).setPointerCapture(event.pointerId);
    else if (event.buttons === 0) return;
    const at = event.clientX - (plotted.current?.getBoundingClientRect().left ?? 0);
    moved.goTo(snapped(at, x, moved.steps.peek()));
  };
  const onKeyDown = (event: KeyboardEvent) => byKey(event.shiftKey && other !== null ? other : store, event);
  return (
    <div class="track">
      <div class="track-gutter" style={{ width: `${GUTTER}px` }}>
        {raw !== null && raw.steps.length > 0 ? (
          <ValueAxis scale={y} height={CURVE} kind={kind} />
        ) : (
          <span class="value-axis" style={{ height: `${CURVE}px` }} />
        )}
        {saved.map(({ labels }) => (
          <span
            key={labels[0]}
            class="tick-label"
            title={labels.map(formatName).join(", ")}
            style={{ height: `${TICK_ROW}px`, lineHeight: `${TICK_ROW}px` }}
          >
            {labels.length > 1 ? `${formatName(labels[0] ?? "")} +${labels.length - 1}` : formatName(labels[0] ?? "")}
          </span>
        ))}
      </div>
      <div
        class="track-plot"
        ref={plotted}
        role="slider"
        tabIndex={0}
        data-testid="step-slider"
        aria-label="Step"
        aria-valuemin={ends[0]}
        aria-valuemax={ends[1]}
        aria-valuenow={step}
        aria-valuetext={valueText(store, raw)}
        onPointerDown={drag(store)}
        onPointerMove={drag(store)}
        onKeyDown={onKeyDown}
      >
        <svg width={plot} height={height} aria-hidden="true">
          {beside !== null && (
            <g class="of-b">
              <Curve raw={beside} smooth={smooth} x={x} y={y.y} at={2} />
            </g>
          )}
          {raw !== null && <Curve raw={raw} smooth={smooth} x={x} y={y.y} at={CURVE - 8} />}
          <Ticks saved={saved} x={x} />
          {last > first &&
            stepTicks(x, plot / 90).map((tick) => (
              <text key={tick} class="tick" x={x.x(tick)} y={height - 3} text-anchor={anchor(x.x(tick), plot)}>
                {formatStep(tick)}
              </text>
            ))}
          <Pointer store={store} x={x} foot={height - AXIS} />
          {other !== null && (
            <Handle className="handle of-b" step={other.step.value} x={x} foot={height - AXIS} below />
          )}
          {store.steps.value.length > 0 && <Handle className="handle" step={step} x={x} foot={height - AXIS} />}
        </svg>
      </div>
      {other !== null && (
        <div
          class="track-b"
          role="slider"
          tabIndex={0}
          data-testid="compare-slider"
          aria-label="Step of B"
          title="Step of B: drag, or arrow keys"
          aria-valuemin={ends[0]}
          aria-valuemax={ends[1]}
          aria-valuenow={other.step.value}
          aria-valuetext={valueText(other, other.scalarCurve.value.data)}
          style={{ left: `${GUTTER + GAP + within(x, other.step.value)}px`, top: `${height - AXIS - GRIP}px` }}
          onPointerDown={drag(other)}
          onPointerMove={drag(other)}
          onKeyDown={(event) => byKey(other, event)}
        />
      )}
    </div>
  );
}

function byKey(store: Store, event: KeyboardEvent): void {
  const moves: Record<string, number> = {
    ArrowLeft: -1,
    ArrowDown: -1,
    ArrowRight: 1,
    ArrowUp: 1,
    PageDown: -PAGE,
    PageUp: PAGE,
    Home: Number.NEGATIVE_INFINITY,
    End: Number.POSITIVE_INFINITY,
  };
  const by = moves[event.key];
  if (by === undefined) return;
  event.preventDefault();
  move(store, by);
}

/** Where a step stands, at the edge if it lies beyond what is shown. */
function within(x: StepScale, step: number): number {
  return Math.round(Math.min(x.width, Math.max(0, x.x(step))));
}

interface PointerProps {
  readonly store: Store;
  readonly x: StepScale;
  readonly foot: number;
}

/** The step under the pointer in another view. */
function Pointer({ store, x, foot }: PointerProps): JSX.Element | null {
  const step = store.pointed.value?.step ?? null;
  if (step === null || step < x.first || step > x.last) return null;
  return <line class="pointed" x1={x.x(step)} x2={x.x(step)} y1={0} y2={foot} />;
}

interface HandleProps {
  readonly className: string;
  readonly step: number;
  readonly x: StepScale;
  readonly foot: number;
  /** Whether its flag stands below the line: of two at one step both are seen. */
  readonly below?: boolean;
}

/** A step beyond what is shown has its handle at the edge, in outline. */
function Handle({ className, step, x, foot, below = false }: HandleProps): JSX.Element {
  const beyond = step < x.first || step > x.last;
  return (
    <g class={`${className}${beyond ? " beyond" : ""}`} transform={`translate(${within(x, step) + 0.5},0)`}>
      <line y1={0} y2={foot} />
      <path d={below ? `M-5,${foot}h10v-7l-5,-5l-5,5z` : "M-5,0h10v7l-5,5l-5,-5z"} />
    </g>
  );
}

function valueText(store: Store, raw: Points | null): string {
  const step = store.step.value;
  const near = nearness(step, store.steps.value, store.following.value);
  const at = raw === null ? -1 : nearestIndex(raw.steps, step);
  const value = at < 0 ? "" : `, ${store.scalar.value} ${formatNumber(raw?.values[at] ?? Number.NaN)}`;
  return `step ${step}, ${near}${value}`;
}

interface CurveProps {
  readonly raw: Points;
  readonly smooth: boolean;
  readonly x: StepScale;
  readonly y: (value: number) => number;
  /** Top of the crosses where it is not a number. */
  readonly at: number;
}

function Curve({ raw, smooth, x, y, at }: CurveProps): JSX.Element {
  return useMemo(() => <Paths {...{ raw, smooth, x, y, at }} />, [raw, smooth, x, y, at]);
}

function Paths({ raw, smooth, x, y, at }: CurveProps): JSX.Element {
  const path = line<[number, number]>()
    .defined(([, value]) => Number.isFinite(value))
    .x(([place]) => place)
    .y(([, value]) => y(value));
  const draw = (points: Points) => path(thinned(points, x)) ?? "";
  return (
    <g>
      <path class={smooth ? "curve behind" : "curve"} d={draw(raw)} />
      <Broken drawn={thinned(raw, x)} y={at} />
      {smooth && <path class="curve" d={draw({ steps: raw.steps, values: smoothed(raw.values, SMOOTHING) })} />}
    </g>
  );
}

/** Sorts of data that were saved at the same steps. */
interface Together {
  readonly labels: readonly string[];
  readonly steps: readonly number[];
}

/** Sorts of data that were saved at the same steps share a row of ticks. */
export function together(saved: readonly SavedSteps[]): Together[] {
  const rows: { labels: string[]; steps: readonly number[] }[] = [];
  for (const { label, steps } of saved) {
    const alike = (row: Together) =>
      row.steps.length === steps.length && row.steps.every((step, i) => step === steps[i]);
    const row = rows.find(alike);
    if (row === undefined) rows.push({ labels: [label], steps });
    else row.labels.push(label);
  }
  return rows;
}

/** One row of ticks per sort of data, at the steps where it was saved. */
function Ticks({ saved, x }: { readonly saved: readonly Together[]; readonly x: StepScale }): JSX.Element {
  const rows = useMemo(
    () =>
      saved.map(({ labels, steps }, row) => {
        const top = CURVE + row * TICK_ROW;
        const shown = steps.filter((step) => step >= x.first && step <= x.last);
        const pixels = [...new Set(shown.map((step) => Math.round(x.x(step))))];
        return (
          <g key={labels[0]}>
            <title>{`${labels.map(formatName).join(", ")}: saved at ${steps.length} steps`}</title>
            <rect class="tick-row" x={0} y={top} width={x.width} height={TICK_ROW} />
            <path d={pixels.map((pixel) => `M${pixel + 0.5},${top + 1}v${TICK_ROW - 2}`).join("")} />
          </g>
        );
      }),
    [saved, x],
  );
  return <g class="ticks">{rows}</g>;
}
