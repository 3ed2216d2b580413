// The structure of a model: containers that open and close, boxes painted with a measure. Data in, element out.

import type { ReadonlySignal } from "@preact/signals";
import type { ZoomTransform } from "d3-zoom";
import type { JSX } from "preact";
import { useCallback, useId, useMemo, useRef, useState } from "preact/hooks";
import type { ModelGraph } from "../graph";
import { counterpart, everythingOpen, showing } from "../layout/expansion";
import { foldState, hierarchyOf, labelOf, pathTo, visibleBox } from "../layout/hierarchy";
import type { Size } from "../layout/picture";
import type { Node } from "../wire";
import { Breadcrumb } from "./breadcrumb";
import { Minimap } from "./minimap";
import { useShortcuts } from "./shortcuts";
import type { Paint } from "./structure_boxes";
import { Buttons } from "./structure_buttons";
import { Definitions } from "./structure_edges";
import { boxAt } from "./structure_far";
import { BoxFlags, boxFlags, type Found, NOTHING_FOUND } from "./structure_flags";
import { type LaidOut, useLayout } from "./structure_layout";
import { useView } from "./structure_look";
import { useRegion } from "./structure_region";
import { Scene } from "./structure_scene";
import { search } from "./structure_search";
import { brought, centred, fitWhole, useRoom, useViewport } from "./structure_viewport";
import { walkingKeys } from "./structure_walk";
import "./structure.css";

export { openingExpansion } from "../layout/opening";
export type { Paint } from "./structure_boxes";

export interface StructureProps {
  graph: ModelGraph;
  /** What is open: ids of containers, and words about folds (see layout/hierarchy.ts). */
  expanded: ReadonlySet<string>;
  /** Id of the selected node or fold. */
  selected: string | null;
  /** Search text; "" for none. */
  query: string;
  /** Colour and number of a node; null if no measure is chosen or it says nothing about this node. */
  paint: (node: Node) => Paint | null;
  /** Boxes that stay bright, and edges that are lit, for what lies up- and downstream; null for none. */
  reach?: { readonly nodes: ReadonlySet<string>; readonly edges: ReadonlySet<number> } | null;
  /** What was found in which layer, and the step that the glyphs of it are told for. */
  found?: Found;
  step?: number;
  /** A node that is pointed at in another view. */
  pointed?: ReadonlySignal<string | null>;
  /** What the pointer is over here. */
  onPoint?: (id: string | null) => void;
  onSelect: (id: string | null) => void;
  onToggle: (id: string) => void;
  onExpand: (expanded: ReadonlySet<string>) => void;
}

/** Zoomed out beyond this, only names, colours and the flow are drawn. */
const COARSE = 0.5;

export function Structure(props: StructureProps): JSX.Element {
  const { graph, expanded, selected, paint, onSelect, onToggle, onExpand } = props;
  const { found = NOTHING_FOUND, step = Number.POSITIVE_INFINITY } = props;
  const svg = useRef<SVGSVGElement>(null);
  const wholeNext = useRef(false);
  const [hovered, setHovered] = useState<string | null>(null);
  const [labels, setLabels] = useState(false);
  const id = `structure-${useId()}`.replace(/[^\w-]/g, "-");
  const viewport = useViewport(svg);
  const { laidOut, problem } = useLayout(graph, expanded, useRoom(viewport.size));
  useView(viewport, laidOut, laidOut?.expanded === expanded, selected, wholeNext);
  const { k, x, y } = viewport.transform;
  const picture = laidOut?.picture;
  const flags = useMemo(
    () => boxFlags(graph, laidOut?.expanded ?? expanded, found, step),
    [graph, laidOut, expanded, found, step],
  );
  const region = useRegion(picture, viewport.transform, viewport.size);
  const showWhole = () => {
    if (picture && viewport.size) viewport.go(fitWhole(picture, viewport.size), true);
  };
  useShortcuts({ f: showWhole });
  const expandAll = (next: ReadonlySet<string>) => {
    wholeNext.current = true;
    onExpand(next);
  };
  const show = (fold: string, state: number | "all") => {
    const was = foldState(hierarchyOf(graph), expanded, fold);
    const moves = typeof state === "number" && typeof was === "number" && selected !== null;
    const moved = moves && pathTo(hierarchyOf(graph), selected).includes(fold) && selected !== fold;
    onExpand(showing(graph, expanded, fold, state));
    if (moved) onSelect(counterpart(graph, fold, state, selected) ?? selected);
  };
  /** The box under the pointer: an element, or far away what is drawn there. */
  const under = (event: MouseEvent): string | null => {
    const node =
      event.target instanceof Element ? event.target.closest("[data-node]")?.getAttribute("data-node") : null;
    if (node || !picture || !region || region.fine || !svg.current) return node ?? null;
    const pane = svg.current.getBoundingClientRect();
    return boxAt(picture.boxes, (event.clientX - pane.left - x) / k, (event.clientY - pane.top - y) / k)?.id ?? null;
  };
  const point = (node: string | null) => {
    setHovered(node);
    if (node !== hovered) props.onPoint?.(node);
  };
  const bringFocused = ({ target }: FocusEvent) => {
    // The focus of a mouse click is not visible: what is under the pointer must not move away.
    if (!(target instanceof Element) || !target.matches(":focus-visible") || !picture || !viewport.size) return;
    const focused = picture.boxes.find((box) => box.id === target.getAttribute("data-node"));
    if (focused) viewport.go(brought(viewport.goal(), focused, viewport.size), true);
  };
  const colour = useCallback(
    (box: string) => {
      const node = graph.nodes.get(box);
      return (node && paint(node)?.fill) ?? "";
    },
    [graph, paint],
  );
  return (
    // On the <svg> this listener would make the picture itself a stop of the Tab key in Chromium.
    <div class="structure" onFocusIn={bringFocused}>
      {/* biome-ignore lint/a11y/useSemanticElements: SVG has no fieldset */}
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: walkingKeys has the keys */}
      <svg
        ref={svg}
        data-drawing=""
        class={`canvas${k < COARSE ? " coarse" : ""}${(picture?.boxes.length ?? 0) > STILL ? " still" : ""}`}
        role="group"
        aria-label={`Structure of ${graph.class_name || "the model"}`}
        onClick={(event) => onSelect(under(event))}
        onDblClick={(event) => {
          const box = under(event);
          if (box !== null && hierarchyOf(graph).children.has(box)) onToggle(box);
        }}
        onPointerOver={(event) => point(under(event))}
        onPointerLeave={() => point(null)}
        onKeyDownCapture={walkingKeys(svg, {
          graph,
          expanded: laidOut?.expanded ?? expanded,
          selected,
          onSelect,
          onToggle,
        })}
      >
        <Definitions id={id} />
        <g transform={`translate(${x} ${y}) scale(${k})`}>
          {laidOut && region && <Scene {...props} {...{ laidOut, region, hovered, labels, id, flags }} onShow={show} />}
          {laidOut && props.pointed && hovered === null && <PointedRing laidOut={laidOut} pointed={props.pointed} />}
          {picture && <BoxFlags boxes={picture.boxes} flags={flags} k={k} />}
        </g>
      </svg>
      {selected !== null && <Breadcrumb graph={graph} selected={selected} onSelect={onSelect} />}
      <Note laidOut={laidOut} problem={problem} query={props.query} graph={graph} />
      {picture && viewport.size && !inView(picture, viewport.transform, viewport.size) && (
        <Minimap
          picture={picture}
          transform={viewport.transform}
          pane={viewport.size}
          colour={colour}
          onMove={(toX, toY) => viewport.size && viewport.go(centred(viewport.goal(), toX, toY, viewport.size), false)}
        />
      )}
      <Buttons
        labels={labels}
        onLabels={setLabels}
        onExpandAll={(unfolded) => expandAll(everythingOpen(graph, unfolded))}
        onCollapseAll={() => expandAll(new Set())}
        onZoom={viewport.zoomBy}
        onWhole={showWhole}
      />
    </div>
  );
}

interface PointedRingProps {
  readonly laidOut: LaidOut;
  readonly pointed: ReadonlySignal<string | null>;
}

/** Around the box of what is pointed at in another view; a part of its own, so that nothing else is drawn for it. */
function PointedRing({ laidOut, pointed }: PointedRingProps): JSX.Element | null {
  const { graph, expanded, picture } = laidOut;
  if (pointed.value === null) return null;
  const shown = visibleBox(hierarchyOf(graph), expanded, pointed.value);
  const box = picture.boxes.find(({ id }) => id === shown);
  if (box === undefined) return null;
  return <rect class="pointed-ring" x={box.x - 4} y={box.y - 4} width={box.width + 8} height={box.height + 8} rx={9} />;
}

/** In a lower pane the minimap would cover more than it helps; in pixels. */
const ROOM_FOR_MINIMAP = 300;

/** Whether a minimap would show nothing more, or there is no room for one. */
function inView(picture: Size, { k, x, y }: ZoomTransform, pane: Size): boolean {
  const whole = x >= 0 && y >= 0 && x + picture.width * k <= pane.width && y + picture.height * k <= pane.height;
  return whole || pane.height < ROOM_FOR_MINIMAP;
}

/** With more boxes than this, none fades in. */
const STILL = 350;

interface NoteProps {
  laidOut: LaidOut | null;
  problem: string;
  query: string;
  graph: ModelGraph;
}

/** One quiet line at the bottom: what was found, what could not be laid out as it should be. */
function Note({ laidOut, problem, query, graph }: NoteProps) {
  const parts: string[] = [];
  const hits = useMemo(() => (laidOut ? search(graph, laidOut.expanded, query) : null), [graph, laidOut, query]);
  if (hits) {
    parts.push(hits.count === 0 ? "no match" : `${hits.count} ${hits.count === 1 ? "match" : "matches"}`);
    if (hits.hidden > 0) parts.push(`${hits.hidden} inside closed modules`);
  }
  const plain = laidOut?.picture.approximate ?? [];
  if (plain.length > 0) {
    const names = plain.map((id) => (id === null ? "the top level" : labelOf(graph, id)));
    const listed = names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
    parts.push(`plain layout for ${listed}: Graphviz gave none`);
  }
  if (problem) parts.push(`no layout: ${problem}`);
  if (graph.nodes.size === 0) parts.push("this graph has no nodes");
  return (
    <p class="structure-note" role="status">
      {parts.join(" · ")}
    </p>
  );
}
