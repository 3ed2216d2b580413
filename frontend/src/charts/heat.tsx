import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback, useId, useMemo, useRef, useState } from "preact/hooks";
import type { ColourScale } from "../colour";
import type { Flag } from "../findings";
import { formatNumber, formatStep } from "../format";
import { nearestIndex } from "../series";
import { FlagGlyph, FlagMark } from "../views/flag";
import { useBrush } from "./brush";
import { Canvas, type Inks } from "./canvas";
import { type Cell, drawCells, pixel } from "./cells";
import { type Column, type Spacing, stepColumns, stepScale, stepTicks } from "./columns";
import { MIN_ROW, rowHeight, rowLabels } from "./heat_rows";

export interface HeatProps {
  readonly rows: readonly string[];
  readonly steps: readonly number[];
  readonly span: readonly [number, number];
  /** The cell at step index and row index; must keep its identity while the data is the same. */
  readonly cell: (step: number, row: number) => Cell;
  /** Its number alone, for those who read all of them. */
  readonly value?: (step: number, row: number) => number;
  /** Indices of the steps at which a row was recorded, one list for rows that share them; all of them by default. */
  readonly recorded?: (row: number) => readonly number[];
  readonly scale: ColourScale;
  /** A number in words. */
  readonly format?: (value: number) => string;
  /** What is measured, for the tooltip: `gradients · norm`. */
  readonly measure: string;
  readonly step: number;
  /** A second step of the same run, which is compared with. */
  readonly compareStep?: number | null;
  readonly selected: string | null;
  /** Rows that a search found, to be marked; null without a search. */
  readonly hits?: ReadonlySet<string> | null;
  /** Glyphs of rows in which something was found. */
  readonly flags?: ReadonlyMap<string, Flag>;
  /** Where and when it was found. */
  readonly places?: readonly Place[];
  readonly spacing?: Spacing;
  readonly width: number;
  /** Height to fill; many rows make the picture higher than that, and it scrolls. */
  readonly height: number;
  readonly onSelect: (row: string, step: number) => void;
  /** A row under the pointer in another view. */
  readonly pointed?: ReadonlySignal<string | null>;
  /** The row and step under the pointer; nulls when it leaves. */
  readonly onPoint?: (row: string | null, step: number | null) => void;
  /** The steps across which the pointer was drawn. */
  readonly onBrush?: (first: number, last: number) => void;
}

/** A finding in the picture. */
export interface Place {
  readonly row: string;
  readonly step: number;
  readonly flag: Flag;
}

const AXIS = 18;
const TIP = 190; // px that a tooltip takes at most where names are short
const INSET = 8;
const FLAG = 10; // px

interface Hover {
  readonly row: number;
  readonly step: number;
  readonly x: number;
  readonly y: number;
}

/** Layers × steps: one row per layer in the order of execution, one column per saved step. */
export function Heat(props: HeatProps): JSX.Element {
  const { rows, steps, span, cell, scale, measure, step, selected, width, height, onSelect } = props;
  const { hits = null, flags = NO_FLAGS, places = [], spacing = "linear", format = formatNumber, recorded } = props;
  const { compareStep = null, pointed, onPoint, onBrush } = props;
  const value = useMemo(
    () => props.value ?? ((at: number, index: number) => cell(at, index).value),
    [props.value, cell],
  );
  const id = useId();
  const [hover, setHover] = useState<Hover | null>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const plotted = useRef<HTMLDivElement>(null);
  const labels = Math.round(Math.min(150, width * 0.36));
  const plot = Math.max(40, width - labels - 10);
  const row = rowHeight(rows.length, height - AXIS);
  const [first, last] = span;
  const x = useMemo(() => stepScale([first, last], plot, INSET, spacing), [first, last, plot, spacing]);
  const recordOf = useMemo(() => recordings(steps, recorded), [steps, recorded]);
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) => {
      const columns = new Map<Recording, readonly Column[]>();
      const columnsOf = (index: number): readonly Column[] => {
        const recording = recordOf(index);
        const known = columns.get(recording) ?? stepColumns(recording.steps, x);
        columns.set(recording, known);
        return known;
      };
      drawCells(context, inks, {
        columns: columnsOf,
        rows: rows.length,
        width: plot,
        y: (index) => index * row,
        value: (index, at) => value(recordOf(at).indices[index] as number, at),
        mark: (index, at) => cell(recordOf(at).indices[index] as number, at).mark,
        colour: (value) => pixel(scale.rgb(value)),
        dashes: true,
      });
    },
    [recordOf, x, plot, rows, row, cell, value, scale],
  );
  const at = selected === null ? -1 : rows.indexOf(selected);
  // One element that is kept while the step changes: there can be thousands of names, and each would be looked at.
  const names = useMemo(
    () => (
      <div class="heat-labels" style={{ width: `${labels}px`, height: `${rows.length * row}px` }}>
        {rowLabels({ id, rows, row, at, width: labels, hits, flags })}
      </div>
    ),
    [id, rows, row, at, labels, hits, flags],
  );
  const indexAt = (index: number, wanted: number): number => {
    const { steps: own, indices } = recordOf(index);
    return indices[nearestIndex(own, wanted)] ?? -1;
  };

  const cellAt = (event: PointerEvent | MouseEvent): Hover | null => {
    const box = plotted.current?.getBoundingClientRect();
    if (box === undefined || event.clientX < box.left) return null;
    const index = Math.floor((event.clientY - box.top) / row);
    if (index < 0 || index >= rows.length) return null;
    const near = indexAt(index, x.step(event.clientX - box.left));
    return near < 0 ? null : { row: index, step: near, x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const choose = (index: number, stepIndex: number) => {
    const name = rows[Math.min(rows.length - 1, Math.max(0, index))];
    const to = steps[Math.min(steps.length - 1, Math.max(0, stepIndex))];
    if (name === undefined || to === undefined) return;
    onSelect(name, to);
    scroller.current?.querySelector(`[data-row="${index}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const point = (found: Hover | null) => {
    setHover(found);
    onPoint?.(found === null ? null : (rows[found.row] ?? null), found === null ? null : (steps[found.step] ?? null));
  };
  const brush = useBrush(plotted, (from, to) => {
    const ends = [from, to].map((at) => Math.round(Math.min(last, Math.max(first, x.step(at))))) as [number, number];
    if (ends[1] > ends[0]) onBrush?.(...ends);
  });
  const onClick = (event: MouseEvent) => {
    if (brush.brushed()) return;
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
        aria-activedescendant={at >= 0 ? `${id}-row-${at}` : undefined}
        tabIndex={0}
        onKeyDown={onKeyDown}
        onClick={onClick}
        onPointerDown={onBrush && brush.onPointerDown}
        onPointerMove={(event) => {
          brush.onPointerMove(event);
          point(cellAt(event));
        }}
        onPointerUp={brush.onPointerUp}
        onPointerCancel={brush.onPointerCancel}
        onPointerLeave={() => point(null)}
      >
        {names}
        <div class="heat-plot" ref={plotted}>
          <Canvas width={plot} height={rows.length * row} draw={draw} />
          <span id={`${id}-value`} class="heat-value" hidden>
            {at >= 0 && spoken(cell(indexAt(at, step), at), format)}
          </span>
          <svg class="heat-cross" width={plot} height={rows.length * row} aria-hidden="true">
            {places
              .filter(({ step: when }) => when >= first && when <= last)
              .map((place) => (
                <PlaceMark key={JSON.stringify([place.row, place.step])} place={place} rows={rows} row={row} x={x.x} />
              ))}
            {pointed && hover === null && <PointedRow pointed={pointed} rows={rows} row={row} width={plot - 1} />}
            {brush.range !== null && (
              <rect
                class="brush"
                x={brush.range[0]}
                y={0}
                width={brush.range[1] - brush.range[0]}
                height={rows.length * row}
              />
            )}
            {at >= 0 && <rect x={0.5} y={at * row + 0.5} width={plot - 1} height={Math.max(1, row - 1)} />}
            {compareStep !== null && compareStep >= first && compareStep <= last && (
              <line class="of-b" x1={x.x(compareStep)} x2={x.x(compareStep)} y1={0} y2={rows.length * row} />
            )}
            {step >= first && step <= last && <line x1={x.x(step)} x2={x.x(step)} y1={0} y2={rows.length * row} />}
          </svg>
          {hover !== null && (
            <Tip hover={hover} flip={hover.x > plot - TIP} plot={plot}>
              <b>{rows[hover.row]}</b>
              <span class="number">
                step {formatStep(steps[hover.step] ?? 0)} · {spoken(cell(hover.step, hover.row), format)}
              </span>
              {flags.has(rows[hover.row] ?? "") && (
                <span class="tip-flag">
                  <FlagGlyph flag={flags.get(rows[hover.row] ?? "") as Flag} />{" "}
                  {flags.get(rows[hover.row] ?? "")?.words}
                </span>
              )}
            </Tip>
          )}
        </div>
      </div>
      <svg class="heat-axis" width={plot} height={AXIS} style={{ marginLeft: `${labels}px` }} aria-hidden="true">
        {stepTicks(x, plot / 70).map((tick) => (
          <text key={tick} x={x.x(tick)} y={13} text-anchor={anchor(x.x(tick), plot)}>
            {formatStep(tick)}
          </text>
        ))}
      </svg>
    </div>
  );
}

const NO_FLAGS: ReadonlyMap<string, Flag> = new Map();

/** The steps of rows that were recorded together. */
interface Recording {
  readonly steps: readonly number[];
  /** Where they stand among all steps. */
  readonly indices: readonly number[];
}

function recordings(steps: readonly number[], recorded: HeatProps["recorded"]): (row: number) => Recording {
  const all = { steps, indices: steps.map((_, index) => index) };
  const known = new Map<readonly number[], Recording>();
  return (row) => {
    const indices = recorded?.(row);
    if (indices === undefined || indices.length === steps.length) return all;
    const recording = known.get(indices) ?? { steps: indices.map((index) => steps[index] as number), indices };
    known.set(indices, recording);
    return recording;
  };
}

interface PointedRowProps {
  readonly pointed: ReadonlySignal<string | null>;
  readonly rows: readonly string[];
  readonly row: number;
  readonly width: number;
}

/** Around the row under the pointer in another view; a part of its own, so that nothing else is drawn for it. */
function PointedRow({ pointed, rows, row, width }: PointedRowProps): JSX.Element | null {
  const at = pointed.value === null ? -1 : rows.indexOf(pointed.value);
  return at < 0 ? null : <rect class="pointed" x={0.5} y={at * row} width={width} height={row} />;
}

interface PlaceMarkProps {
  readonly place: Place;
  readonly rows: readonly string[];
  readonly row: number;
  readonly x: (step: number) => number;
}

/** A glyph where and when something was found. */
function PlaceMark({ place, rows, row, x }: PlaceMarkProps): JSX.Element | null {
  const index = rows.indexOf(place.row);
  if (index < 0) return null;
  return (
    <FlagMark
      flag={place.flag}
      x={x(place.step) - FLAG / 2}
      y={Math.max(0.5, (index + 0.5) * row - FLAG / 2)}
      size={FLAG}
    />
  );
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

/** A cell in words. */
export function spoken({ value, mark }: Cell, format: (value: number) => string = formatNumber): string {
  if (mark === "none") return "not measured";
  if (mark === "frozen") return "frozen";
  return mark === "nan" ? `${formatNumber(value)} (not finite)` : format(value);
}
