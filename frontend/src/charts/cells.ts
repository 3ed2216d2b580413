/** Draws rows × columns of coloured cells: what the layers × steps picture and the histograms over time share. */

import type { Mark } from "../series";
import { hatch, type Inks, screenDensity } from "./canvas";
import type { Column } from "./columns";

export interface Cell {
  readonly value: number;
  readonly mark: Mark;
}

/**
 * The cell that stands for a column of several steps: not a number if any is, else the one of greatest size, so that
 * a spike or a NaN is never thinned away.
 */
export function worst(column: Column, cell: (step: number) => Cell): Cell {
  let found: Cell = { value: Number.NaN, mark: "none" };
  for (let step = column.first; step <= column.last; step++) {
    const next = cell(step);
    if (next.mark === "nan") return next;
    if (next.mark === "" && (found.mark === "none" || Math.abs(next.value) > Math.abs(found.value))) found = next;
  }
  return found;
}

export interface Cells {
  readonly columns: readonly Column[];
  readonly rows: number;
  /** Top of each row; one entry more than rows. */
  readonly y: (row: number) => number;
  readonly cell: (step: number, row: number) => Cell;
  readonly colour: (value: number) => string;
  /** Mark what was not measured by a dash where there is room: on a signed scale, 0 is as pale as nothing. */
  readonly dashes?: boolean;
}

/** Fill the cells; what was not measured stays blank, what is not finite is hatched. */
export function drawCells(context: CanvasRenderingContext2D, inks: Inks, cells: Cells): void {
  const { columns, rows, y, cell, colour, dashes = false } = cells;
  let pattern: CanvasPattern | string | null = null;
  for (let row = 0; row < rows; row++) {
    const top = snapped(y(row));
    const height = snapped(y(row + 1)) - top;
    for (const column of columns) {
      const { value, mark } = worst(column, (step) => cell(step, row));
      if (mark === "none") {
        if (dashes) dash(context, inks, (column.x0 + column.x1) / 2, top + height / 2, column.x1 - column.x0, height);
        continue;
      }
      if (mark === "nan") pattern ??= hatch(context, inks);
      context.fillStyle = mark === "nan" ? (pattern as CanvasPattern | string) : colour(value);
      const left = snapped(column.x0);
      context.fillRect(left, top, snapped(column.x1) - left, height);
    }
  }
}

/** The nearest whole pixel of the screen: between cells that end inside one, the background would shine through. */
function snapped(length: number): number {
  const density = screenDensity();
  return Math.round(length * density) / density;
}

const DASH_WIDTH = 4;
const DASH_ROOM = 7;

function dash(
  context: CanvasRenderingContext2D,
  inks: Inks,
  x: number,
  y: number,
  width: number,
  height: number,
): void {
  if (width < DASH_ROOM || height < DASH_ROOM) return;
  context.fillStyle = inks.none;
  context.fillRect(Math.round(x - DASH_WIDTH / 2), Math.round(y), DASH_WIDTH, 1);
}
