// Edges of the structure: splines as cubic paths, with an arrowhead where the tensor is taken. All that look alike are
// one element, since thousands of elements make panning halt.

import type { JSX } from "preact";
import { placeLabels } from "../layout/labels";
import { type PlacedBox, type PlacedEdge, type PlacedStub, STUB_X } from "../layout/picture";
import { fitText, HEADER, STRIP_ROW, textWidth } from "./structure_text";
import "./structure_edges.css";

export interface EdgesProps {
  edges: readonly PlacedEdge[];
  dim: boolean;
  /** False far away, where an arrowhead would be a speck. */
  heads: boolean;
}

/** SVG path of a cubic spline given as x0 y0, then six numbers a segment. */
export function pathOf(points: readonly number[]): string {
  let path = `M${tenths(points[0])} ${tenths(points[1])}`;
  for (let i = 2; i + 5 < points.length; i += 6)
    path += `C${points
      .slice(i, i + 6)
      .map(tenths)
      .join(" ")}`;
  return path;
}

const tenths = (value: number | undefined) => Math.round((value ?? 0) * 10) / 10;

/** The arrowhead at the end of a spline, in the direction in which it arrives. */
function headOf(points: readonly number[], size: number): string {
  const [fromX = 0, fromY = 0, x = 0, y = 0] = points.slice(-4);
  const length = Math.hypot(x - fromX, y - fromY) || 1;
  const [dx, dy] = [((x - fromX) / length) * size, ((y - fromY) / length) * size];
  const [backX, backY] = [x - dx, y - dy];
  const corner = (side: number) => `${tenths(backX - dy * 0.45 * side)} ${tenths(backY + dx * 0.45 * side)}`;
  return `M${tenths(x)} ${tenths(y)}L${corner(1)}L${tenths(x - dx * 0.75)} ${tenths(y - dy * 0.75)}L${corner(-1)}z`;
}

const headsOf = (edges: readonly { points: number[]; arrow: boolean }[], size: number) =>
  edges.flatMap(({ points, arrow }) => (arrow ? [headOf(points, size)] : [])).join("");

export function Edges({ edges, dim, heads }: EdgesProps): JSX.Element {
  return (
    <g class={dim ? "edges dim" : "edges"}>
      <path class="edge" d={edges.map(({ points }) => pathOf(points)).join("")} />
      {heads && <path class="head" d={headsOf(edges, 7)} />}
    </g>
  );
}

export interface LitProps {
  edges: readonly PlacedEdge[];
  stubs: readonly PlacedStub[];
  /** Indices of the graph's edges to light up. */
  lit: ReadonlySet<number>;
}

/** The edges at a node, over the others; also those that are otherwise pulled aside. */
export function Lit({ edges, stubs, lit }: LitProps): JSX.Element | null {
  if (lit.size === 0) return null;
  const isLit = ({ tensors }: { tensors: readonly number[] }) => tensors.some((tensor) => lit.has(tensor));
  const bright = edges.filter(isLit);
  const aside = stubs.filter(isLit).map((stub) => ({ ...stub, arrow: true }));
  return (
    <g class="edges">
      <path class="edge lit aside" d={aside.map(({ points }) => pathOf(points)).join("")} />
      <path class="edge lit" d={bright.map(({ points }) => pathOf(points)).join("")} />
      <path class="head lit" d={headsOf([...bright, ...aside], 8.5)} />
    </g>
  );
}

export interface TagsProps {
  stubs: readonly PlacedStub[];
  boxOf: (id: string) => PlacedBox | undefined;
  labelOf: (id: string) => string;
  lit: ReadonlySet<number>;
  /** What makes the tensor is selected by a click on its tag. */
  onSelect: (id: string) => void;
}

const TAG = 14;

/** In place of lines from what feeds very many boxes: a tag with its name on the top of each of them. */
export function Tags({ stubs, boxOf, labelOf, lit, onSelect }: TagsProps): JSX.Element {
  const byBox = new Map<string, PlacedStub[]>();
  for (const stub of stubs) byBox.set(stub.box, [...(byBox.get(stub.box) ?? []), stub]);
  return (
    <g class="tags">
      {[...byBox].map(([id, own]) => {
        const box = boxOf(id);
        if (!box) return null;
        const names = counted(own.map(({ from }) => labelOf(from)));
        const room = Math.max(44, box.width / 2 - STUB_X);
        const text = fitText(names.join(" · "), "class", room - 10);
        const width = textWidth(text, "class") + 12;
        const bright = own.some(({ tensors }) => tensors.some((tensor) => lit.has(tensor)));
        const x = box.width < 100 ? box.x + box.width / 2 - width - 4 : box.x + STUB_X - 8;
        return (
          // biome-ignore lint/a11y/noStaticElementInteractions: a pointer's shortcut; the outline lists what feeds it
          <g
            key={id}
            class={bright ? "tag lit" : "tag"}
            data-tag={id}
            transform={`translate(${x} ${box.y - TAG / 2 - 1})`}
            onClick={(event) => {
              event.stopPropagation();
              onSelect(own[0]?.from ?? id);
            }}
          >
            <title>{`also takes ${names.join(", ")}`}</title>
            <rect width={width} height={TAG} rx={TAG / 2} />
            <text x={6} y={10.6} class="t-class">
              {text}
            </text>
          </g>
        );
      })}
    </g>
  );
}

/** Each name once, with how often it is there if more than once. */
function counted(names: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count > 1 ? `${name} ×${count}` : name));
}

export interface LabelsProps {
  boxes: readonly PlacedBox[];
  /** Edges to label, the most wanted first. */
  edges: readonly PlacedEdge[];
  textOf: (edge: PlacedEdge) => string;
}

/** Shapes beside the edges, where there is room. */
export function Labels({ boxes, edges, textOf }: LabelsProps): JSX.Element {
  const wanted = edges.map((edge) => ({ edge, text: textOf(edge) }));
  return (
    <g class="labels">
      {placeLabels(boxes, wanted, HEADER + STRIP_ROW, (text) => textWidth(text, "mono")).map(({ text, x, y }) => (
        <text key={`${x} ${y}`} x={x} y={y} class="t-mono">
          {text}
        </text>
      ))}
    </g>
  );
}

/** The hatching of "not a number", and the stripes of "frozen". */
export function Definitions({ id }: { id: string }): JSX.Element {
  return (
    <defs>
      <pattern id={`${id}-hatch`} width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <path class="hatch-line" d="M0 0v7" />
      </pattern>
      <pattern id={`${id}-hatch-frozen`} width="6" height="6" patternUnits="userSpaceOnUse">
        <path class="frozen-line" d="M3 0v6" />
      </pattern>
    </defs>
  );
}
