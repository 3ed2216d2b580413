import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { share } from "../attribution";
import type { ColourScale, Rgb } from "../colour";
import type { Tensor } from "../safetensors";
import { Canvas, hatch, type Inks } from "./canvas";

/** A picture of `height` × `width` pixels, colours 0 to 1: grey or red, green, blue. */
export interface Picture {
  readonly height: number;
  readonly width: number;
  readonly colours: 1 | 3;
  /** `values[(colour * height + row) * width + column]`. */
  readonly values: ArrayLike<number>;
}

/** One sample of a map: `[height, width]` at the layer's own resolution, or `[features]`. */
export interface SampleMap {
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

/** Sample `index` of a batch; null if the batch has no such sample. */
export function sampleOf(batch: Tensor, index: number): SampleMap | null {
  const [count = 0, ...shape] = batch.shape;
  if (index < 0 || index >= count) return null;
  const size = shape.reduce((product, length) => product * length, 1);
  return { shape, values: batch.data.subarray(index * size, (index + 1) * size) };
}

/**
 * Sample `index` of inputs `[batch, colours, height, width]` (1 or 3 colours) or `[batch, height, width]` as a
 * picture, stretched from its minimum to its maximum; null if the inputs are no images.
 */
export function pictureOf(inputs: Tensor, index: number): Picture | null {
  const sample = sampleOf(inputs, index);
  if (sample === null) return null;
  const shape = sample.shape.length === 2 ? [1, ...sample.shape] : sample.shape;
  const [colours, height, width] = shape;
  if (shape.length !== 3 || (colours !== 1 && colours !== 3) || !height || !width) return null;
  const finite = Array.from(sample.values).filter(Number.isFinite);
  const low = finite.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = finite.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const range = high > low ? high - low : 1;
  const values = Float32Array.from(sample.values, (value) => (Number.isFinite(value) ? (value - low) / range : 0));
  return { colours, height, width, values };
}

/** Brightness of one pixel, 0 to 1 (Rec. 709 weights). */
export function grey({ colours, height, width, values }: Picture, pixel: number): number {
  const area = height * width;
  const at = (colour: number) => values[colour * area + pixel] ?? 0;
  return colours === 1 ? at(0) : 0.2126 * at(0) + 0.7152 * at(1) + 0.0722 * at(2);
}

/** How opaque the strongest of a map is, unless it is chosen. */
export const MAX_ALPHA = 0.85;

/** How opaque a value is laid over a photograph: in proportion to its size, so that nothing hides the photograph. */
export function alpha(scale: ColourScale, value: number, most = MAX_ALPHA): number {
  return share(scale, value) * most;
}

/** How a map lies over its photograph. */
export interface Overlay {
  /** A line around what is strongest, and no colours. */
  readonly contour: boolean;
  /** How opaque the strongest is, 0 to 1. */
  readonly opacity: number;
}

const COLOURS: Overlay = { contour: false, opacity: MAX_ALPHA };

export interface MapProps {
  /** The map to draw, or null for the photograph alone. */
  readonly map: SampleMap | null;
  readonly scale: ColourScale | null;
  /** The photograph beneath; grey where a map lies over it. */
  readonly picture: Picture | null;
  readonly size: number;
  readonly label: string;
  readonly overlay?: Overlay;
}

/** An attribution map over its input, both with sharp pixels: the layer's grid is shown as coarse as it is. */
export function AttributionMap({ map, scale, picture, size, label, overlay = COLOURS }: MapProps): JSX.Element {
  const grid = map !== null && map.shape.length === 2 ? map : null;
  const [height, width] = proportions(picture, grid, size);
  const { contour, opacity } = overlay;
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) => {
      context.imageSmoothingEnabled = false;
      if (picture !== null) paintPicture(context, picture, width, height, grid !== null && !contour);
      if (grid === null || scale === null) return;
      if (contour && picture !== null) paintContour(context, grid, width, height);
      else paintMap(context, inks, grid, scale, width, height, picture === null ? null : opacity);
    },
    [picture, grid, scale, width, height, contour, opacity],
  );
  return <Canvas width={width} height={height} draw={draw} label={label} />;
}

function proportions(picture: Picture | null, grid: SampleMap | null, size: number): [number, number] {
  const [rows = 1, columns = 1] = picture ? [picture.height, picture.width] : (grid?.shape ?? []);
  const longest = Math.max(rows, columns, 1);
  return [Math.max(4, Math.round((size * rows) / longest)), Math.max(4, Math.round((size * columns) / longest))];
}

function paintPicture(
  context: CanvasRenderingContext2D,
  picture: Picture,
  width: number,
  height: number,
  asGrey: boolean,
): void {
  const area = picture.height * picture.width;
  paintPixels(context, picture.width, picture.height, width, height, (pixel) => {
    const at = (colour: number) =>
      255 * (asGrey || picture.colours === 1 ? grey(picture, pixel) : (picture.values[colour * area + pixel] ?? 0));
    if (asGrey) return [[veiled(at(0)), veiled(at(0)), veiled(at(0))], 1];
    return [[at(0), at(1), at(2)], 1];
  });
}

/** A photograph's grey with less contrast, so that colours laid over it read on its black as on its white. */
function veiled(brightness: number): number {
  return 40 + 0.62 * brightness;
}

/** The share of a map's cells that the contour is around. */
const STRONGEST = 0.1;

/**
 * The borders between the strongest tenth of the cells and the others: lines `[x0, y0, x1, y1]` in cells. They follow the
 * cells, since a smooth line would claim a resolution that the map does not have.
 */
export function contourOf({ shape, values }: SampleMap): [number, number, number, number][] {
  const [rows = 0, columns = 0] = shape;
  const sizes = Array.from(values, (value) => (Number.isFinite(value) ? Math.abs(value) : 0));
  const ranked = [...sizes].sort((a, b) => b - a);
  const limit = ranked[Math.max(0, Math.ceil(STRONGEST * sizes.length) - 1)] ?? 0;
  const strong = (row: number, column: number) =>
    row >= 0 && column >= 0 && row < rows && column < columns && (sizes[row * columns + column] as number) >= limit;
  const lines: [number, number, number, number][] = [];
  if (limit === 0) return lines;
  for (let row = 0; row <= rows; row++) {
    for (let column = 0; column <= columns; column++) {
      const here = strong(row, column);
      if (here !== strong(row - 1, column)) lines.push([column, row, column + 1, row]);
      if (here !== strong(row, column - 1)) lines.push([column, row, column, row + 1]);
    }
  }
  return lines;
}

/** The contour twice, dark below light, so that it stands out from any photograph. */
function paintContour(context: CanvasRenderingContext2D, map: SampleMap, width: number, height: number): void {
  const [rows = 1, columns = 1] = map.shape;
  const [w, h] = [width / columns, height / rows];
  const inside = (at: number, most: number) => Math.min(most - 1, Math.max(1, at));
  for (const [ink, thickness] of [
    ["#000000", 3.5],
    ["#ffffff", 1.5],
  ] as const) {
    context.strokeStyle = ink;
    context.lineWidth = thickness;
    context.lineCap = "square";
    context.beginPath();
    for (const [x0, y0, x1, y1] of contourOf(map)) {
      context.moveTo(inside(x0 * w, width), inside(y0 * h, height));
      context.lineTo(inside(x1 * w, width), inside(y1 * h, height));
    }
    context.stroke();
  }
}

/** Draw a map over `width` x `height`, what is not finite hatched; over a photograph only as opaque as `over`. */
export function paintMap(
  context: CanvasRenderingContext2D,
  inks: Inks,
  { shape, values }: SampleMap,
  scale: ColourScale,
  width: number,
  height: number,
  over: number | null,
): void {
  const [rows = 1, columns = 1] = shape;
  paintPixels(context, columns, rows, width, height, (pixel) => {
    const value = values[pixel] ?? Number.NaN;
    if (!Number.isFinite(value)) return [[0, 0, 0], 0];
    return [scale.rgb(value), over === null ? 1 : alpha(scale, value, over)];
  });
  const broken = Array.from(values, (value, pixel) => (Number.isFinite(value) ? -1 : pixel)).filter((p) => p >= 0);
  if (broken.length === 0) return;
  context.fillStyle = hatch(context, inks);
  const [w, h] = [width / columns, height / rows];
  for (const pixel of broken) context.fillRect((pixel % columns) * w, Math.floor(pixel / columns) * h, w, h);
}

function paintPixels(
  context: CanvasRenderingContext2D,
  columns: number,
  rows: number,
  width: number,
  height: number,
  colour: (pixel: number) => [Rgb, number],
): void {
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const pen = canvas.getContext("2d");
  if (pen === null) return;
  const image = pen.createImageData(columns, rows);
  for (let pixel = 0; pixel < columns * rows; pixel++) {
    const [[red, green, blue], opacity] = colour(pixel);
    image.data.set([red, green, blue, Math.round(255 * opacity)], pixel * 4);
  }
  pen.putImageData(image, 0, 0);
  context.drawImage(canvas, 0, 0, width, height);
}
