import type { JSX } from "preact";
import { useSize } from "../charts/size";
import { hierarchyOf } from "../layout/hierarchy";
import type { Store } from "../store";
import { Findings } from "./findings";
import { Attributions } from "./layer_attributions";
import { Curves } from "./layer_curves";
import { Distributions } from "./layer_distributions";
import { Maximizations } from "./layer_maximizations";
import { LinearProbes } from "./linear_probes";
import { NodeFacts } from "./node_facts";
import { Overview } from "./overview";
import { Surrogates } from "./surrogates";

/** Everything that is known about the selected layer, at the current step; without one, about the model. */
export function LayerPanel({ store }: { readonly store: Store }): JSX.Element {
  const [ref, { width }] = useSize<HTMLDivElement>();
  const layer = store.layer.value;
  const graph = store.graph.value.data;
  const isFold = graph !== null && layer !== null && hierarchyOf(graph).folds.has(layer);
  const inner = Math.max(0, Math.floor(width));
  return (
    <section class="pane" aria-label="Layer" data-testid="layer-panel">
      <Findings store={store} />
      <div class="pane-title">
        <h2>{layer === null ? "Model" : "Layer"}</h2>
        {layer !== null && (
          <button type="button" class="plain" onClick={() => store.select(null)}>
            Show the model
          </button>
        )}
      </div>
      <div class="pane-scroll">
        <div class="measured" ref={ref}>
          {layer === null ? (
            <>
              <Overview store={store} />
              {inner > 0 && (
                <>
                  <LinearProbes store={store} width={inner} />
                  <Surrogates store={store} width={inner} />
                  {store.tellsOfInputs.value && <Attributions store={store} width={inner} />}
                </>
              )}
            </>
          ) : (
            <>
              <NodeFacts graph={graph} id={layer} onSelect={(id) => store.select(id, true)} />
              {isFold && <p class="empty">Curves, distributions, maps and images belong to its members, one by one.</p>}
              {inner > 0 && !isFold && (
                <>
                  <Curves store={store} width={inner} />
                  <LinearProbes store={store} width={inner} />
                  <Surrogates store={store} width={inner} />
                  <Attributions store={store} width={inner} />
                  <Maximizations store={store} />
                  <Distributions store={store} width={inner} />
                </>
              )}
            </>
          )}
        </div>
      </div>
    </section>
  );
}
