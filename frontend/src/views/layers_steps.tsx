import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import type { Cell } from "../charts/cells";
import { Heat, type Place } from "../charts/heat";
import { useSize } from "../charts/size";
import type { Difference } from "../difference";
import { notDrawn } from "../download";
import { type Flag, flagOf } from "../findings";
import { formatName, formatValue, plural } from "../format";
import type { Series } from "../series";
import type { Store } from "../store";
import { heatTable } from "../tables";
import type { RowOrder } from "../url";
import type { Finding } from "../wire";
import { Titled } from "./compare";
import { Downloads } from "./downloads";
import { useShortcuts } from "./shortcuts";
import { find } from "./structure_search";
import { Waiting } from "./words";

/** The whole training of the whole network at a glance: every layer at every saved step, by one measure. */
export function LayersSteps({ store }: { readonly store: Store }): JSX.Element {
  const rows = store.rows.value;
  const { comparison } = store;
  const both = comparison?.sideBySide.value && store.other.value?.run.value !== store.run.value;
  const other = both ? store.other.value : null;
  const shown = comparison?.held.value === "B" ? (store.other.value ?? store) : store;
  return (
    <section class="pane" aria-label="Layers by steps" data-testid="heat-map">
      <div class="pane-title">
        <h2>Layers × steps</h2>
        {rows.length > 0 && <Tools store={store} />}
      </div>
      {other === null ? (
        <Picture store={shown} />
      ) : (
        <div class="stacked">
          <Titled side="A" store={store}>
            <Picture store={store} />
          </Titled>
          <Titled side="B" store={other}>
            <Picture store={other} />
          </Titled>
        </div>
      )}
    </section>
  );
}

const ORDERS: readonly (readonly [RowOrder | "", string])[] = [
  ["", "in order"],
  ["largest", "largest first"],
  ["smallest", "smallest first"],
];

/** Which rows, in which order, at which steps. */
function Tools({ store }: { readonly store: Store }): JSX.Element {
  useShortcuts({ z: () => store.zoomIn(true), Z: () => store.zoomIn(false), g: () => toggleFolded(store) });
  const zoomed = store.chosen("zoom") !== null;
  return (
    <div class="heat-tools" {...notDrawn}>
      <span class="quiet number">
        {plural(store.rows.value.length, store.folded.value ? "row" : "layer")} ·{" "}
        {plural(store.measured.value?.steps.length ?? 0, "step")}
      </span>
      {zoomed && (
        <button
          type="button"
          class="plain"
          data-testid="all-steps"
          title="Show all steps (Z)"
          onClick={() => store.zoomIn(false)}
        >
          All steps
        </button>
      )}
      <button
        type="button"
        class="plain"
        data-testid="fold-rows"
        aria-pressed={store.folded.value}
        title="One row for a module that is closed in the structure (g)"
        onClick={() => toggleFolded(store)}
      >
        Fold
      </button>
      <select
        aria-label="Order of the rows"
        data-testid="row-order"
        value={store.chosen("order") ?? ""}
        onChange={(event) => store.choose({ order: (event.currentTarget.value || null) as RowOrder | null })}
      >
        {ORDERS.map(([order, words]) => (
          <option key={order} value={order}>
            {words}
          </option>
        ))}
      </select>
      <Downloads store={store} name={store.measure.value?.id ?? "layers"} table={() => heatTable(store)} />
    </div>
  );
}

function toggleFolded(store: Store): void {
  store.choose({ folded: store.folded.peek() ? null : true });
}

function Picture({ store }: { readonly store: Store }): JSX.Element {
  const [ref, { width, height }] = useSize<HTMLDivElement>();
  const series = store.measured.value;
  const measure = store.measure.value;
  const rows = store.rows.value;
  const table = store.table.value;
  const column = store.column.value;
  const graph = store.graph.value.data;
  const found = store.foundByLayer.value;
  const { comparison } = store;
  const alone = comparison?.sideBySide.value || comparison?.held.value;
  const comparing = store.other.value !== null && !alone;
  const difference = comparing ? (comparison?.difference.value ?? null) : null;
  const scale = comparing ? (difference?.scale ?? null) : store.scale.value;
  const hits = graph === null ? null : (find(graph, store.query.value)?.ids ?? null);
  const read = useMemo(() => {
    const all = readers(series, rows, column, table);
    return difference === null ? all : { ...all, ...differenceReaders(difference, rows) };
  }, [series, rows, column, table, difference]);
  const flags = useMemo(() => flagsOf(found), [found]);
  const places = useMemo(() => placesOf(found), [found]);
  const name = measure === null ? "" : `${formatName(measure.series)} · ${formatName(measure.statistic.name)}`;
  return (
    <div class="pane-body heat-body" ref={ref}>
      {measure === null || series === null || rows.length === 0 ? (
        <Waiting resource={store.series.value}>
          <p>No numbers per layer yet. After the backward pass, call</p>
          <pre>scope.gradients(step)</pre>
        </Waiting>
      ) : scale === null ? (
        comparing ? (
          <p class="empty">
            {store.other.value?.run.value} holds no {name} of these layers to compare with.
          </p>
        ) : (
          <Nowhere series={series} rows={rows} column={column} name={name} help={measure.statistic.help} />
        )
      ) : (
        width > 40 && (
          <Heat
            rows={rows}
            steps={series.steps}
            span={store.span.value}
            {...read}
            scale={scale}
            format={(value) => formatValue(difference?.kind ?? measure.statistic.scale, value)}
            measure={comparing ? `${name}, A − B` : name}
            step={store.step.value}
            compareStep={
              store.other.value?.run.value === store.run.value ? (store.other.value?.step.value ?? null) : null
            }
            selected={store.layer.value}
            hits={hits}
            flags={flags}
            places={places}
            spacing={store.axis.value}
            pointed={store.pointedLayer}
            onPoint={(layer, step) => {
              store.pointed.value = layer === null ? null : { layer, step };
            }}
            onBrush={(first, last) => store.choose({ zoom: [first, last] })}
            width={width - 8}
            height={height}
            onSelect={(layer, step) => {
              store.select(layer, true);
              store.goTo(step);
            }}
          />
        )
      )}
    </div>
  );
}

function differenceReaders(difference: Difference, rows: readonly string[]) {
  return {
    cell: (step: number, row: number): Cell => difference.cell(step, rows[row] as string),
    value: (step: number, row: number) => difference.values(rows[row] as string)[step] as number,
  };
}

/** The numbers of a measure, by the rows of the picture. */
function readers(series: Series | null, rows: readonly string[], column: number, table: Float32Array) {
  const steps = series?.steps.length ?? 0;
  const indices = rows.map((row) => series?.row(row) ?? -1);
  const at = (row: number) => indices[row] ?? -1;
  return {
    value: (step: number, row: number) => table[row * steps + step] as number,
    cell: (step: number, row: number): Cell =>
      series === null
        ? { value: Number.NaN, mark: "none" }
        : { value: series.value(step, at(row), column), mark: series.mark(step, at(row), column) },
    recorded: (row: number) => series?.recorded(at(row)) ?? [],
  };
}

type ByLayer = ReadonlyMap<string, readonly Finding[]>;

/** Layer -> the glyph of its row, whatever the step: where in the picture it stands tells when. */
function flagsOf(found: ByLayer): ReadonlyMap<string, Flag> {
  return new Map([...found].map(([layer, own]) => [layer, flagOf(own, [], Number.POSITIVE_INFINITY) as Flag]));
}

/** A glyph in the picture for each layer and step at which something was found. */
function placesOf(found: ByLayer): Place[] {
  return [...found].flatMap(([row, own]) =>
    [...new Set(own.map(({ step }) => step))].map((step) => {
      const then = own.filter((finding) => finding.step === step);
      return { row, step, flag: flagOf(then, [], Number.POSITIVE_INFINITY) as Flag };
    }),
  );
}

interface NowhereProps {
  readonly series: Series;
  readonly rows: readonly string[];
  readonly column: number;
  readonly name: string;
  readonly help: string;
}

/** In the place of a picture without a single number: why there is none. */
function Nowhere({ series, rows, column, name, help }: NowhereProps): JSX.Element {
  const broken = rows.some((row) => {
    const index = series.row(row);
    return index !== undefined && series.steps.some((_, step) => series.mark(step, index, column) === "nan");
  });
  return (
    <div class="empty">
      <p>{broken ? `${name} is not a finite number anywhere in this run.` : `${name} was not measured in this run.`}</p>
      <p>{help}</p>
    </div>
  );
}
