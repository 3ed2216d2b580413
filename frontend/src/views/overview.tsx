import type { JSX } from "preact";
import { formatCount, formatShape, plural } from "../format";
import type { ModelGraph } from "../graph";
import { nodeOf } from "../graph";
import type { Store } from "../store";
import { nothingFound, Unjudged } from "./findings_badge";
import { Waiting } from "./words";

/** The model as a whole: what it is, what to know before trusting the picture, and where to go from here. */
export function Overview({ store }: { readonly store: Store }): JSX.Element {
  const graph = store.graph.value.data;
  if (graph === null) {
    return (
      <Waiting resource={store.graph.value}>
        <p>The model and its layers are described here once its structure is recorded.</p>
      </Waiting>
    );
  }
  const frozen = graph.total_parameters - graph.trainable_parameters;
  const shape = (id: string) => (nodeOf(graph, id)?.output_shapes ?? []).map(formatShape).join(", ");
  return (
    <>
      <div class="identity">
        <h3 class="identity-name">{graph.class_name || "Model"}</h3>
        <dl class="facts">
          <dt>parameters</dt>
          <dd>
            {formatCount(graph.total_parameters)}
            {frozen > 0 ? `, ${formatCount(frozen)} of them frozen when traced` : ""}
          </dd>
          <dt>layers</dt>
          <dd>
            {plural(count(graph, "module"), "module call")}, {plural(count(graph, "function"), "function")}
          </dd>
          <dt>inputs</dt>
          <dd>{graph.inputs.map(shape).filter(Boolean).join(", ") || "none"}</dd>
          <dt>outputs</dt>
          <dd>
            {graph.outputs
              .map((id) => shape(id) || inputShape(graph, id))
              .filter(Boolean)
              .join(", ") || "none"}
          </dd>
        </dl>
      </div>
      <NoFindings store={store} />
      {graph.warnings.length > 0 && (
        <div class="warnings" role="note">
          <h4>Before you trust the picture</h4>
          <ul>
            {graph.warnings.map((warning) => (
              <li key={warning}>{warning}</li>
            ))}
          </ul>
        </div>
      )}
      <p class="empty">
        Click a layer in the structure, or a cell in layers × steps, to see its curves, distributions, attribution maps
        and images here.
      </p>
    </>
  );
}

/** That nothing was found, or could be; findings themselves are listed above. */
function NoFindings({ store }: { readonly store: Store }): JSX.Element | null {
  const listing = store.findings.value.data;
  if (listing === null || listing.findings.length > 0 || store.bare.value) return null;
  const [, sentence] = nothingFound(listing);
  return (
    <>
      <p class="empty">{sentence}</p>
      <Unjudged listing={listing} />
    </>
  );
}

function inputShape(graph: ModelGraph, id: string): string {
  return (nodeOf(graph, id)?.input_shapes ?? []).map(formatShape).join(", ");
}

/** How many nodes of a kind there are. */
function count(graph: ModelGraph, kind: string): number {
  return [...graph.nodes.values()].filter((node) => node.kind === kind).length;
}
