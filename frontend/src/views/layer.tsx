import type { JSX } from "preact";
import { useSize } from "../charts/size";
import { formatCount, formatShape } from "../format";
import { nodeOf } from "../graph";
import type { Store } from "../store";
import type { Node } from "../wire";
import { Attributions } from "./layer_attributions";
import { Curves } from "./layer_curves";
import { Distributions } from "./layer_distributions";
import { Maximizations } from "./layer_maximizations";
import { Overview } from "./overview";

/** Everything that is known about the selected layer, at the current step; without one, about the model. */
export function LayerPanel({ store }: { readonly store: Store }): JSX.Element {
  const [ref, { width }] = useSize<HTMLDivElement>();
  const layer = store.layer.value;
  const node = nodeOf(store.graph.value.data, layer);
  const inner = Math.max(0, Math.floor(width));
  return (
    <section class="pane" aria-label="Layer" data-testid="layer-panel">
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
            <Overview store={store} />
          ) : (
            <>
              <Identity id={layer} node={node} />
              {inner > 0 && (
                <>
                  <Attributions store={store} width={inner} />
                  <Maximizations store={store} />
                  <Curves store={store} width={inner} />
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

/** Name, class, shapes and parameters of a node. */
export function Identity({ id, node }: { readonly id: string; readonly node: Node | undefined }): JSX.Element {
  const what = node?.class_name || node?.op || node?.kind || "not in the graph of this run";
  return (
    <div class="identity">
      <h3 class="identity-name">{node?.kind === "function" ? node.op : id}</h3>
      <p class="identity-class">
        {what}
        {node !== undefined && node.call > 0 ? ` · call ${node.call + 1} of the same weights` : ""}
      </p>
      {node !== undefined && (
        <dl class="facts">
          <dt>in</dt>
          <dd>{shapes(node.input_shapes, node.input_dtypes)}</dd>
          <dt>out</dt>
          <dd>{shapes(node.output_shapes, node.output_dtypes)}</dd>
          <dt>parameters</dt>
          <dd>{parameters(node)}</dd>
        </dl>
      )}
    </div>
  );
}

function shapes(all: readonly (readonly number[])[], dtypes: readonly string[]): string {
  return all.map((shape, index) => `${formatShape(shape)} ${dtypes[index] ?? ""}`.trim()).join(", ") || "none";
}

/** Number of parameters and whether they train, in words. */
export function parameters(node: Node): string {
  if (node.total_parameters === 0) return "none";
  const own = node.own_parameters !== node.total_parameters ? ` (${formatCount(node.own_parameters)} its own)` : "";
  const state = node.trainable === null ? "" : node.trainable ? ", trainable" : ", frozen";
  return `${formatCount(node.total_parameters)}${own}${state}`;
}
