/** A canvas that remembers what is drawn on it, for a document that has none, and elements that have a size. */

import { vi } from "vitest";

/** A filled rectangle; `fill` is the colour, or "pattern" for hatching. */
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
      fillRect: (x: number, y: number, width: number, height: number) => {
        const fill = typeof context.fillStyle === "string" ? context.fillStyle : "pattern";
        if (this.isConnected) drawn.rects.push({ x, y, width, height, fill });
      },
      createImageData: (width: number, height: number) => ({
        width,
        height,
        data: new Uint8ClampedArray(width * height * 4),
      }),
      putImageData: (image: ImageData) => void pixels.set(this, image),
      drawImage: (source: HTMLCanvasElement, _x: number, _y: number, width: number, height: number) => {
        const image = pixels.get(source) as ImageData;
        drawn.images.push({ width: image.width, height: image.height, data: image.data, onto: [width, height] });
      },
    };
    return context as never;
  } as never);
  return drawn;
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
