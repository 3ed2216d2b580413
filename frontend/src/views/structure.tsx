// The structure of a model: containers that open and close, boxes painted with a measure. Data in, element out.

import type { JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { ModelGraph } from "../graph";
import { hierarchyOf, nameOf, pathTo, visibleBox } from "../layout/hierarchy";
import type { PlacedBox } from "../layout/picture";
import type { Node } from "../wire";
import { Box, type Paint, Wall } from "./structure-boxes";
import { Definitions, Edges } from "./structure-edges";
import { type LaidOut, useLayout } from "./structure-layout";
import { edgesOf, search } from "./structure-search";
import { wordsOf } from "./structure-text";
import { brought, fitLegibly, fitWhole, keptInPlace, useViewport, type Viewport } from "./structure-viewport";
import "./structure.css";

export { openingExpansion } from "../layout/opening";
export type { Paint } from "./structure-boxes";

export interface StructureProps {
  graph: ModelGraph;
  /** Ids of the open containers. */
  expanded: ReadonlySet<string>;
  /** Id of the selected node. */
  selected: string | null;
  /** Search text; "" for none. */
  query: string;
  /** Colour and number of a node; null if no measure is chosen or it says nothing about this node. */
  paint: (node: Node) => Paint | null;
  onSelect: (id: string | null) => void;
  onToggle: (id: string) => void;
}

/** Zoomed out beyond this, only names, colours and the flow are drawn. */
const COARSE = 0.5;

export function Structure(props: StructureProps): JSX.Element {
  const { graph, expanded, selected, onSelect } = props;
  const svg = useRef<SVGSVGElement>(null);
  const id = `structure-${useId()}`.replace(/[^\w-]/g, "-");
  const { laidOut, problem } = useLayout(graph, expanded);
  const viewport = useViewport(svg);
  useView(viewport, laidOut, laidOut?.expanded === expanded, selected);
  const { k, x, y } = viewport.transform;
  const whole = () => {
    if (laidOut && viewport.size) viewport.go(fitWhole(laidOut.picture, viewport.size), true);
  };
  const bringFocused = ({ target }: FocusEvent) => {
    // The focus of a mouse click is not visible: what is under the pointer must not move away.
    if (!(target instanceof Element) || !target.matches(":focus-visible") || !laidOut || !viewport.size) return;
    const focused = laidOut.picture.boxes.find((box) => box.id === target.getAttribute("data-node"));
    if (focused) viewport.go(brought(viewport.goal(), focused, viewport.size), true);
  };
  return (
    // On the <svg> this listener would make the picture itself a stop of the Tab key in Chromium.
    <div class="structure" onFocusIn={bringFocused}>
      {/* biome-ignore lint/a11y/useSemanticElements: SVG has no fieldset */}
      <svg
        ref={svg}
        class={k < COARSE ? "canvas coarse" : "canvas"}
        role="group"
        aria-label={`Structure of ${graph.class_name || "the model"}`}
        onClick={() => onSelect(null)}
        onKeyDown={(event) => event.key === "Escape" && onSelect(null)}
      >
        <Definitions id={id} />
        <g transform={`translate(${x} ${y}) scale(${k})`}>
          <Scene {...props} laidOut={laidOut} id={id} />
        </g>
      </svg>
      <Breadcrumb graph={graph} selected={selected} onSelect={onSelect} />
      <Note laidOut={laidOut} problem={problem} query={props.query} graph={graph} />
      <div class="structure-zoom" role="toolbar" aria-label="Zoom">
        <button type="button" title="Zoom out" aria-label="Zoom out" onClick={() => viewport.zoomBy(1 / 1.3)}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3.5 8h9" />
          </svg>
        </button>
        <button type="button" title="Zoom in" aria-label="Zoom in" onClick={() => viewport.zoomBy(1.3)}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3.5 8h9M8 3.5v9" />
          </svg>
        </button>
        <button type="button" title="Show the whole model" aria-label="Show the whole model" onClick={whole}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3" />
          </svg>
        </button>
      </div>
    </div>
  );
}

/** Everything that zoom and pan move; the same element again while nothing but the viewport changes. */
function Scene({ graph, selected, query, paint, onSelect, onToggle, laidOut, id }: StructureProps & SceneProps) {
  const callbacks = useRef({ onSelect, onToggle });
  callbacks.current = { onSelect, onToggle };
  const scene = useMemo(() => {
    if (!laidOut) return null;
    const { picture, expanded } = laidOut;
    const hierarchy = hierarchyOf(graph);
    const hits = search(graph, expanded, query);
    const holder = selected === null ? null : visibleBox(hierarchy, expanded, selected);
    const boxes = picture.boxes.flatMap((box) => {
      const node = graph.nodes.get(box.id);
      return node ? [{ box, node }] : [];
    });
    const open = boxes.filter(({ box }) => box.expanded);
    const draw = ({ box, node }: { box: PlacedBox; node: Node }) => (
      <Box
        key={box.id}
        box={box}
        node={node}
        words={wordsOf(graph, node)}
        inside={hierarchy.children.get(box.id)?.length ?? 0}
        paint={paint(node)}
        selected={box.id === selected}
        holdsSelected={box.id === holder && !box.expanded}
        light={hits ? (hits.boxes.has(box.id) ? "hit" : "dim") : ""}
        hatch={`${id}-hatch`}
        onSelect={(chosen) => callbacks.current.onSelect(chosen)}
        onToggle={(chosen) => callbacks.current.onToggle(chosen)}
      />
    );
    return (
      <>
        <g>
          {open.map(({ box }) => (
            <Wall key={box.id} box={box} selected={box.id === selected} />
          ))}
        </g>
        <Edges edges={picture.edges} lit={edgesOf(graph, selected)} dim={hits !== null} id={id} />
        <g>{boxes.map(draw)}</g>
      </>
    );
  }, [graph, laidOut, selected, query, paint, id]);
  return scene;
}

interface SceneProps {
  laidOut: LaidOut | null;
  id: string;
}

/**
 * First sight, staying in place while containers open and close, and bringing a new selection into view. `settled` is
 * false while the picture lags behind what is open: a selection is then still to be shown where it will stand.
 */
function useView(viewport: Viewport, laidOut: LaidOut | null, settled: boolean, selected: string | null): void {
  const last = useRef<LaidOut | null>(null);
  const shown = useRef<string | null>(null);
  const { size, go, goal } = viewport;
  useLayoutEffect(() => {
    if (!laidOut || !size || last.current === laidOut) return;
    const before = last.current;
    last.current = laidOut;
    const { picture } = laidOut;
    if (before?.graph !== laidOut.graph) {
      const start = picture.boxes.find((box) => box.y <= 0) ?? picture.boxes[0] ?? null;
      const first = fitLegibly(picture, size, start);
      const target = boxOf(laidOut, selected);
      go(target ? brought(first, target, size) : first, false);
      shown.current = selected;
      return;
    }
    const anchor = anchorOf(before, laidOut, selected, goal(), size);
    if (!anchor) return;
    const kept = keptInPlace(goal(), anchor.before, anchor.after);
    go(kept, false);
    if (anchor.after.expanded && !anchor.before.expanded) go(brought(kept, anchor.after, size), true);
  }, [laidOut, size, selected, go, goal]);

  useEffect(() => {
    if (!laidOut || !size || shown.current === selected) return;
    if (settled) shown.current = selected;
    const target = boxOf(laidOut, selected);
    const at = goal();
    if (target && !overlaps(target, at, size)) go(brought(at, target, size), true);
  }, [laidOut, size, settled, selected, go, goal]);
}

/** The box that stands for the selected node: itself, or the closed container that holds it. */
function boxOf({ graph, expanded, picture }: LaidOut, selected: string | null): PlacedBox | undefined {
  const shownAs = selected === null ? null : visibleBox(hierarchyOf(graph), expanded, selected);
  return picture.boxes.find(({ id }) => id === shownAs);
}

function overlaps(
  box: PlacedBox,
  at: { applyX(x: number): number; applyY(y: number): number },
  pane: { width: number; height: number },
) {
  const across = at.applyX(box.x + box.width) > 0 && at.applyX(box.x) < pane.width;
  return across && at.applyY(box.y + box.height) > 0 && at.applyY(box.y) < pane.height;
}

/** The box to hold still: what was opened or closed, else what is selected, else what is nearest to the middle. */
function anchorOf(
  before: LaidOut,
  after: LaidOut,
  selected: string | null,
  at: ReturnType<Viewport["goal"]>,
  pane: { width: number; height: number },
): { before: PlacedBox; after: PlacedBox } | null {
  const now = new Map(after.picture.boxes.map((box) => [box.id, box]));
  const shared = before.picture.boxes.filter((box) => now.has(box.id));
  const changed = shared.find((box) => box.expanded !== now.get(box.id)?.expanded);
  const [x, y] = [at.invertX(pane.width / 2), at.invertY(pane.height / 2)];
  const distance = (box: PlacedBox) => Math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y);
  const chosen =
    changed ??
    shared.find((box) => box.id === selected) ??
    shared.reduce<PlacedBox | undefined>(
      (best, box) => (best && distance(best) <= distance(box) ? best : box),
      undefined,
    );
  const placed = chosen && now.get(chosen.id);
  return placed ? { before: chosen, after: placed } : null;
}

/** The way from the model down to the selected node; each step selects. */
function Breadcrumb({ graph, selected, onSelect }: Pick<StructureProps, "graph" | "selected" | "onSelect">) {
  const path = selected === null ? [] : pathTo(hierarchyOf(graph), selected);
  return (
    <nav class="structure-path" aria-label="Selected node">
      <button type="button" onClick={() => onSelect(null)}>
        {graph.class_name || "model"}
      </button>
      {path.map((id, i) => {
        const node = graph.nodes.get(id);
        return (
          <span key={id}>
            <i aria-hidden="true">›</i>
            <button
              type="button"
              title={id}
              aria-current={i === path.length - 1 ? "true" : undefined}
              onClick={() => onSelect(id)}
            >
              {node ? nameOf(graph, node) : id}
            </button>
          </span>
        );
      })}
    </nav>
  );
}

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
    const names = plain.map((id) => id ?? "the top level");
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
