import type { JSX } from "preact";
import { useSize } from "../charts/size";
import { hierarchyOf } from "../layout/hierarchy";
import type { Store } from "../store";
import { Both, CounterpartFacts } from "./both_sides";
import { Findings } from "./findings";
import { Activations } from "./layer_activations";
import { Attention } from "./layer_attention";
import { Attributions } from "./layer_attributions";
import { Curves } from "./layer_curves";
import { Distributions } from "./layer_distributions";
import { Embeddings } from "./layer_embeddings";
import { Maximizations } from "./layer_maximizations";
import { Weights } from "./layer_weights";
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
  const beside = store.surrogates.enlarged.value !== null; // its tree stands large to the left
  const inner = Math.max(0, Math.floor(width));
  return (
    <section class="pane" aria-label="Layer" data-testid="layer-panel">
      <Findings store={store} />
      <div class="pane-title">
        <h2>{layer === null ? "Model" : "Layer"}</h2>
        {!isFold && <Contents store={store} />}
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
              {inner > 0 && beside && <Surrogates store={store} width={inner} />}
              <Overview store={store} />
              {inner > 0 && (
                <>
                  <LinearProbes store={store} width={inner} />
                  {!beside && <Surrogates store={store} width={inner} />}
                  {store.tellsOfInputs.value && <Attributions store={store} width={inner} />}
                  {maximizesOutput(store) && <Both store={store} width={inner} Section={Maximizations} />}
                </>
              )}
            </>
          ) : (
            <>
              <NodeFacts graph={graph} id={layer} onSelect={(id) => store.select(id, true)} />
              <CounterpartFacts store={store} />
              {isFold && <p class="empty">Curves, distributions, maps and images belong to its members, one by one.</p>}
              {inner > 0 && !isFold && (
                <>
                  <Curves store={store} width={inner} />
                  <LinearProbes store={store} width={inner} />
                  <Surrogates store={store} width={inner} />
                  <Attributions store={store} width={inner} />
                  <Both store={store} width={inner} Section={Attention} />
                  <Both store={store} width={inner} Section={Maximizations} />
                  <Both store={store} width={inner} Section={Activations} />
                  <Both store={store} width={inner} Section={Embeddings} />
                  <Both store={store} width={inner} Section={Weights} />
                  <Both store={store} width={inner} Section={Distributions} />
                </>
              )}
            </>
          )}
        </div>
      </div>
    </section>
  );
}

/** Whether inputs were found that the model's own output responds to. */
function maximizesOutput(store: Store): boolean {
  return store.tags.value.maximization.some(({ metadata }) => metadata.units.some((unit) => unit.layer === ""));
}

/** What else there is below, in the order in which it stands; a click goes there, and the focus with it. */
function Contents({ store }: { readonly store: Store }): JSX.Element | null {
  const parts = (store.layer.value === null ? ofModel(store) : ofLayer(store)).filter(({ there }) => there);
  if (parts.length < 2) return null;
  return (
    <nav class="contents" aria-label="Parts of this panel">
      {parts.map(({ id, label }) => (
        <button type="button" class="plain" key={id} onClick={() => goTo(id)}>
          {label}
        </button>
      ))}
    </nav>
  );
}

/** Scroll to a part; from there on the Tab key goes through what is in it. */
function goTo(id: string): void {
  const part = document.getElementById(id);
  if (part === null) return;
  part.tabIndex = -1;
  part.focus({ preventScroll: true });
  part.scrollIntoView({ block: "start" });
}

interface Part {
  readonly id: string;
  readonly label: string;
  readonly there: boolean;
}

function ofModel(store: Store): Part[] {
  return [
    { id: "linear-probes", label: "Linear probes", there: store.seriesNames.value.includes("linear_probes") },
    { id: "surrogates", label: "Surrogates", there: store.tags.value.surrogate.length > 0 },
    { id: "attributions", label: "Attribution", there: store.tellsOfInputs.value },
    { id: "maximization", label: "Maximization", there: maximizesOutput(store) },
  ];
}

function ofLayer({ detail, pictures }: Store): Part[] {
  return [
    { id: "attributions", label: "Attribution", there: detail.maps.value.data?.map != null },
    { id: "attention", label: "Attention", there: pictures.attention.value.data !== null },
    { id: "maximization", label: "Maximization", there: pictures.units.value.data !== null },
    { id: "activations", label: "Activations", there: pictures.activation.value.data !== null },
    { id: "embeddings", label: "Embedding", there: pictures.embedding.value.data !== null },
    { id: "weights", label: "Weights", there: pictures.weights.value.data !== null },
  ];
}
