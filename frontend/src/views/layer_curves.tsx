import type { JSX } from "preact";
import { stepScale } from "../charts/columns";
import { Line, ValueAxis, valueScale } from "../charts/line";
import { scaleKind } from "../colour";
import { formatName, formatNumber } from "../format";
import { nearestIndex, type Series } from "../series";
import type { Store } from "../store";
import type { Statistic } from "../wire";
import { Waiting } from "./words";

const AXIS = 46;
const GAP = 12;
const HEIGHT = 46;
const MIN_CELL = 140;

/** The statistics of the selected row over the steps: one small curve per statistic of each series. */
export function Curves({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element {
  const rows = store.layerRowNames.value;
  const row = store.row.value;
  const all = [...(store.series.value.data?.byName.values() ?? [])];
  const holding = all.filter((series) => row !== null && series.row(row) !== undefined);
  return (
    <section class="panel" aria-label="Statistics over steps">
      <h4>Statistics</h4>
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
        <Waiting resource={store.series.value}>
          <p>No numbers of this layer in this run. After the backward pass, call</p>
          <pre>scope.gradients(step)</pre>
        </Waiting>
      ) : (
        holding.map((series) => (
          <SeriesCurves key={series.name} store={store} series={series} row={row as string} width={width} />
        ))
      )}
    </section>
  );
}

interface SeriesCurvesProps {
  readonly store: Store;
  readonly series: Series;
  readonly row: string;
  readonly width: number;
}

function SeriesCurves({ store, series, row, width }: SeriesCurvesProps): JSX.Element {
  const across = Math.max(1, Math.floor((width + GAP) / (MIN_CELL + GAP)));
  const cell = Math.floor((width - GAP * (across - 1)) / across);
  const index = series.row(row) ?? 0;
  const at = nearestIndex(series.steps, store.step.value);
  const clean = series.statistics.filter((statistic, column) => isClean(series, index, statistic, column));
  return (
    <>
      <h5>
        {formatName(series.name)} <span class="quiet number">at step {series.steps[at] ?? "none"}</span>
      </h5>
      <div class="multiples" style={{ gridTemplateColumns: `repeat(${across}, ${cell}px)`, columnGap: `${GAP}px` }}>
        {series.statistics.map((statistic, column) =>
          clean.includes(statistic) ? null : (
            <Multiple
              key={statistic.name}
              store={store}
              series={series}
              row={index}
              column={column}
              width={cell}
              statistic={statistic}
            />
          ),
        )}
      </div>
      {clean.length > 0 && (
        <p class="quiet note">{clean.map(({ name }) => formatName(name)).join(" and ")}: 0 at every step.</p>
      )}
    </>
  );
}

/** A count that is zero throughout needs no curve, only a word. */
function isClean(series: Series, row: number, statistic: Statistic, column: number): boolean {
  return statistic.scale === "count" && [...series.column(column, [row])].every((value) => value === 0);
}

interface MultipleProps extends Omit<SeriesCurvesProps, "row"> {
  readonly row: number;
  readonly column: number;
  readonly statistic: Statistic;
}

function Multiple({ store, series, row, column, width, statistic }: MultipleProps): JSX.Element {
  const kept = series.steps.flatMap((step, index) =>
    series.mark(index, row, column) === "none" ? [] : [[step, series.value(index, row, column)] as const],
  );
  const points = { steps: kept.map(([step]) => step), values: kept.map(([, value]) => value) };
  const kind = scaleKind(statistic.scale);
  const positive = kind !== "log" || points.values.every((value) => !(value <= 0));
  const shown = positive ? kind : "linear";
  const x = stepScale(store.span.value, width - AXIS, 3);
  const at = nearestIndex(series.steps, store.step.value);
  const missing = at < 0 || series.mark(at, row, column) === "none";
  const value = missing ? "–" : formatNumber(series.value(at, row, column));
  const id = `${series.name}.${statistic.name}`;
  const coloured = store.measure.value?.id === id;
  return (
    <div class="multiple">
      <button
        type="button"
        class="multiple-title"
        aria-pressed={coloured}
        title={`${statistic.help} Click to colour by it.`}
        onClick={() => store.choose({ measure: id })}
      >
        <span>{formatName(statistic.name)}</span>
        <b class="number">{value}</b>
      </button>
      <div class="multiple-chart">
        <ValueAxis scale={valueScale(points.values, shown, HEIGHT)} height={HEIGHT} />
        <Line
          points={points}
          kind={shown}
          x={x}
          height={HEIGHT}
          step={store.step.value}
          label={`${formatName(series.name)} ${formatName(statistic.name)} over steps, ${value} now`}
        />
      </div>
    </div>
  );
}
