// Edges of the structure: Graphviz's splines as cubic paths, each with an arrowhead where the tensor is taken.

import type { JSX } from "preact";
import type { PlacedEdge } from "../layout/picture";

export interface EdgesProps {
  edges: readonly PlacedEdge[];
  /** Indices of the graph's edges to light up. */
  lit: ReadonlySet<number>;
  dim: boolean;
  /** Prefix of the ids in <defs>. */
  id: string;
}

/** SVG path of a cubic spline given as x0 y0, then six numbers a segment. */
export function pathOf(points: readonly number[]): string {
  const number = (value: number | undefined) => Math.round((value ?? 0) * 10) / 10;
  let path = `M${number(points[0])} ${number(points[1])}`;
  for (let i = 2; i + 5 < points.length; i += 6)
    path += `C${points
      .slice(i, i + 6)
      .map(number)
      .join(" ")}`;
  return path;
}

export function Edges({ edges, lit, dim, id }: EdgesProps): JSX.Element {
  const isLit = (edge: PlacedEdge) => edge.tensors.some((tensor) => lit.has(tensor));
  const draw = (edge: PlacedEdge, bright: boolean) => (
    <path
      key={edge.key}
      class={bright ? "edge lit" : "edge"}
      d={pathOf(edge.points)}
      marker-end={edge.arrow ? `url(#${id}${bright ? "-lit" : "-arrow"})` : undefined}
    />
  );
  return (
    <g class={dim ? "edges dim" : "edges"}>
      {edges.filter((edge) => !isLit(edge)).map((edge) => draw(edge, false))}
      {edges.filter(isLit).map((edge) => draw(edge, true))}
    </g>
  );
}

/** Arrowheads and the hatching of "not a number". */
export function Definitions({ id }: { id: string }): JSX.Element {
  const arrow = (name: string) => (
    <marker
      id={`${id}-${name}`}
      viewBox="0 0 8 8"
      refX="7.4"
      refY="4"
      markerWidth="8"
      markerHeight="8"
      orient="auto"
      markerUnits="userSpaceOnUse"
    >
      <path class={`head ${name}`} d="M.6 1 7.6 4 .6 7 2.2 4z" />
    </marker>
  );
  return (
    <defs>
      {arrow("arrow")}
      {arrow("lit")}
      <pattern id={`${id}-hatch`} width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <path class="hatch-line" d="M0 0v7" />
      </pattern>
    </defs>
  );
}
