/**
 * Draws rows × columns of coloured cells: what the layers × steps picture and the histograms over time share. Cells
 * are written as pixels of the screen: a rectangle for each would take a hundred times as long, and between cells that
 * end inside a pixel the background would shine through.
 */

import type { Rgb } from "../colour";
import type { Mark } from "../series";
import { type Inks, screenDensity } from "./canvas";
import type { Column } from "./columns";

export interface Cell {
  readonly value: number;
  readonly mark: Mark;
}

/**
 * The cell that stands for a column of several steps: not a number if any is, else the one of greatest size, so that
 * a spike or a NaN is never thinned away. What a number means is asked only where it could mean something else.
 */
export function worst(column: Column, value: (step: number) => number, mark: (step: number) => Mark): Cell {
  let found = -1;
  let largest = -1;
  for (let step = column.first; step <= column.last; step++) {
    const size = Math.abs(value(step));
    if (size > largest && size < Number.POSITIVE_INFINITY) {
      largest = size;
      found = step;
    } else if (!(size < Number.POSITIVE_INFINITY) && mark(step) === "nan") {
      return { value: value(step), mark: "nan" };
    }
  }
  if (found < 0) return { value: Number.NaN, mark: "none" };
  return { value: value(found), mark: largest === 0 ? mark(found) : "" };
}

/** A colour as the pixels of an image have it in memory: alpha, blue, green, red. */
export type Pixel = number;

export function pixel([red, green, blue]: Rgb, opacity = 255): Pixel {
  return ((opacity << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** `#rrggbb` as a pixel, or `#rgb`, as the bundle has it where it is shorter. */
export function inkPixel(short: string, opacity = 255): Pixel {
  const ink = short.length === 4 ? short.replace(/[\da-f]/gi, "$&$&") : short;
  const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(ink.slice(at, at + 2), 16)) as [
    number,
    number,
    number,
  ];
  return pixel([red, green, blue], opacity);
}

export interface Cells {
  /** Columns of a row; the same list for rows that were recorded together. */
  readonly columns: (row: number) => readonly Column[];
  readonly rows: number;
  /** Top of each row; one entry more than rows. */
  readonly y: (row: number) => number;
  readonly value: (step: number, row: number) => number;
  readonly mark: (step: number, row: number) => Mark;
  readonly colour: (value: number) => Pixel;
  /** Mark what was not measured by a dash where there is room: on a signed scale, 0 is as pale as nothing. */
  readonly dashes?: boolean;
  readonly width: number;
}

/** Fill the cells: what was not measured stays blank, what is not finite is hatched, what is frozen is striped. */
export function drawCells(context: CanvasRenderingContext2D, inks: Inks, cells: Cells): void {
  const density = screenDensity();
  const snapped = (length: number) => Math.round(length * density);
  const [width, height] = [snapped(cells.width), snapped(cells.y(cells.rows))];
  if (width < 1 || height < 1) return;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const textures = texturesOf(inks, density);
  for (let row = 0; row < cells.rows; row++) {
    const top = snapped(cells.y(row));
    const bottom = Math.min(height, snapped(cells.y(row + 1)));
    const value = (step: number) => cells.value(step, row);
    const mark = (step: number) => cells.mark(step, row);
    const others: [Mark, number, number][] = [];
    for (const column of cells.columns(row)) {
      const cell = worst(column, value, mark);
      const [left, right] = [Math.max(0, snapped(column.x0)), Math.min(width, snapped(column.x1))];
      if (cell.mark === "") pixels.fill(cells.colour(cell.value), top * width + left, top * width + right);
      else others.push([cell.mark, left, right]);
    }
    for (let y = top + 1; y < bottom; y++) pixels.copyWithin(y * width, top * width, (top + 1) * width);
    for (const [mark, left, right] of others) {
      if (mark === "nan" || mark === "frozen") {
        const texture = textures[mark];
        for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) pixels[y * width + x] = texture(x, y);
      } else if (cells.dashes) {
        dash(pixels, width, { left, right, top, bottom }, inkPixel(inks.none), density);
      }
    }
  }
  context.putImageData(image, 0, 0);
}

type Texture = (x: number, y: number) => Pixel;

/** Diagonal lines in the ink of what is wrong; upright ones in grey. Never a colour of the scale. */
function texturesOf(inks: Inks, density: number): Readonly<Record<"nan" | "frozen", Texture>> {
  const [surface, bad, grey] = [inkPixel(inks.surface), inkPixel(inks.nan), inkPixel(inks.none)];
  const [period, line] = [6 * density, 2 * density];
  return {
    nan: (x, y) => ((x + y) % period < line ? bad : surface),
    frozen: (x) => (x % (4 * density) < 2 * density ? grey : surface),
  };
}

const DASH_WIDTH = 4;
const DASH_ROOM = 7;

function dash(
  pixels: Uint32Array,
  width: number,
  { left, right, top, bottom }: { left: number; right: number; top: number; bottom: number },
  ink: Pixel,
  density: number,
): void {
  if (right - left < DASH_ROOM * density || bottom - top < DASH_ROOM * density) return;
  const half = (DASH_WIDTH / 2) * density;
  const [x, y] = [(left + right) / 2, Math.round((top + bottom) / 2)];
  for (let line = y; line < y + density; line++) {
    pixels.fill(ink, line * width + Math.round(x - half), line * width + Math.round(x + half));
  }
}
