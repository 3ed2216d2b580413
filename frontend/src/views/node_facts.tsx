// What a node tells of itself. Everything comes from the log, so everything goes in as text nodes.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { copied } from "../clipboard";
import { formatBytes, formatCount, formatFlops, formatShape, plural } from "../format";
import type { ModelGraph } from "../graph";
import { hierarchyOf } from "../layout/hierarchy";
import type { Node } from "../wire";
import { Fact } from "./fact";
import { FoldFacts } from "./fold_facts";
import "./node_facts.css";

export interface NodeFactsProps {
  readonly graph: ModelGraph | null;
  /** Id of a node or a fold. */
  readonly id: string;
  readonly onSelect: (id: string) => void;
}

export function NodeFacts({ graph, id, onSelect }: NodeFactsProps): JSX.Element {
  const node = graph?.nodes.get(id);
  const fold = graph ? hierarchyOf(graph).folds.get(id) : undefined;
  if (graph && fold) return <FoldFacts graph={graph} fold={fold} onSelect={onSelect} />;
  if (!graph || !node) {
    return (
      <div class="identity">
        <Name text={id} />
        <p class="identity-class">not in the graph of this run</p>
      </div>
    );
  }
  return (
    <div class="identity">
      <Name text={node.kind === "function" ? node.op || id : node.module || id} copy={node.module || id} />
      <p class="identity-class">
        {node.class_name || (node.kind === "function" ? "function" : node.kind)}
        {callOf(graph, node)}
      </p>
      {node.doc !== "" && <p class="identity-doc">{node.doc}</p>}
      <dl class="facts">
        {(node.kind === "module" || node.kind === "function") && (
          <Fact name="in">{tensors(node.input_shapes, node.input_dtypes)}</Fact>
        )}
        {node.kind === "output" ? (
          <Fact name="value">{tensors(node.input_shapes, node.input_dtypes)}</Fact>
        ) : (
          <Fact name="out">{tensors(node.output_shapes, node.output_dtypes)}</Fact>
        )}
        <Parameters node={node} />
        {node.tied.length > 0 && <Fact name="tied with">{node.tied.join(", ")}</Fact>}
        {(node.kind === "module" || node.kind === "function") && <Cost node={node} />}
        {node.extra_repr !== "" && (
          <Fact name="settings">
            <code>{node.extra_repr}</code>
          </Fact>
        )}
        {node.source !== "" && (
          <Fact name="source">
            <code>{node.source}</code>
          </Fact>
        )}
      </dl>
    </div>
  );
}

const SAID_MS = 1500;

/** The name as a heading, with a button that copies the qualified name. */
function Name({ text, copy = text }: { readonly text: string; readonly copy?: string }): JSX.Element {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => setSaid(""), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  return (
    <div class="identity-head">
      <h3 class="identity-name">{text}</h3>
      <button
        type="button"
        class="plain"
        title={`Copy ${copy}`}
        aria-label={`Copy the name ${copy}`}
        onClick={async () => setSaid((await copied(copy)) ? "copied" : "not allowed")}
      >
        <span aria-live="polite">{said || "copy"}</span>
      </button>
    </div>
  );
}

/** " · call 2 of 3, the same weights", where a module is called more than once. */
function callOf(graph: ModelGraph, node: Node): string {
  if (node.kind !== "module" || node.module === "") return "";
  let calls = 0;
  for (const { kind, module } of graph.nodes.values()) if (kind === "module" && module === node.module) calls++;
  return calls > 1 ? ` · call ${node.call + 1} of ${calls}, the same weights` : "";
}

/** One line a tensor: shape, and its type more quietly. */
export function tensors(all: readonly (readonly number[])[], dtypes: readonly string[]): ComponentChildren {
  if (all.length === 0) return "none";
  return all.map((shape, index) => (
    <span key={index} class="fact-tensor">
      {formatShape(shape)} <span class="quiet">{dtypes[index] ?? ""}</span>
    </span>
  ));
}

/** Numbers of parameters, with their bytes, and whether they train. */
function Parameters({ node }: { readonly node: Node }): JSX.Element | null {
  const { own_parameters: own, total_parameters: total } = node;
  if (node.kind === "input" || node.kind === "output" || node.kind === "function") return null;
  if (total === 0) return <Fact name="parameters">none</Fact>;
  const exact = (count: number, bytes: number) =>
    `${plural(count, "parameter")}${bytes > 0 ? `, ${plural(bytes, "byte")}` : ""}`;
  return (
    <>
      <Fact name="parameters">
        <span title={exact(total, node.total_bytes)}>
          {formatCount(total)}
          {node.total_bytes > 0 && <span class="quiet"> {formatBytes(node.total_bytes)}</span>}
        </span>
        {own !== total && (
          <span class="fact-own" title={exact(own, node.own_bytes)}>
            {own === 0 ? "none of its own" : `${formatCount(own)} its own`}
            {own > 0 && node.own_bytes > 0 && <span class="quiet"> {formatBytes(node.own_bytes)}</span>}
          </span>
        )}
      </Fact>
      {node.trainable !== null && <Fact name="trains">{training(node)}</Fact>}
    </>
  );
}

/** "trainable", "frozen when traced" (a schedule may thaw it: the parameters' measure "trainable" tells), or how much of it is what. */
export function training({ trainable, trainable_parameters: some, total_parameters: total }: Node): ComponentChildren {
  if (trainable === false) return "frozen when traced";
  if (some === 0 || some >= total) return "trainable"; // a log from before the number was written says only that
  return (
    <span title={`${some.toLocaleString("en")} of ${total.toLocaleString("en")} parameters require a gradient`}>
      partly: {2 * some > total ? `all but ${formatCount(total - some)}` : formatCount(some)} of {formatCount(total)}
    </span>
  );
}

function Cost({ node }: { readonly node: Node }): JSX.Element {
  const { flops, activation_bytes: bytes } = node;
  return (
    <>
      <Fact name="compute">
        {flops === null ? (
          <span
            class="quiet"
            title="Only matrix products, convolutions and attention are counted, and not on every tensor"
          >
            not counted
          </span>
        ) : (
          <span
            title={`${flops.toLocaleString("en")} floating-point operations of matrix products, convolutions and attention; multiplications and additions apart`}
          >
            {formatFlops(flops)}
          </span>
        )}
      </Fact>
      {bytes > 0 && (
        <Fact name="activation">
          <span title={plural(bytes, "byte")}>{formatBytes(bytes)}</span>
        </Fact>
      )}
    </>
  );
}
