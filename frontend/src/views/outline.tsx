// The outline: the call tree as rows, for finding one's way and for who cannot see the picture. Data in, element out.

import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { useSize } from "../charts/size";
import type { ModelGraph } from "../graph";
import { hierarchyOf } from "../layout/hierarchy";
import type { Node } from "../wire";
import { OutlineRow, ROW } from "./outline_row";
import { around, type Row, rowsOf, startingWith } from "./outline_tree";
import type { Paint } from "./structure_boxes";
import type { Flags } from "./structure_flags";
import { find } from "./structure_search";
import "./outline.css";

export interface OutlineProps {
  readonly graph: ModelGraph;
  /** What is open at first: what is open in the picture. From then on the outline opens and closes by itself. */
  readonly expanded: ReadonlySet<string>;
  readonly selected: string | null;
  readonly query: string;
  readonly paint: (node: Node) => Paint | null;
  /** Glyphs of what has findings, or holds what has. */
  readonly flags?: Flags;
  readonly onSelect: (id: string) => void;
}

/** Rows above and below what is on view that are in the document, too, so that scrolling shows no gaps. */
const SPARE = 6;
/** Milliseconds after which typed letters begin a new word. */
const PAUSE = 700;

export function Outline({ graph, expanded, selected, query, paint, flags, onSelect }: OutlineProps): JSX.Element {
  const hierarchy = hierarchyOf(graph);
  const [ref, { height }] = useSize<HTMLDivElement>();
  const [top, setTop] = useState(0);
  const [open, setOpen] = useState<ReadonlySet<string>>(expanded);
  const [active, setActive] = useState<string | null>(selected);
  const rows = useMemo(() => rowsOf(hierarchy, open), [hierarchy, open]);
  const index = useMemo(() => new Map(rows.map((row, i) => [row.id, i])), [rows]);
  const at = index.get(active ?? "") ?? -1;
  const hits = useMemo(() => marked(graph, query), [graph, query]);
  useReveal(graph, selected, (id) => {
    setOpen((old) => new Set([...old, ...around(graph, id)]));
    setActive(id);
  });
  // Only as many rows are in the document as there is room for; all have one height, so no library is asked to measure.
  const first = Math.max(0, Math.floor(top / ROW) - SPARE);
  const shown = rows.slice(first, first + Math.ceil(height / ROW) + 2 * SPARE);
  useScroll(ref, at, height);
  const toggle = (id: string) => {
    const next = new Set(open);
    if (!next.delete(id)) next.add(id);
    setOpen(next);
  };
  const onKeyDown = useKeys({ graph, rows, at, open, toggle, onSelect, go: (row) => setActive(row.id) });
  return (
    <div
      ref={ref}
      class="outline"
      role="tree"
      tabIndex={0}
      aria-label={`Modules of ${graph.class_name || "the model"}`}
      aria-activedescendant={at >= first && at < first + shown.length ? `outline-${at}` : undefined}
      data-testid="outline"
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <div class="outline-rows" style={{ height: `${rows.length * ROW}px` }}>
        {shown.map((row, i) => (
          <OutlineRow
            key={row.id}
            id={`outline-${first + i}`}
            row={row}
            top={(first + i) * ROW}
            graph={graph}
            open={open.has(row.id)}
            active={first + i === at}
            selected={row.id === selected}
            hit={hits?.get(row.id) ?? ""}
            paint={paint}
            flag={flags?.get(row.id) ?? null}
            onToggle={() => toggle(row.id)}
            onSelect={() => {
              setActive(row.id);
              onSelect(row.id);
            }}
          />
        ))}
      </div>
    </div>
  );
}

/** Row id -> whether it is a hit of the search or holds one; null without a search. */
function marked(graph: ModelGraph, query: string): ReadonlyMap<string, "hit" | "holds"> | null {
  const found = find(graph, query);
  if (found === null) return null;
  const marks = new Map<string, "hit" | "holds">();
  for (const id of found.ids) {
    marks.set(id, "hit");
    for (const holder of around(graph, id)) if (!marks.has(holder)) marks.set(holder, "holds");
  }
  return marks;
}

/** Calls `show` when another node is selected, also the first time. */
function useReveal(graph: ModelGraph, selected: string | null, show: (id: string) => void): void {
  const last = useRef<{ graph: ModelGraph; selected: string | null } | null>(null);
  useLayoutEffect(() => {
    const known = last.current;
    last.current = { graph, selected };
    if (selected !== null && (known?.graph !== graph || known.selected !== selected)) show(selected);
  });
}

/** Scrolls as little as brings the active row into view. */
function useScroll(ref: { current: HTMLDivElement | null }, at: number, height: number): void {
  useEffect(() => {
    const scroller = ref.current;
    if (scroller === null || at < 0 || height === 0) return;
    const [above, below] = [at * ROW, (at + 1) * ROW - height];
    if (scroller.scrollTop > above) scroller.scrollTop = above;
    else if (scroller.scrollTop < below) scroller.scrollTop = below;
  }, [ref, at, height]);
}

interface Keys {
  readonly graph: ModelGraph;
  readonly rows: readonly Row[];
  readonly at: number;
  readonly open: ReadonlySet<string>;
  readonly toggle: (id: string) => void;
  readonly onSelect: (id: string) => void;
  readonly go: (row: Row) => void;
}

/** The keys of a tree as WAI-ARIA describes them: arrows walk, Right and Left open and close, Enter selects. */
function useKeys({ graph, rows, at, open, toggle, onSelect, go }: Keys): (event: KeyboardEvent) => void {
  const typed = useRef({ text: "", when: 0 });
  const goTo = (index: number) => {
    const row = rows[Math.min(rows.length - 1, Math.max(0, index))];
    if (row) go(row);
  };
  const type = (letter: string) => {
    const now = performance.now();
    const fresh = now - typed.current.when > PAUSE;
    typed.current = { text: (fresh ? "" : typed.current.text) + letter, when: now };
    const found = startingWith(graph, rows, typed.current.text, fresh ? at + 1 : Math.max(0, at));
    if (found >= 0) goTo(found);
  };
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rows[at];
    const isOpen = row !== undefined && row.inside > 0 && open.has(row.id);
    if (event.key === "ArrowDown") goTo(at + 1);
    else if (event.key === "ArrowUp") goTo(at - 1);
    else if (event.key === "Home") goTo(0);
    else if (event.key === "End") goTo(rows.length - 1);
    else if (event.key === "Enter" || event.key === " ") row && onSelect(row.id);
    else if (event.key === "ArrowRight") {
      if (isOpen) goTo(at + 1);
      else if (row && row.inside > 0) toggle(row.id);
    } else if (event.key === "ArrowLeft") {
      if (row && isOpen) toggle(row.id);
      else if (row?.parent) goTo(rows.findIndex(({ id }) => id === row.parent));
    } else if (event.key.length === 1 && !"/?".includes(event.key)) type(event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
}
