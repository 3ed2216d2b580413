// The structure in the tab: its picture, the outline beside it, and the buttons above.

import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { notDrawn } from "../download";
import type { ModelGraph } from "../graph";
import { painter } from "../paint";
import type { Store } from "../store";
import { structureTable } from "../tables";
import { Titled } from "./compare";
import { Downloads } from "./downloads";
import { Outline } from "./outline";
import { Provenance } from "./provenance";
import { KeysHelp, useShortcuts } from "./shortcuts";
import { Structure } from "./structure";
import { treeFlags } from "./structure_flags";
import { useFlow } from "./structure_flow";
import { Linked, LinkedViewports } from "./structure_viewport";
import "./structure_pane.css";
import { Waiting } from "./words";

export function StructurePane({ store }: { readonly store: Store }): JSX.Element {
  const graph = store.graph.value.data;
  useShortcuts({
    o: () => store.choose({ outline: !store.outline.peek() }),
    w: () => store.choose({ wide: !store.wide.peek() }),
    u: () => store.toggleFlow("up"),
    d: () => store.toggleFlow("down"),
  });
  return (
    <section class="pane" aria-label="Structure" data-testid="structure">
      <div class="pane-title">
        <h2>
          Structure <span class="quiet">{graph?.class_name}</span>
        </h2>
        {graph !== null && <Tools store={store} graph={graph} />}
      </div>
      <div class="pane-body">
        {graph === null ? (
          <Waiting resource={store.graph.value}>
            <p>No structure was recorded in this run. Call it once, exactly as the model is called:</p>
            <pre>scope.graph(x)</pre>
          </Waiting>
        ) : (
          <Bodies store={store} graph={graph} />
        )}
      </div>
    </section>
  );
}

interface PartProps {
  readonly store: Store;
  readonly graph: ModelGraph;
}

function Tools({ store, graph }: PartProps): JSX.Element {
  const flow = store.flow.value;
  return (
    <div class="structure-tools" role="toolbar" aria-label="Structure" {...notDrawn}>
      <Provenance graph={graph} onSelect={(id) => store.select(id, true)} />
      <button
        type="button"
        aria-pressed={store.outline.value}
        title="Outline (o)"
        data-testid="outline-toggle"
        onClick={() => store.choose({ outline: !store.outline.value })}
      >
        Outline
      </button>
      {store.bare.value ? (
        <span class="quiet">nothing measured yet</span>
      ) : (
        <button
          type="button"
          aria-pressed={store.wide.value}
          title="The structure alone (w)"
          data-testid="wide-toggle"
          onClick={() => store.choose({ wide: !store.wide.value })}
        >
          Wide
        </button>
      )}
      <Way store={store} way="up" lit={flow === "up" || flow === "both"} path="M8 13V3M4 7l4-4 4 4" />
      <Way store={store} way="down" lit={flow === "down" || flow === "both"} path="M8 3v10M4 9l4 4 4-4" />
      <Downloads store={store} name="structure" table={() => structureTable(store)} />
      <KeysHelp />
    </div>
  );
}

interface WayProps {
  readonly store: Store;
  readonly way: "up" | "down";
  readonly lit: boolean;
  readonly path: string;
}

function Way({ store, way, lit, path }: WayProps): JSX.Element {
  const title = `Light up everything ${way}stream of the selected node (${way.charAt(0)})`;
  return (
    <button
      type="button"
      class="way"
      aria-pressed={lit}
      aria-label={title}
      title={title}
      data-testid={`flow-${way}`}
      onClick={() => store.toggleFlow(way)}
    >
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={path} />
      </svg>
    </button>
  );
}

/** The structure, or those of both sides. */
function Bodies({ store, graph }: PartProps): JSX.Element {
  const other = store.comparison?.sideBySide.value ? store.other.value : null;
  const linked = useMemo(() => new LinkedViewports(), []);
  if (other === null) return <Body store={store} graph={graph} />;
  const otherGraph = other.graph.value.data;
  return (
    <Linked.Provider value={linked}>
      <div class="stacked">
        <Titled side="A" store={store}>
          <Body store={store} graph={graph} />
        </Titled>
        <Titled side="B" store={other}>
          {otherGraph === null ? (
            <Waiting resource={other.graph.value}>
              <p>No structure was recorded in this run.</p>
            </Waiting>
          ) : (
            <Body store={other} graph={otherGraph} />
          )}
        </Titled>
      </div>
    </Linked.Provider>
  );
}

function Body({ store, graph }: PartProps): JSX.Element {
  const paint = useComputed(() => painter(store)).value;
  const { lit, ...listeners } = useFlow(graph, store.layer.value, store.flow.value);
  return (
    <div class="structure-body">
      {store.outline.value && (
        <aside class="structure-side">
          <Outline
            graph={graph}
            expanded={store.expanded.value}
            selected={store.layer.value}
            query={store.query.value}
            paint={paint}
            flags={treeFlags(graph, store.foundByLayer.value, store.step.value)}
            onSelect={(id) => store.select(id, true)}
          />
        </aside>
      )}
      <div class="structure-main" {...listeners}>
        <Structure
          graph={graph}
          expanded={store.expanded.value}
          selected={store.layer.value}
          query={store.query.value}
          paint={paint}
          reach={lit}
          found={store.foundByLayer.value}
          step={store.step.value}
          pointed={store.pointedLayer}
          onPoint={(layer) => {
            store.pointed.value = layer === null ? null : { layer, step: null };
          }}
          onSelect={(id) => store.select(id)}
          onToggle={(id) => store.toggle(id)}
          onExpand={(expanded) => store.expand(expanded)}
        />
      </div>
    </div>
  );
}
