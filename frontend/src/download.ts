/** Pictures and numbers of the tab as files. */

import { nearest } from "./series";
import type { Store } from "./store";

export type Cell = string | number | null;

/** Numbers with a line of names above them. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: Iterable<readonly Cell[]>;
}

/** A table as CSV (RFC 4180). Names are data: those that a spreadsheet would take for a formula begin with an apostrophe. */
export function csv({ columns, rows }: Table): string {
  const lines = [columns.map(escaped).join(",")];
  for (const row of rows) lines.push(row.map(escaped).join(","));
  return `${lines.join("\r\n")}\r\n`;
}

function escaped(cell: Cell): string {
  if (cell === null) return "";
  if (typeof cell === "number") return String(cell);
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const LONGEST = 40; // of each part, so that all of them are there

/** A name for a file, of what every system takes in names: `digits-fc-step-300-gradients.csv`. */
export function fileName(parts: readonly string[], kind: string): string {
  const safe = parts.map((part) =>
    part
      .replace(/[^\p{L}\p{N}._-]+/gu, "_")
      .replace(/^[._]+|[._]+$/g, "")
      .slice(0, LONGEST),
  );
  const name = safe.filter(Boolean).join("-");
  return `${name || "layerscope"}.${kind}`;
}

/** The beginning of the name of every file: run, layer and step. */
export function nameParts(store: Store): string[] {
  const other = store.other.peek();
  const against =
    other === null
      ? []
      : ["against", other.run.peek() ?? "", "step", String(nearest(other.steps.peek(), other.step.peek()) ?? 0)];
  return [store.run.peek() ?? "", store.layer.peek() ?? "", "step", String(store.step.peek()), ...against];
}

/** Have the browser save a file. */
export function save(content: Blob | string, name: string): void {
  const blob = typeof content === "string" ? new Blob([content], { type: "text/csv;charset=utf-8" }) : content;
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const NOT_DRAWN = "data-not-drawn";
/** Marks what is left out of pictures: what is there to be pressed. */
export const notDrawn = { [NOT_DRAWN]: "" };

/** An element as it is seen, under a caption, as a picture of twice its size; or as SVG, one drawing alone. */
export async function picture(element: HTMLElement, kind: "png" | "svg", caption: readonly Node[] = []): Promise<Blob> {
  const drawing = only(element);
  if (kind === "svg" && drawing !== null) return new Blob([drawn(drawing)], { type: "image/svg+xml" });
  const { toBlob, toSvg } = await import("html-to-image");
  const options = {
    backgroundColor: getComputedStyle(document.body).backgroundColor,
    pixelRatio: 2,
    skipFonts: true, // there are none but the system's
    filter: (node: Node) => !(node instanceof Element && node.hasAttribute(NOT_DRAWN)),
  };
  const head = document.createElement("p");
  head.className = "drawn-caption";
  head.append(...caption);
  if (caption.length > 0) element.prepend(head);
  const restore = styledInPlace(element);
  try {
    if (kind === "svg") return textOf(await toSvg(element, options));
    const blob = await toBlob(element, options);
    if (blob === null) throw new Error("The browser made no picture of it.");
    return blob;
  } finally {
    restore();
    head.remove();
  }
}

/** Give the parts of every drawing their styles, which html-to-image leaves behind; the result takes them away again. */
function styledInPlace(element: Element): () => void {
  const parts = [...element.querySelectorAll<SVGElement>("svg *")];
  const before = parts.map((part) => part.getAttribute("style"));
  const styles = parts.map(stylesOf);
  parts.forEach((part, index) => void apply(part, styles[index] as readonly string[]));
  return () =>
    parts.forEach((part, index) => {
      const style = before[index] ?? null;
      if (style === null) part.removeAttribute("style");
      else part.setAttribute("style", style);
    });
}

/** `data:image/svg+xml;charset=utf-8,...` as a file. */
function textOf(url: string): Blob {
  return new Blob([decodeURIComponent(url.slice(url.indexOf(",") + 1))], { type: "image/svg+xml" });
}

/** The drawing in an element that is one drawing, so that it is saved as such. */
function only(element: HTMLElement): SVGSVGElement | null {
  const [first = null, second] = element.querySelectorAll<SVGSVGElement>("svg[data-drawing]");
  return second === undefined ? first : null;
}

const STYLES = [
  ...["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin"],
  ...["opacity", "font-family", "font-size", "font-weight", "font-style", "text-anchor", "paint-order"],
  ...["display", "visibility", "dominant-baseline"],
] as const;

function stylesOf(element: Element): readonly string[] {
  const style = getComputedStyle(element);
  return STYLES.map((name) => style.getPropertyValue(name));
}

function apply(element: SVGElement, styles: readonly string[]): void {
  STYLES.forEach((name, index) => {
    element.style.setProperty(name, styles[index] ?? "");
  });
}

/** A drawing with the styles that it has here, so that it looks the same anywhere. */
export function drawn(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [own, copies] = [svg.querySelectorAll("*"), copy.querySelectorAll<SVGElement>("*")];
  copies.forEach((element, index) => {
    apply(element, stylesOf(own[index] as Element));
    element.removeAttribute("class");
  });
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  copy.removeAttribute("class");
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.style.background = getComputedStyle(document.body).backgroundColor;
  return new XMLSerializer().serializeToString(copy);
}
