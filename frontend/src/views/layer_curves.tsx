import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { stepScale } from "../charts/columns";
import { Line, type Points, shownValues, ValueAxis, valueScale } from "../charts/line";
import { type ScaleKind, scaleKind } from "../colour";
import { formatName, formatValue } from "../format";
import type { Series } from "../series";
import type { Store } from "../store";
import { curvesTable } from "../tables";
import { SERIES, type Statistic } from "../wire";
import { Downloads } from "./downloads";
import { Waiting } from "./words";

const AXIS = 46;
const GAP = 12;
const HEIGHT = 46;
const MIN_CELL = 140;
const SPARK_WIDTH = 84;
const SPARK_HEIGHT = 18;

/** Which statistic stands for a series while it is closed; the first one of others. */
const HEADLINES: Readonly<Record<string, string>> = {
  updates: "update_ratio",
  activations: "std",
  training_activations: "std",
};

/** The statistics of the selected row over the steps: a line for each series, which opens to all of its curves. */
export function Curves({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element {
  const rows = store.layerRowNames.value;
  const row = store.row.value;
  const coloured = store.measure.value?.series;
  // What was opened and closed by hand; without, the series that colours is open.
  const [opened, setOpened] = useState<ReadonlyMap<string, boolean>>(new Map());
  const all = [...(store.detail.curves.value.data?.values() ?? [])].flatMap(({ series }) => series ?? []);
  const holding = all.flatMap((series) => {
    const index = series.row(row ?? "") ?? series.row(rows[0] ?? "");
    return index === undefined ? [] : [{ series, index }];
  });
  const first = holding.some(({ series }) => series.name === coloured) ? coloured : holding[0]?.series.name;
  return (
    <section class="panel" aria-label="Statistics over steps">
      <div class="panel-title">
        <h4>Statistics</h4>
        {holding.length > 0 && <Downloads store={store} name="statistics" table={() => curvesTable(holding)} />}
      </div>
      {rows.length > 1 && (
        <fieldset class="chips" aria-label="Rows of this layer">
          {rows.map((name) => (
            <button type="button" key={name} aria-pressed={name === row} onClick={() => store.choose({ row: name })}>
              {name}
            </button>
          ))}
        </fieldset>
      )}
      {holding.length === 0 ? (
        <Waiting resource={store.detail.curves.value}>
          <p>No numbers of this layer in this run. After the backward pass, call</p>
          <pre>scope.gradients(step)</pre>
        </Waiting>
      ) : (
        holding.map(({ series, index }) => (
          <SeriesCurves
            key={series.name}
            store={store}
            series={series}
            row={index}
            other={series.rows[index] !== row}
            width={width}
            open={opened.get(series.name) ?? series.name === first}
            onOpen={(open) => setOpened((old) => new Map([...old, [series.name, open]]))}
          />
        ))
      )}
    </section>
  );
}

interface SeriesCurvesProps {
  readonly store: Store;
  readonly series: Series;
  readonly row: number;
  /** The selected row is not in this series, and the layer's own is shown. */
  readonly other: boolean;
  readonly width: number;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
}

function SeriesCurves({ store, series, row, other, width, open, onOpen }: SeriesCurvesProps): JSX.Element {
  const across = Math.max(1, Math.floor((width + GAP) / (MIN_CELL + GAP)));
  const cell = Math.floor((width - GAP * (across - 1)) / across);
  const at = series.at(row, store.step.value);
  const curves = useMemo(() => series.statistics.map((_, column) => curveOf(series, row, column)), [series, row]);
  const moving = curves.filter(({ still }) => still === "");
  const still = curves.filter(({ still: words }) => words !== "");
  const headline = curves.find(({ statistic }) => statistic.name === HEADLINES[series.name]) ?? curves[0];
  return (
    <details class="series" open={open} onToggle={(event) => onOpen(event.currentTarget.open)}>
      <summary title={SERIES.get(series.name)}>
        <span class="series-name">
          {formatName(series.name)}
          {other && <span class="quiet"> of {series.rows[row]}</span>}
        </span>
        {open ? (
          <span class="quiet number">at step {series.steps[at] ?? "none"}</span>
        ) : (
          headline && <Headline store={store} curve={headline} series={series} row={row} at={at} />
        )}
      </summary>
      {open && (
        <>
          <div class="multiples" style={{ gridTemplateColumns: `repeat(${across}, ${cell}px)`, columnGap: `${GAP}px` }}>
            {moving.map((curve) => (
              <Multiple
                key={curve.statistic.name}
                store={store}
                series={series}
                row={row}
                at={at}
                width={cell}
                curve={curve}
              />
            ))}
          </div>
          {grouped(still).map(({ words, names }) => (
            <p class="quiet note" key={words}>
              {names.map(formatName).join(", ")}: {words}.
            </p>
          ))}
        </>
      )}
    </details>
  );
}

interface Curve {
  readonly statistic: Statistic;
  readonly column: number;
  readonly points: Points;
  readonly kind: ScaleKind | "linear";
  /** What a curve would not tell better: the same at every step, or never measured; "" otherwise. */
  readonly still: string;
}

function curveOf(series: Series, row: number, column: number): Curve {
  const statistic = series.statistics[column] as Statistic;
  const kept = series
    .recorded(row)
    .filter((step) => series.mark(step, row, column) !== "none")
    .map((step) => [series.steps[step] as number, series.value(step, row, column)] as const);
  const points = { steps: kept.map(([step]) => step), values: kept.map(([, value]) => value) };
  const kind = scaleKind(statistic);
  const positive = kind !== "log" || points.values.every((value) => !(value <= 0));
  return { statistic, column, points, kind: positive ? kind : "linear", still: stillness(statistic, points.values) };
}

function stillness(statistic: Statistic, values: readonly number[]): string {
  const [first] = values;
  if (first === undefined) return "not measured";
  const told = statistic.scale === "count" || values.length > 1;
  if (!told || !Number.isFinite(first) || values.some((value) => value !== first)) return "";
  return `${formatValue(statistic.scale, first)} at every step`;
}

/** Statistics that are to be told in the same words. */
function grouped(still: readonly Curve[]): { words: string; names: string[] }[] {
  const words = [...new Set(still.map((curve) => curve.still))];
  return words.map((one) => ({
    words: one,
    names: still.filter((curve) => curve.still === one).map(({ statistic }) => statistic.name),
  }));
}

interface ValueProps {
  readonly store: Store;
  readonly series: Series;
  readonly row: number;
  /** Index of the step that stands for the current one. */
  readonly at: number;
  readonly curve: Curve;
}

function valueNow({ series, row, at, curve }: Omit<ValueProps, "store">): string {
  if (series.mark(at, row, curve.column) === "none") return "–";
  return formatValue(curve.statistic.scale, series.value(at, row, curve.column));
}

/** The same curve on the other side of a comparison, and its value there. */
interface OtherCurve {
  /** Null within one run: there it is the same curve. */
  readonly points: Points | null;
  readonly step: number;
  readonly value: string;
}

function useOther({ store, series, row, curve }: Omit<ValueProps, "at">): OtherCurve | null {
  const other = store.other.value;
  const theirs = other?.detail.curves.value.data?.get(series.name)?.series ?? null;
  const name = store.counterpart.value?.of(series.rows[row] ?? null) ?? null;
  const index = name === null ? undefined : theirs?.row(name);
  const column = theirs?.statistics.findIndex(({ name: statistic }) => statistic === curve.statistic.name) ?? -1;
  const found = useMemo(
    () => (theirs === null || index === undefined || column < 0 ? null : curveOf(theirs, index, column)),
    [theirs, index, column],
  );
  if (other === null || theirs === null || found === null || index === undefined) return null;
  const step = other.step.value;
  const points = other.run.value === store.run.value ? null : found.points;
  return { points, step, value: valueNow({ series: theirs, row: index, at: theirs.at(index, step), curve: found }) };
}

/** What a closed series says: one statistic, its curve and its value. */
function Headline(props: ValueProps): JSX.Element {
  const { store, curve } = props;
  const x = useMemo(
    () => stepScale(store.span.value, SPARK_WIDTH, 2, store.axis.value),
    [store.span.value, store.axis.value],
  );
  const value = valueNow(props);
  const other = useOther(props);
  return (
    <>
      <span class="quiet">{formatName(curve.statistic.name)}</span>
      <Line
        points={curve.points}
        compared={other?.points ?? null}
        compareStep={other?.step ?? null}
        kind={curve.kind}
        x={x}
        height={SPARK_HEIGHT}
        step={store.step.value}
        label={`over steps, ${value} now`}
      />
      <b class="number">{value}</b>
    </>
  );
}

function Multiple(props: ValueProps & { readonly width: number }): JSX.Element {
  const { store, series, curve, width } = props;
  const { statistic, points, kind } = curve;
  const x = useMemo(
    () => stepScale(store.span.value, width - AXIS, 3, store.axis.value),
    [store.span.value, store.axis.value, width],
  );
  const value = valueNow(props);
  const other = useOther(props);
  const id = `${series.name}.${statistic.name}`;
  return (
    <div class="multiple">
      <button
        type="button"
        class="multiple-title"
        aria-pressed={store.measure.value?.id === id}
        title={`${statistic.help} Click to colour by it.`}
        onClick={() => store.choose({ measure: id })}
      >
        <span>{formatName(statistic.name)}</span>
        <b class="number">{value}</b>
        {other !== null && <span class="number other-value">B {other.value}</span>}
      </button>
      <div class="multiple-chart">
        <ValueAxis
          scale={valueScale(shownValues(x, points, other?.points ?? null), kind, HEIGHT)}
          height={HEIGHT}
          format={(limit) => formatValue(statistic.scale, limit)}
        />
        <Line
          points={points}
          compared={other?.points ?? null}
          compareStep={other?.step ?? null}
          kind={kind}
          x={x}
          height={HEIGHT}
          step={store.step.value}
          label={`${formatName(series.name)} ${formatName(statistic.name)} over steps, ${value} now`}
        />
      </div>
    </div>
  );
}
