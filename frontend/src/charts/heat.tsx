import type { JSX } from "preact";
import { useCallback, useMemo, useRef, useState } from "preact/hooks";
import type { ColourScale } from "../colour";
import { formatNumber } from "../format";
import { nearestIndex } from "../series";
import { Canvas, type Inks, screenDensity } from "./canvas";
import { type Cell, drawCells } from "./cells";
import { stepColumns, stepScale, stepTicks } from "./columns";

export interface HeatProps {
  readonly rows: readonly string[];
  readonly steps: readonly number[];
  readonly span: readonly [number, number];
  /** The cell at step index and row index; must keep its identity while the data is the same. */
  readonly cell: (step: number, row: number) => Cell;
  readonly scale: ColourScale;
  /** What is measured, for the tooltip: `gradients · norm`. */
  readonly measure: string;
  readonly step: number;
  readonly selected: string | null;
  /** Rows that a search found, to be marked; null without a search. */
  readonly hits?: ReadonlySet<string> | null;
  readonly width: number;
  /** Height to fill; many rows make the picture higher than that, and it scrolls. */
  readonly height: number;
  readonly onSelect: (row: string, step: number) => void;
}

const AXIS = 18;
const MIN_ROW = 4;
const MAX_ROW = 30;
const MAX_CANVAS = 16_000; // pixels of the screen; graphics cards hold 16,384 and Chromium draws nothing from 65,536 on
const LABEL_ROW = 12;
const LETTER = 6.2; // px that a letter takes on average
const TIP = 190; // px that a tooltip takes at most where names are short

/** Height of each row: fills what is there, between legible and generous, on a canvas that browsers still draw. */
export function rowHeight(rows: number, height: number, density = screenDensity()): number {
  const count = Math.max(1, rows);
  const wanted = Math.min(MAX_ROW, Math.max(MIN_ROW, Math.floor(height / count)));
  return Math.min(wanted, MAX_CANVAS / density / count);
}

/** Every how many rows a label fits. */
export function labelEvery(row: number): number {
  return Math.max(1, Math.ceil(LABEL_ROW / row));
}

interface Hover {
  readonly row: number;
  readonly step: number;
  readonly x: number;
  readonly y: number;
}

/** Layers × steps: one row per layer in the order of execution, one column per saved step. */
export function Heat(props: HeatProps): JSX.Element {
  const { rows, steps, span, cell, scale, measure, step, selected, hits = null, width, height, onSelect } = props;
  const [hover, setHover] = useState<Hover | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const plotted = useRef<HTMLDivElement>(null);
  const labels = Math.round(Math.min(150, width * 0.36));
  const plot = Math.max(40, width - labels - 10);
  const row = rowHeight(rows.length, height - AXIS);
  const x = useMemo(() => stepScale(span, plot, 8), [span, plot]);
  const columns = useMemo(() => stepColumns(steps, x), [steps, x]);
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) =>
      drawCells(context, inks, {
        columns,
        rows: rows.length,
        y: (index) => index * row,
        cell,
        colour: (value) => scale.css(value),
        dashes: true,
      }),
    [columns, rows, row, cell, scale],
  );
  const at = selected === null ? -1 : rows.indexOf(selected);
  // Kept while the step changes: there can be thousands of them.
  const options = useMemo(() => rowOptions(rows, row, at, labels, hits), [rows, row, at, labels, hits]);

  const cellAt = (event: PointerEvent | MouseEvent): Hover | null => {
    const box = plotted.current?.getBoundingClientRect();
    if (box === undefined || event.clientX < box.left) return null;
    const index = Math.floor((event.clientY - box.top) / row);
    const near = nearestIndex(steps, x.step(event.clientX - box.left));
    return index < 0 || index >= rows.length || near < 0
      ? null
      : { row: index, step: near, x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const choose = (index: number, stepIndex: number) => {
    const name = rows[Math.min(rows.length - 1, Math.max(0, index))];
    const to = steps[Math.min(steps.length - 1, Math.max(0, stepIndex))];
    if (name === undefined || to === undefined) return;
    onSelect(name, to);
    scroller.current?.querySelector(`[data-row="${index}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const onClick = (event: MouseEvent) => {
    const label = event.target instanceof Element ? event.target.closest("[data-row]") : null;
    const found = cellAt(event);
    if (label !== null) choose(Number(label.getAttribute("data-row")), nearestIndex(steps, step));
    else if (found !== null) choose(found.row, found.step);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const here = nearestIndex(steps, step);
    const moves: Record<string, [number, number]> = {
      ArrowUp: [Math.max(0, at - 1), here],
      ArrowDown: [at + 1, here],
      ArrowLeft: [Math.max(0, at), here - 1],
      ArrowRight: [Math.max(0, at), here + 1],
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    choose(...move);
  };

  return (
    <div class="heat" style={{ width: `${width}px` }}>
      <div
        class="heat-scroller"
        style={{ maxHeight: `${Math.max(MIN_ROW, height - AXIS)}px` }}
        ref={scroller}
        role="listbox"
        aria-label={`Layers by ${measure}; arrow keys change layer and step`}
        aria-activedescendant={at >= 0 ? `heat-row-${at}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onClick={onClick}
        onPointerMove={(event) => setHover(cellAt(event))}
        onPointerLeave={() => setHover(null)}
      >
        <div class="heat-labels" style={{ width: `${labels}px`, height: `${rows.length * row}px` }}>
          {options}
        </div>
        <div class="heat-plot" ref={plotted}>
          <Canvas width={plot} height={rows.length * row} draw={draw} />
          <span id="heat-value" hidden>
            {at >= 0 && spoken(cell(nearestIndex(steps, step), at))}
          </span>
          <svg class="heat-cross" width={plot} height={rows.length * row} aria-hidden="true">
            {at >= 0 && <rect x={0.5} y={at * row + 0.5} width={plot - 1} height={Math.max(1, row - 1)} />}
            <line x1={x.x(step)} x2={x.x(step)} y1={0} y2={rows.length * row} />
          </svg>
          {hover !== null && (
            <Tip hover={hover} flip={hover.x > plot - TIP} plot={plot}>
              <b>{rows[hover.row]}</b>
              <span class="number">
                step {steps[hover.step]} · {spoken(cell(hover.step, hover.row))}
              </span>
            </Tip>
          )}
        </div>
      </div>
      <svg class="heat-axis" width={plot} height={AXIS} style={{ marginLeft: `${labels}px` }} aria-hidden="true">
        {stepTicks(x, plot / 70).map((tick) => (
          <text key={tick} x={x.x(tick)} y={13} text-anchor={anchor(x.x(tick), plot)}>
            {tick}
          </text>
        ))}
      </svg>
    </div>
  );
}

/** One option per row, of which as many are written out as there is room for; the selected one has its value told. */
function rowOptions(
  rows: readonly string[],
  row: number,
  at: number,
  width: number,
  hits: ReadonlySet<string> | null,
): JSX.Element[] {
  const every = labelEvery(row);
  const height = `${Math.max(row, LABEL_ROW)}px`;
  return rows.map((name, index) => (
    <div
      key={name}
      id={`heat-row-${index}`}
      data-row={index}
      role="option"
      tabIndex={-1}
      aria-selected={index === at}
      aria-label={name}
      aria-describedby={index === at ? "heat-value" : undefined}
      class={`heat-label${index === at ? " selected" : ""}${hits?.has(name) ? " hit" : ""}`}
      style={{ top: `${index * row}px`, height, lineHeight: height, "--row": `${row}px` }}
      title={name}
    >
      {index % every === 0 || index === at ? tail(name, Math.floor(width / LETTER)) : ""}
    </div>
  ));
}

interface TipProps {
  readonly hover: Hover;
  readonly flip: boolean;
  readonly plot: number;
  readonly children: preact.ComponentChildren;
}

function Tip({ hover, flip, plot, children }: TipProps): JSX.Element {
  const side = flip ? { right: `${plot - hover.x + 12}px` } : { left: `${hover.x + 12}px` };
  return (
    <div class="tip" role="status" style={{ ...side, top: `${Math.max(0, hover.y - 12)}px` }}>
      {children}
    </div>
  );
}

/** A tick's text stays inside the picture. */
export function anchor(x: number, width: number): "start" | "middle" | "end" {
  return x < 16 ? "start" : x > width - 16 ? "end" : "middle";
}

/** The end of a long dotted name says more than its beginning. */
export function tail(name: string, most: number): string {
  return name.length > most ? `…${name.slice(1 - most)}` : name;
}

/** A cell in words. */
export function spoken({ value, mark }: Cell): string {
  return mark === "none"
    ? "not measured"
    : mark === "nan"
      ? `${formatNumber(value)} (not finite)`
      : formatNumber(value);
}
