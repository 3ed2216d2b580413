/** What the panels show, as tables: long, one number a line, but for layers × steps. */

import type { Cell as HeatCell } from "./charts/cells";
import { shares } from "./charts/histogram";
import type { Difference } from "./difference";
import type { Cell, Table } from "./download";
import type { HistogramSeries } from "./loading";
import type { Tensor } from "./safetensors";
import type { Series } from "./series";
import type { Store } from "./store";

/** Layers × steps as it is shown: a line for each row, a column for each step. */
export function heatTable(store: Store): Table {
  const [series, rows] = [store.measured.peek(), store.rows.peek()];
  const steps = series?.steps ?? [];
  const comparison = store.comparison;
  const differs = store.other.peek() !== null && !comparison?.sideBySide.peek();
  const difference = differs ? comparison?.difference.peek() : null;
  const own = (row: string, step: number): HeatCell => {
    const index = series?.row(row) ?? -1;
    if (series === null || index < 0) return { value: Number.NaN, mark: "none" };
    return {
      value: series.value(step, index, store.column.peek()),
      mark: series.mark(step, index, store.column.peek()),
    };
  };
  const cell = (row: string, step: number): Cell => {
    const { value, mark } = difference ? difference.cell(step, row) : own(row, step);
    return mark === "none" ? null : difference?.kind === "ratio" ? 2 ** value : value;
  };
  return {
    columns: [
      "layer",
      ...steps.map((step) => (difference ? `${differenceName(difference)} at ${step}` : String(step))),
    ],
    rows: rows.map((row) => [row, ...steps.map((_, step) => cell(row, step))]),
  };
}

function differenceName({ kind }: Difference): string {
  return kind === "ratio" ? "A / B" : "A - B";
}

/** Every statistic of one row of each series at every step. */
export function curvesTable(all: readonly { readonly series: Series; readonly index: number }[]): Table {
  const rows = all.flatMap(({ series, index }) =>
    series.recorded(index).flatMap((step) =>
      series.statistics.map(({ name }, column): Cell[] => {
        const value = series.mark(step, index, column) === "none" ? null : series.value(step, index, column);
        return [series.name, series.rows[index] ?? "", name, series.steps[step] ?? 0, value];
      }),
    ),
  );
  return { columns: ["series", "row", "statistic", "step", "value"], rows };
}

/** Share of the elements in each bin at each step. */
export function histogramsTable(all: readonly HistogramSeries[]): Table {
  const rows = all.flatMap(({ name, row, steps, edges, counts }) =>
    steps.flatMap((step, index) =>
      Array.from(shares(counts, edges.length - 1, index), (share, bin): Cell[] => {
        return [name, row, step, edges[bin] ?? null, edges[bin + 1] ?? null, share];
      }).filter(([, , , , , share]) => share !== 0),
    ),
  );
  return { columns: ["series", "row", "step", "from", "to", "share"], rows };
}

/** Every number of an array with where it stands. */
export function tensorTable({ shape, data }: Tensor, names: readonly string[] = []): Table {
  const columns = [...shape.map((_, dimension) => names[dimension] ?? `index ${dimension}`), "value"];
  const rows = Array.from(data as ArrayLike<number | bigint>, (value, flat): Cell[] => {
    let rest = flat;
    const at = shape.map(() => 0);
    for (let dimension = shape.length - 1; dimension >= 0; dimension--) {
      at[dimension] = rest % (shape[dimension] as number);
      rest = Math.floor(rest / (shape[dimension] as number));
    }
    return [...at, Number(value)];
  });
  return { columns, rows };
}

/** Every layer of the structure with the number that colours it at the current step. */
export function structureTable(store: Store): Table {
  const [graph, series, column] = [store.graph.peek().data, store.measured.peek(), store.column.peek()];
  const measure = store.measure.peek();
  const rows = [...(graph?.nodes.values() ?? [])].map((node): Cell[] => {
    const row = series?.row(node.id) ?? series?.row(node.module);
    const at = series === null || row === undefined ? -1 : series.at(row, store.step.peek());
    const measured = series !== null && row !== undefined && at >= 0 && series.mark(at, row, column) !== "none";
    const value = measured ? series.value(at, row, column) : null;
    return [node.id, node.kind, node.class_name || node.op, node.total_parameters, node.trainable_parameters, value];
  });
  const columns = ["node", "kind", "class", "parameters", "trainable parameters", measure?.id ?? "value"];
  return { columns, rows };
}

/** The curve in the scrubber. */
export function scalarTable(store: Store): Table {
  const curve = store.scalarCurve.peek().data;
  const rows = (curve?.steps ?? []).map((step, index): Cell[] => [step, curve?.values[index] ?? null]);
  return { columns: ["step", store.scalar.peek() ?? "value"], rows };
}
