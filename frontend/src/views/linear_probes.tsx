import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { Depth } from "../charts/depth";
import { formatStep } from "../format";
import type { ModelGraph } from "../graph";
import { layerRows, nearest, type Series } from "../series";
import type { Store } from "../store";
import { SERIES } from "../wire";
import { Downloads } from "./downloads";
import { Waiting } from "./words";

const HEIGHT = 110;

/** How well each layer tells the classes: accuracy against depth, at the current step and, faint, at the first. */
export function LinearProbes({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element | null {
  const loaded = store.probes.value;
  const series = loaded.data?.series ?? null;
  const graph = store.graph.value.data;
  const layer = store.layer.value;
  const step = store.step.value;
  const depths = useMemo(() => (series === null ? null : depthsOf(series, graph, step)), [series, graph, step]);
  const recorded = store.seriesNames.value.includes("linear_probes");
  if (!recorded || (layer !== null && !depths?.layers.includes(layer))) return null;
  return (
    <section class="panel" id="linear-probes" aria-label="Linear probes" data-testid="linear-probes">
      <div class="panel-title">
        <h4>Linear probes</h4>
        {depths !== null && <span class="quiet number">at step {formatStep(depths.at)}</span>}
        {depths !== null && <Downloads store={store} name="linear_probes" />}
      </div>
      <p class="quiet note">
        {SERIES.get("linear_probes")}
        {depths?.first && ` Faint: step ${formatStep(depths.first.step)}.`}
      </p>
      {depths === null ? (
        <Waiting resource={loaded}>
          <p>Accuracy and the commonest class were not measured in this run.</p>
        </Waiting>
      ) : (
        <Depth
          layers={depths.layers}
          values={depths.accuracy}
          earlier={depths.first && { label: `step ${formatStep(depths.first.step)}`, values: depths.first.accuracy }}
          reference={{ label: "commonest class", values: depths.majority }}
          low={depths.low}
          selected={layer}
          width={width}
          height={HEIGHT}
          label="Accuracy of linear probes against depth"
          onSelect={(chosen) => store.select(chosen, true)}
        />
      )}
    </section>
  );
}

export interface Depths {
  /** The saved step nearest to the one that is shown. */
  readonly at: number;
  /** In order of execution. */
  readonly layers: readonly string[];
  readonly accuracy: readonly number[];
  readonly majority: readonly number[];
  /** Accuracy at the first saved step, where that is another one. */
  readonly first: { readonly step: number; readonly accuracy: readonly number[] } | null;
  /** A whole tenth below everything of all steps, so that the axis stays while the step changes. */
  readonly low: number;
}

/** The probes of every layer; null where the series lacks what they need. */
export function depthsOf(series: Series, graph: ModelGraph | null, step: number): Depths | null {
  const column = (name: string) => series.statistics.findIndex((statistic) => statistic.name === name);
  const [accuracy, majority] = [column("accuracy"), column("majority")];
  const [first] = series.steps;
  const at = nearest(series.steps, step);
  if (accuracy < 0 || majority < 0 || at === null || first === undefined) return null;
  const layers = layerRows(series, graph);
  const of = (statistic: number, when: number) =>
    layers.map((layer) => {
      const row = series.row(layer) as number;
      return series.value(series.at(row, when), row, statistic);
    });
  const least = series.values.reduce((low, value) => (value < low ? value : low), 1);
  return {
    at,
    layers,
    accuracy: of(accuracy, at),
    majority: of(majority, at),
    first: first === at ? null : { step: first, accuracy: of(accuracy, first) },
    low: Math.max(0, Math.floor(least * 10 - 0.001) / 10),
  };
}
