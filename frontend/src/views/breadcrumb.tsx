// The way from the model down to the selected node; a long one is shortened in the middle.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ModelGraph } from "../graph";
import { hierarchyOf, labelOf, pathTo } from "../layout/hierarchy";
import "./breadcrumb.css";
import { useSideName } from "./compare";

/** So many steps of the way are written out: the outermost, and the rest from the inside. */
const SHOWN = 3;

export interface BreadcrumbProps {
  readonly graph: ModelGraph;
  readonly selected: string;
  readonly onSelect: (id: string | null) => void;
}

/** Each step selects; the dots in the middle show the steps that they stand for. */
export function Breadcrumb({ graph, selected, onSelect }: BreadcrumbProps): JSX.Element {
  const [whole, setWhole] = useState<string | null>(null);
  const path = pathTo(hierarchyOf(graph), selected);
  const hidden = whole === selected || path.length <= SHOWN ? [] : path.slice(1, path.length - SHOWN + 1);
  const step = (id: string) => (
    <span key={id}>
      <i aria-hidden="true">›</i>
      <button
        type="button"
        title={graph.nodes.has(id) ? id : labelOf(graph, id)}
        aria-current={id === selected ? "true" : undefined}
        onClick={() => onSelect(id)}
      >
        {labelOf(graph, id)}
      </button>
    </span>
  );
  const name = useSideName("Selected node");
  return (
    <nav class={whole === selected ? "structure-path whole" : "structure-path"} aria-label={name}>
      <button type="button" onClick={() => onSelect(null)}>
        {graph.class_name || "model"}
      </button>
      {path.slice(0, 1).map(step)}
      {hidden.length > 0 && (
        <span key="">
          <i aria-hidden="true">›</i>
          <button
            type="button"
            title={hidden.map((id) => labelOf(graph, id)).join(" › ")}
            aria-label={`${hidden.length} more steps`}
            onClick={() => setWhole(selected)}
          >
            …
          </button>
        </span>
      )}
      {path.slice(1 + hidden.length).map(step)}
    </nav>
  );
}
