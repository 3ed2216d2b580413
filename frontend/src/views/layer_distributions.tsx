import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { stepScale } from "../charts/columns";
import { Histogram } from "../charts/histogram";
import { Ridgeline } from "../charts/ridgeline";
import { formatName } from "../format";
import { nearest } from "../series";
import type { Store } from "../store";
import { histogramsTable } from "../tables";
import { SERIES } from "../wire";
import { useSideName } from "./compare";
import { Downloads } from "./downloads";
import { Waiting } from "./words";

const AXIS = 56;
const BARS = 84;
const GAP = 6;
const HEIGHT = 132;
const RIDGES = 240;

/** The distributions of the selected row over the steps, and at the current one; of each series that has any. */
export function Distributions({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element {
  const histograms = store.detail.histograms.value;
  const filled = (histograms.data?.all ?? []).filter(({ counts }) => counts.some((count) => count > 0));
  const order = store.seriesNames.value;
  const sorted = [...filled].sort((one, other) => order.indexOf(one.name) - order.indexOf(other.name));
  const ridges = store.chosen("distributions") === "ridgeline";
  const x = useMemo(
    () => stepScale(store.span.value, Math.max(60, width - AXIS - BARS - GAP), 3, store.axis.value),
    [store.span.value, store.axis.value, width],
  );
  return (
    <section class="panel" aria-label={useSideName("Distributions over steps")}>
      <div class="panel-title">
        <h4>Distributions</h4>
        {sorted.length > 0 && (
          <button
            type="button"
            class="plain"
            data-testid="ridgeline-toggle"
            aria-pressed={ridges}
            title="The distributions behind each other, instead of a heat map"
            onClick={() => store.choose({ distributions: ridges ? null : "ridgeline" })}
          >
            Ridgeline
          </button>
        )}
        {sorted.length > 0 && <Downloads store={store} name="distributions" table={() => histogramsTable(sorted)} />}
      </div>
      {histograms.data?.problems.map((problem) => (
        <p class="problem" key={problem}>
          {problem}
        </p>
      ))}
      {filled.length === 0 ? (
        <Waiting resource={histograms}>
          <p>No histograms of {store.row.value ?? "this layer"} in this run. They come with</p>
          <pre>scope.gradients(step, histogram=True)</pre>
        </Waiting>
      ) : (
        sorted.map(({ name, row, steps, edges, counts }) => (
          <details class="series" key={`${name} ${edges}`} open>
            <summary title={SERIES.get(name)}>
              <span class="series-name">{formatName(name)}</span>
              <span class="quiet">
                of {row}; {ridges ? "lifted out" : "bars"}: step {nearest(steps, store.step.value)}
              </span>
            </summary>
            {ridges ? (
              <Ridgeline
                steps={steps}
                edges={edges}
                counts={counts}
                span={store.span.value}
                step={store.step.value}
                width={width}
                height={RIDGES}
                label={`Distributions of ${formatName(name)} of ${row} behind each other`}
                onStep={(step) => store.goTo(step)}
              />
            ) : (
              <Histogram
                steps={steps}
                edges={edges}
                counts={counts}
                x={x}
                height={HEIGHT}
                step={store.step.value}
                label={`Distribution of ${formatName(name)} of ${row} over ${steps.length} steps`}
              />
            )}
          </details>
        ))
      )}
    </section>
  );
}
