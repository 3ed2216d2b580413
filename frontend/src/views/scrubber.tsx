import { line } from "d3-shape";
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { type StepScale, stepScale, stepTicks } from "../charts/columns";
import { anchor } from "../charts/heat";
import { type Points, smoothed, thinned, ValueAxis, valueScale } from "../charts/line";
import { useSize } from "../charts/size";
import type { SavedSteps } from "../data";
import { formatName, formatNumber, formatStep } from "../format";
import { nearest, nearestIndex } from "../series";
import type { Store } from "../store";

const CURVE = 58;
const TICK_ROW = 10;
const AXIS = 15;
const SMOOTHING = 0.8;
const SNAP_PX = 5;
const PAGE = 10;

/** The training curve with a handle on it: dragging the handle moves every view to that step. */
export function Scrubber({ store }: { readonly store: Store }): JSX.Element {
  const [smooth, setSmooth] = useState(false);
  const [ref, { width }] = useSize<HTMLDivElement>();
  const curve = store.scalarCurve.value;
  const raw: Points | null = curve.data;
  const step = store.step.value;
  const steps = store.steps.value;
  return (
    <section class="scrubber" aria-label="Step">
      <div class="scrubber-side">
        <div class="scrubber-step">
          <span class="quiet">step</span> <b class="number">{formatStep(step)}</b>
          <Stepper store={store} />
        </div>
        <div class="scrubber-near">
          <span class="quiet number" aria-live="polite">
            {nearness(step, steps, store.following.value)}
          </span>
          <label class="check" title="Space steps by their order of magnitude, in every chart">
            <input
              type="checkbox"
              data-testid="log-steps"
              checked={store.axis.value === "log"}
              onChange={(event) => store.choose({ axis: event.currentTarget.checked ? "log" : null })}
            />
            log steps
          </label>
        </div>
        <div class="scrubber-curve">
          <select
            aria-label="Curve in the scrubber"
            data-testid="scalar-picker"
            value={store.scalar.value ?? ""}
            disabled={store.scalars.value.length === 0}
            onChange={(event) => store.choose({ scalar: event.currentTarget.value })}
          >
            {store.scalars.value.length === 0 && <option value="">no scalars</option>}
            {store.scalars.value.map((tag) => (
              <option key={tag} value={tag}>
                {tag}
              </option>
            ))}
          </select>
          <label class="check">
            <input type="checkbox" checked={smooth} onChange={(event) => setSmooth(event.currentTarget.checked)} />
            smooth
          </label>
        </div>
      </div>
      <div class="scrubber-plot" ref={ref}>
        {width > 0 && <Track store={store} raw={raw} smooth={smooth} width={width} />}
        {curve.error !== "" && <p class="problem">{curve.error}</p>}
      </div>
    </section>
  );
}

/** What of the data is shown at a step, in words. */
export function nearness(step: number, steps: readonly number[], following: boolean): string {
  const saved = nearest(steps, step);
  if (saved === null) return "nothing saved yet";
  if (saved !== step) return `nearest saved ${formatStep(saved)}`;
  return following ? "latest, followed" : `${nearestIndex(steps, step) + 1} of ${steps.length} saved`;
}

function Stepper({ store }: { readonly store: Store }): JSX.Element {
  const button = (label: string, path: string, by: number) => (
    <button type="button" class="icon" aria-label={label} title={label} onClick={() => move(store, by)}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        <path d={path} />
      </svg>
    </button>
  );
  return (
    <span class="stepper">
      {button("Previous saved step", "M8 2 4 6l4 4", -1)}
      {button("Next saved step", "M4 2l4 4-4 4", 1)}
      {button("Latest step, and follow it", "M3 2l4 4-4 4M9.5 2v8", Number.POSITIVE_INFINITY)}
    </span>
  );
}

/** Go `by` saved steps on; the handle first goes to a saved step if it stands between two. */
export function move(store: Store, by: number): void {
  const steps = store.steps.peek();
  const step = store.step.peek();
  const here = by > 0 ? steps.findLastIndex((saved) => saved <= step) : steps.findIndex((saved) => saved >= step);
  const from = here < 0 ? (by > 0 ? -1 : steps.length) : here;
  const to = steps[Math.min(steps.length - 1, Math.max(0, from + by))];
  if (to !== undefined) store.goTo(to);
}

interface TrackProps {
  readonly store: Store;
  readonly raw: Points | null;
  readonly smooth: boolean;
  readonly width: number;
}

const GUTTER = 98;

function Track({ store, raw, smooth, width }: TrackProps): JSX.Element {
  const plot = Math.max(50, width - GUTTER - 4);
  const x = useMemo(
    () => stepScale(store.span.value, plot, 8, store.axis.value),
    [store.span.value, plot, store.axis.value],
  );
  const step = store.step.value;
  const saved = useMemo(() => together(store.saved.value), [store.saved.value]);
  const [first, last] = store.span.value;
  const height = CURVE + Math.max(1, saved.length) * TICK_ROW + AXIS;
  const y = useMemo(() => valueScale(raw?.values ?? [], "linear", CURVE), [raw]);

  const drag = (event: PointerEvent) => {
    const target = event.currentTarget as Element;
    if (event.type === "pointerdown") target.setPointerCapture(event.pointerId);
    else if (event.buttons === 0) return;
    const at = event.clientX - target.getBoundingClientRect().left;
    store.goTo(snapped(at, x, store.steps.peek()));
  };
  const onKeyDown = (event: KeyboardEvent) => {
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
  };
  return (
    <div class="track">
      <div class="track-gutter" style={{ width: `${GUTTER}px` }}>
        {raw !== null && raw.steps.length > 0 ? (
          <ValueAxis scale={y} height={CURVE} />
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
        role="slider"
        tabIndex={0}
        data-testid="step-slider"
        aria-label="Step"
        aria-valuemin={first}
        aria-valuemax={last}
        aria-valuenow={step}
        aria-valuetext={valueText(store, raw)}
        onPointerDown={drag}
        onPointerMove={drag}
        onKeyDown={onKeyDown}
      >
        <svg width={plot} height={height} aria-hidden="true">
          {raw !== null && <Curve raw={raw} smooth={smooth} x={x} y={y.y} />}
          <Ticks saved={saved} x={x} />
          {last > first &&
            stepTicks(x, plot / 90).map((tick) => (
              <text key={tick} class="tick" x={x.x(tick)} y={height - 3} text-anchor={anchor(x.x(tick), plot)}>
                {formatStep(tick)}
              </text>
            ))}
          {store.steps.value.length > 0 && (
            <g class="handle" transform={`translate(${Math.round(x.x(step)) + 0.5},0)`}>
              <line y1={0} y2={height - AXIS} />
              <path d="M-5,0h10v7l-5,5l-5,-5z" />
            </g>
          )}
        </svg>
      </div>
    </div>
  );
}

/** The step under the pointer: a saved one if one is near, else any whole step. */
export function snapped(at: number, x: StepScale, steps: readonly number[]): number {
  const under = Math.min(x.last, Math.max(x.first, Math.round(x.step(at))));
  const saved = nearest(steps, under);
  return saved !== null && Math.abs(x.x(saved) - at) <= SNAP_PX ? saved : under;
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
}

function Curve({ raw, smooth, x, y }: CurveProps): JSX.Element {
  return useMemo(() => <Paths {...{ raw, smooth, x, y }} />, [raw, smooth, x, y]);
}

function Paths({ raw, smooth, x, y }: CurveProps): JSX.Element {
  const path = line<[number, number]>()
    .defined(([, value]) => Number.isFinite(value))
    .x(([at]) => at)
    .y(([, value]) => y(value));
  const draw = (points: Points) => path(thinned(points, x)) ?? "";
  return (
    <g>
      <path class={smooth ? "curve behind" : "curve"} d={draw(raw)} />
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
        const pixels = [...new Set(steps.map((step) => Math.round(x.x(step))))];
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
