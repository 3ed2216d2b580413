/** The tab: header, step scrubber, and three linked panes on one store. */

import { type JSX, render as renderInto } from "preact";
import { useMemo } from "preact/hooks";
import { type Backend, httpBackend } from "./backend";
import { connectHost, type Host } from "./host";
import { painter } from "./paint";
import { pollWhileVisible } from "./poll";
import { Store } from "./store";
import "./tokens.css";
import "./style.css";
import "./charts/charts.css";
import "./views/scrubber.css";
import "./views/layer.css";
import { Header } from "./views/header";
import { LayerPanel } from "./views/layer";
import { LayersSteps } from "./views/layers_steps";
import { Panes } from "./views/panes";
import { Scrubber } from "./views/scrubber";
import { openingExpansion, Structure } from "./views/structure";
import { Problems, Waiting } from "./views/words";

const SHARES = [0.42, 0.27, 0.31];
const NAMES = ["structure", "layers × steps", "layer"];

/** Show the tab in `root` until `end`. */
export function mount(
  root: Element,
  end: AbortSignal,
  backend: Backend = httpBackend(),
  host: Host = connectHost(end),
): Store {
  const store = new Store(backend, host, end, openingExpansion);
  renderInto(<App store={store} />, root);
  pollWhileVisible(root, () => store.refresh(), end);
  end.addEventListener("abort", () => renderInto(null, root));
  return store;
}

export function App({ store }: { readonly store: Store }): JSX.Element {
  const { data, loading, error } = store.runs.value;
  if (loading) return <div class="app-empty">Loading…</div>;
  if (error !== "" && data === null) return <div class="app-empty problem">{error}</div>;
  if (data?.length === 0) return <NoRuns />;
  return (
    <div class="app">
      <Header store={store} />
      <Problems store={store} />
      <Scrubber store={store} />
      <Panes shares={SHARES} names={NAMES}>
        {[
          <StructurePane key="structure" store={store} />,
          <LayersSteps key="steps" store={store} />,
          <LayerPanel key="layer" store={store} />,
        ]}
      </Panes>
    </div>
  );
}

function StructurePane({ store }: { readonly store: Store }): JSX.Element {
  const graph = store.graph.value.data;
  const measure = store.measure.value;
  const [series, scale, step] = [store.measured.value, store.scale.value, store.step.value];
  // biome-ignore lint/correctness/useExhaustiveDependencies: the painter reads these signals of the store
  const paint = useMemo(() => painter(store), [store, series, scale, step, measure]);
  return (
    <section class="pane" aria-label="Structure" data-testid="structure">
      <div class="pane-title">
        <h2>Structure</h2>
      </div>
      <div class="pane-body">
        {graph === null ? (
          <Waiting resource={store.graph.value}>
            <p>No structure was recorded in this run. Call it once, exactly as the model is called:</p>
            <pre>scope.graph(x)</pre>
          </Waiting>
        ) : (
          <Structure
            graph={graph}
            expanded={store.expanded.value}
            selected={store.layer.value}
            query={store.query.value}
            paint={paint}
            onSelect={(id) => store.select(id)}
            onToggle={(id) => store.toggle(id)}
          />
        )}
      </div>
    </section>
  );
}

function NoRuns(): JSX.Element {
  return (
    <div class="app-empty">
      <h1>Nothing recorded yet</h1>
      <p>No run in this log directory holds anything of Layerscope. In the training script:</p>
      <pre>
        {[
          "scope = layerscope.Scope(model, writer)",
          "scope.graph(x)",
          "...",
          "loss.backward()",
          "scope.gradients(step)",
        ].join("\n")}
      </pre>
      <p class="quiet">This page looks again every few seconds.</p>
    </div>
  );
}
