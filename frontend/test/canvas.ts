/** A canvas that remembers what is drawn on it, for a document that has none, and elements that have a size. */

import { vi } from "vitest";

/** A filled rectangle; `fill` is the colour, or "texture" where the inks of the theme are drawn (all grey here). */
export interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly fill: string;
}

/** Pixels that were drawn from a canvas of that size onto that many pixels. */
export interface Image {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8ClampedArray;
  readonly onto: readonly [width: number, height: number];
}

export interface Drawn {
  /** Of pixels that were put on a canvas: the rectangles of one colour that they make up, from the top. */
  readonly rects: Rect[];
  readonly images: Image[];
}

/** From now on every canvas of the document draws into what is returned (tiles of patterns do not). */
export function recordCanvases(): Drawn {
  const drawn: Drawn = { rects: [], images: [] };
  const pixels = new WeakMap<object, ImageData>();
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockImplementation(function (this: HTMLCanvasElement) {
    const context = {
      canvas: this,
      fillStyle: "" as string | object,
      setTransform: () => undefined,
      clearRect: () => undefined,
      beginPath: () => undefined,
      moveTo: () => undefined,
      lineTo: () => undefined,
      stroke: () => undefined,
      createPattern: () => ({}),
      measureText: (text: string) => ({ width: 6 * text.length }),
      fillRect: (x: number, y: number, width: number, height: number) => {
        const fill = typeof context.fillStyle === "string" ? context.fillStyle : "pattern";
        if (this.isConnected) drawn.rects.push({ x, y, width, height, fill });
      },
      createImageData: (width: number, height: number) => ({
        width,
        height,
        data: new Uint8ClampedArray(width * height * 4),
      }),
      putImageData: (image: ImageData) => {
        if (this.isConnected) drawn.rects.push(...rectsOf(image));
        pixels.set(this, image);
      },
      drawImage: (source: HTMLCanvasElement, _x: number, _y: number, width: number, height: number) => {
        const image = pixels.get(source) as ImageData;
        drawn.images.push({ width: image.width, height: image.height, data: image.data, onto: [width, height] });
      },
    };
    return context as never;
  } as never);
  return drawn;
}

const INK = "rgb(136, 136, 136)"; // what canvas.tsx takes where the theme has no colours

function rectsOf({ width, height, data }: ImageData): Rect[] {
  const words = new Uint32Array(data.buffer);
  const done: Rect[] = [];
  let open: Rect[] = [];
  for (let y = 0; y < height; y++) {
    const runs: Rect[] = [];
    for (let x = 0; x < width; ) {
      const word = words[y * width + x] as number;
      const start = x;
      while (x < width && words[y * width + x] === word) x++;
      if (word === 0) continue; // nothing was drawn there
      const fill = colourOf(word);
      const above = open.find((one) => one.x === start && one.width === x - start && one.fill === fill);
      runs.push(above ? { ...above, height: above.height + 1 } : { x: start, y, width: x - start, height: 1, fill });
    }
    done.push(...open.filter((one) => !runs.some((run) => run.x === one.x && run.y === one.y)));
    open = runs;
  }
  return [...done, ...open].sort((a, b) => a.y - b.y || a.x - b.x);
}

function colourOf(word: number): string {
  const [red, green, blue, alpha] = [word & 255, (word >> 8) & 255, (word >> 16) & 255, word >>> 24];
  const colour = `rgb(${red}, ${green}, ${blue})`;
  if (colour === INK && alpha === 255) return "texture";
  return alpha === 255 ? colour : `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}

/** From now on every observed element has that size. */
export function layOut(width: number, height: number): void {
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(private readonly listener: (entries: object[]) => void) {}
      observe(): void {
        this.listener([{ contentRect: { width, height } }]);
      }
      disconnect(): void {}
    },
  );
}
