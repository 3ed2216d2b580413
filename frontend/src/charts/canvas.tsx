import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { dark } from "../theme";

export interface CanvasProps {
  readonly width: number;
  readonly height: number;
  /** Draws in CSS pixels; called again when it, the size or the theme changes. */
  readonly draw: (context: CanvasRenderingContext2D, inks: Inks) => void;
  readonly label?: string;
}

/** Colours of the theme that are drawn onto canvases. */
export interface Inks {
  readonly surface: string;
  readonly nan: string;
  readonly none: string;
  readonly data: string;
}

/** Pixels of the screen per CSS pixel, at least 1. */
export function screenDensity(): number {
  return Math.max(1, window.devicePixelRatio || 1);
}

const known = new Map<boolean, Inks>();

/** The colours of a theme. They are asked for once: the answer makes the browser work out all styles that changed. */
function inksOf(isDark: boolean): Inks {
  const inks = known.get(isDark);
  if (inks !== undefined) return inks;
  const style = getComputedStyle(document.documentElement);
  const ink = (name: string) => style.getPropertyValue(name).trim();
  const found = { surface: ink("--surface"), nan: ink("--bad"), none: ink("--hatch"), data: ink("--data") };
  if (Object.values(found).includes("")) return NO_THEME;
  known.set(isDark, found);
  return found;
}

const GREY = "#888888";
const NO_THEME: Inks = { surface: GREY, nan: GREY, none: GREY, data: GREY };

/** A canvas at the resolution of the screen. */
export function Canvas({ width, height, draw, label }: CanvasProps): JSX.Element {
  const ref = useRef<HTMLCanvasElement>(null);
  const isDark = dark.value;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colours that are read follow the theme
  useEffect(() => {
    const canvas = ref.current;
    const context = canvas?.getContext("2d");
    if (!canvas || !context || width <= 0 || height <= 0) return;
    const density = screenDensity();
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    draw(context, inksOf(isDark));
  }, [width, height, draw, isDark]);
  const accessible = label === undefined ? { "aria-hidden": true } : { role: "img" as const, "aria-label": label };
  return <canvas ref={ref} style={{ width: `${width}px`, height: `${height}px` }} {...accessible} />;
}

/** The hatching of what is NaN or infinite: never a colour of the scale. */
export function hatch(context: CanvasRenderingContext2D, inks: Inks): CanvasPattern | string {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  if (pen === null) return inks.nan;
  pen.fillStyle = inks.surface;
  pen.fillRect(0, 0, 6, 6);
  pen.strokeStyle = inks.nan;
  pen.lineWidth = 1.4;
  pen.beginPath();
  for (const offset of [-6, 0, 6]) {
    pen.moveTo(offset - 1, 7);
    pen.lineTo(offset + 7, -1);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat") ?? inks.nan;
}
