/** The tab: header, step scrubber, and three linked panes on one store. */

import { type JSX, render as renderInto } from "preact";
import { type Backend, httpBackend } from "./backend";
import { connectHost, type Host } from "./host";
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
import { openingExpansion } from "./views/structure";
import { StructurePane } from "./views/structure_pane";
import { TreePane } from "./views/tree_pane";
import { Problems } from "./views/words";

const SHARES = [0.42, 0.27, 0.31];
const SHARES_WITH_OUTLINE = [0.5, 0.22, 0.28];
const WHOLE = [1];
const SHARES_WIDE = [0.7, 0.3];

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
  if (loading) return <main class="app-empty">Loading…</main>;
  if (error !== "" && data === null) return <main class="app-empty problem">{error}</main>;
  if (data?.length === 0) return <NoRuns />;
  return (
    <div class="app">
      <Header store={store} />
      <Problems store={store} />
      {!store.bare.value && <Scrubber store={store} />}
      <Parts store={store} />
    </div>
  );
}

function Parts({ store }: { readonly store: Store }): JSX.Element {
  const surrogate = store.surrogates.enlarged.value?.surrogate ?? null;
  if (surrogate !== null) {
    return (
      <Panes shares={SHARES_WIDE} names={["tree", "layer"]}>
        {[<TreePane key="tree" store={store} surrogate={surrogate} />, <LayerPanel key="layer" store={store} />]}
      </Panes>
    );
  }
  return store.wide.value ? <WideStructure store={store} /> : <AllPanes store={store} />;
}

function AllPanes({ store }: { readonly store: Store }): JSX.Element {
  return (
    <Panes shares={store.outline.value ? SHARES_WITH_OUTLINE : SHARES} names={["structure", "layers × steps", "layer"]}>
      {[
        <StructurePane key="structure" store={store} />,
        <LayersSteps key="steps" store={store} />,
        <LayerPanel key="layer" store={store} />,
      ]}
    </Panes>
  );
}

/** The structure alone, and the selected layer or the findings beside it. */
function WideStructure({ store }: { readonly store: Store }): JSX.Element {
  const listed = store.found.value.length > 0 && store.findingsOpen.value;
  const layer = store.layer.value === null && !listed ? [] : [<LayerPanel key="layer" store={store} />];
  return (
    <Panes shares={layer.length > 0 ? SHARES_WIDE : WHOLE} names={["structure", "layer"]}>
      {[<StructurePane key="structure" store={store} />, ...layer]}
    </Panes>
  );
}

function NoRuns(): JSX.Element {
  return (
    <main class="app-empty">
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
    </main>
  );
}
