import type { JSX } from "preact";
import { stepScale } from "../charts/columns";
import { Histogram } from "../charts/histogram";
import { formatName } from "../format";
import { nearest } from "../series";
import type { Store } from "../store";
import { Waiting } from "./words";

const AXIS = 56;
const BARS = 84;
const GAP = 6;
const HEIGHT = 132;

/** The distributions of the selected row over the steps, and at the current one. */
export function Distributions({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element {
  const histograms = store.detail.histograms.value;
  const filled = (histograms.data ?? []).filter(({ counts }) => counts.some((count) => count > 0));
  const x = stepScale(store.span.value, Math.max(60, width - AXIS - BARS - GAP), 3);
  return (
    <section class="panel" aria-label="Distributions over steps">
      <h4>Distributions</h4>
      {filled.length === 0 ? (
        <Waiting resource={histograms}>
          <p>No histograms of {store.row.value ?? "this layer"} in this run. They come with</p>
          <pre>scope.gradients(step, histogram=True)</pre>
        </Waiting>
      ) : (
        filled.map(({ name, steps, edges, counts }) => (
          <div key={`${name} ${edges}`}>
            <h5>
              {formatName(name)}{" "}
              <span class="quiet">
                of {store.row.value}; bars: step {nearest(steps, store.step.value)}
              </span>
            </h5>
            <Histogram
              steps={steps}
              edges={edges}
              counts={counts}
              x={x}
              height={HEIGHT}
              step={store.step.value}
              label={`Distribution of ${formatName(name)} of ${store.row.value} over ${steps.length} steps`}
            />
          </div>
        ))
      )}
    </section>
  );
}
