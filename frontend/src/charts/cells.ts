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

const RANK: Readonly<Record<Mark, number>> = { none: 0, frozen: 1, "": 2, nan: 3 };

/**
 * The cell that stands for a column of several steps: not a number if any is, else the one of greatest size, so that
 * a spike or a NaN is never thinned away.
 */
export function worst(column: Column, cell: (step: number) => Cell): Cell {
  let found: Cell = { value: Number.NaN, mark: "none" };
  for (let step = column.first; step <= column.last; step++) {
    const next = cell(step);
    if (next.mark === "nan") return next;
    const larger = next.mark === found.mark && Math.abs(next.value) > Math.abs(found.value);
    if (larger || RANK[next.mark] > RANK[found.mark]) found = next;
  }
  return found;
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
  readonly cell: (step: number, row: number) => Cell;
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
    for (const column of cells.columns(row)) {
      const { value, mark } = worst(column, (step) => cells.cell(step, row));
      const [left, right] = [Math.max(0, snapped(column.x0)), Math.min(width, snapped(column.x1))];
      if (mark === "") {
        const colour = cells.colour(value);
        for (let y = top; y < bottom; y++) pixels.fill(colour, y * width + left, y * width + right);
      } else if (mark !== "none") {
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
