import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { Heat } from "../charts/heat";
import { useSize } from "../charts/size";
import { formatName, plural } from "../format";
import type { Store } from "../store";
import { find } from "./structure-search";
import { Waiting } from "./words";

/** The whole training of the whole network at a glance: every layer at every saved step, by one measure. */
export function LayersSteps({ store }: { readonly store: Store }): JSX.Element {
  const [ref, { width, height }] = useSize<HTMLDivElement>();
  const series = store.measured.value;
  const measure = store.measure.value;
  const rows = store.rows.value;
  const scale = store.scale.value;
  const column = store.column.value;
  const graph = store.graph.value.data;
  const hits = graph === null ? null : (find(graph, store.query.value)?.ids ?? null);
  const cell = useCallback(
    (step: number, row: number) => {
      const index = series?.row(rows[row] ?? "");
      if (series === null || index === undefined) return { value: Number.NaN, mark: "none" as const };
      return { value: series.value(step, index, column), mark: series.mark(step, index, column) };
    },
    [series, rows, column],
  );
  const name = measure === null ? "" : `${formatName(measure.series)} · ${formatName(measure.statistic.name)}`;
  return (
    <section class="pane" aria-label="Layers by steps" data-testid="heat-map">
      <div class="pane-title">
        <h2>Layers × steps</h2>
        {rows.length > 0 && (
          <span class="quiet number">
            {plural(rows.length, "layer")} · {plural(series?.steps.length ?? 0, "step")}
          </span>
        )}
      </div>
      <div class="pane-body heat-body" ref={ref}>
        {measure === null || series === null || rows.length === 0 ? (
          <Waiting resource={store.series.value}>
            <p>No numbers per layer yet. After the backward pass, call</p>
            <pre>scope.gradients(step)</pre>
          </Waiting>
        ) : scale === null ? (
          <p class="empty">{name} is not a finite number anywhere in this run.</p>
        ) : (
          width > 40 && (
            <Heat
              rows={rows}
              steps={series.steps}
              span={store.span.value}
              cell={cell}
              scale={scale}
              measure={name}
              step={store.step.value}
              selected={store.layer.value}
              hits={hits}
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
    </section>
  );
}
