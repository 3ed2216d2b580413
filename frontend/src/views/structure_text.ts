// What is written in the boxes of the structure, and how much room it takes.

import type { ModelGraph } from "../graph";
import { hierarchyOf, membersOf, nameOf } from "../layout/hierarchy";
import type { Size } from "../layout/picture";
import type { Fold, Node } from "../wire";

/** The fonts of the picture; the sizes are those of tokens.css. */
export type Role = "row" | "name" | "class" | "mono" | "pill" | "question" | "answer";

const FONTS: Record<Role, { weight: number; size: number; family: "--font" | "--mono" }> = {
  row: { weight: 400, size: 11, family: "--font" },
  name: { weight: 600, size: 13, family: "--font" },
  class: { weight: 400, size: 12.8, family: "--font" },
  mono: { weight: 400, size: 12.8, family: "--mono" },
  pill: { weight: 500, size: 12.8, family: "--font" },
  question: { weight: 600, size: 11.5, family: "--font" },
  answer: { weight: 400, size: 11, family: "--font" },
};

const widths = new Map<string, number>();
const families = new Map<string, string>();
const ENGLISH = new Intl.NumberFormat("en");
let canvas: CanvasRenderingContext2D | null | undefined;

/** Width of `text` in pixels, measured in the very font that draws it. */
export function textWidth(text: string, role: Role): number {
  const key = role + text;
  const known = widths.get(key);
  if (known !== undefined) return known;
  const { weight, size, family } = FONTS[role];
  if (canvas === undefined) canvas = document.createElement("canvas").getContext?.("2d") ?? null;
  let width = text.length * size * 0.6; // where there is no canvas
  if (canvas) {
    const fonts = families.get(family) ?? getComputedStyle(document.documentElement).getPropertyValue(family).trim();
    if (fonts !== "") families.set(family, fonts); // asking for it takes longer than measuring
    canvas.font = `${weight} ${size}px ${fonts || "sans-serif"}`;
    width = canvas.measureText(text).width;
  }
  if (widths.size > 20000) widths.clear();
  widths.set(key, width);
  return width;
}

/** `text`, or as much of its beginning and end as fits into `room` pixels, with an ellipsis between. */
export function fitText(text: string, role: Role, room: number): string {
  if (textWidth(text.slice(0, 400), role) <= room && text.length <= 400) return text;
  const letters = Array.from(text.length > 400 ? text.slice(0, 200) + text.slice(-200) : text);
  let [low, high] = [0, letters.length - 1];
  const cut = (kept: number) => {
    const tail = Math.floor(kept * 0.4); // what tells two long names apart is often their end
    return `${letters.slice(0, kept - tail).join("")}…${tail > 0 ? letters.slice(-tail).join("") : ""}`;
  };
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (textWidth(cut(middle), role) <= room) low = middle;
    else high = middle - 1;
  }
  return cut(low);
}

/** `text`, or as much of its end as fits into `room` pixels: that of a long dotted name says more than its beginning. */
export function endText(text: string, role: Role, room: number): string {
  if (textWidth(text, role) <= room) return text;
  const letters = Array.from(text.slice(-200));
  let kept = letters.length - 1;
  while (kept > 1 && textWidth(`…${letters.slice(-kept).join("")}`, role) > room) kept -= 1;
  return `…${letters.slice(-kept).join("")}`;
}

/** `[1, 64, 8, 8]` as "1×64×8×8"; several tensors as the first and "+n". */
export function shapeText(shapes: number[][]): string {
  const [first] = shapes;
  if (!first) return "";
  const text = first.length === 0 ? "scalar" : first.join("×");
  return shapes.length > 1 ? `${text} +${shapes.length - 1}` : text;
}

/** A number of parameters with three digits: "9,408" stays exact below 10,000, then "36.9k", "25.6M", "1.50B". */
export function countText(count: number): string {
  if (count < 10000) return ENGLISH.format(count);
  for (const [unit, letter] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const)
    if (count >= unit * 0.9995) return `${(count / unit).toPrecision(count >= unit * 999.5 ? 4 : 3)}${letter}`;
  return String(count);
}

export interface Words {
  name: string;
  /** Class of a module, "" otherwise. */
  className: string;
  shape: string;
  /** Their number. */
  parameters: string;
  /** No parameter of it requires a gradient. */
  frozen: boolean;
  /** One of its own parameters is also one of another module. */
  tied: boolean;
  /** The forward raised in it. */
  stopped: boolean;
}

export function wordsOf(graph: ModelGraph, node: Node): Words {
  const name = nameOf(graph, node);
  const shape = shapeText(node.output_shapes.length > 0 ? node.output_shapes : node.input_shapes);
  // Inputs and outputs look alike: say which it is, unless the name does ("output 0").
  const told = shapeOf(node) !== "terminal" || name.startsWith(node.kind);
  return {
    name,
    className: node.class_name,
    shape: told ? shape : [node.kind, shape].filter(Boolean).join(" · "),
    parameters: node.total_parameters > 0 ? countText(node.total_parameters) : "",
    frozen: node.trainable === false,
    tied: node.tied.length > 0,
    stopped: graph.stopped_in === node.id,
  };
}

/** How many glyphs stand behind the name. */
export function glyphsOf({ frozen, tied, stopped }: Words): number {
  return Number(frozen) + Number(tied) + Number(stopped);
}

/** Everything about a node in one text, for the tooltip. */
export function tooltipOf(node: Node, value: string): string {
  const shapes = (list: number[][]) => list.map((shape) => `[${shape.join(", ")}]`).join(" ");
  const lines = [
    node.id,
    node.class_name || node.op || node.kind,
    node.input_shapes.length > 0 ? `in ${shapes(node.input_shapes)}` : "",
    node.output_shapes.length > 0 ? `out ${shapes(node.output_shapes)}` : "",
    node.total_parameters > 0 ? `${ENGLISH.format(node.total_parameters)} parameters` : "",
    node.trainable === false ? "frozen: no parameter requires a gradient" : "",
    node.tied.length > 0 ? `same tensor as ${node.tied.join(", ")}` : "",
    value ? `value ${value}` : "",
  ];
  return lines.filter(Boolean).join("\n");
}

export const PADDING = 12;
export const HEADER = 34;
/** Room for a painted value ("−1.23e−04"), kept also when nothing is painted: scrubbing must not move a box. */
export const VALUE = 62;
export const GLYPH = 16;
const GAP = 14;
const NARROW = 132;
const WIDE = 236;

/** How a node is drawn. */
export type Shape = "module" | "pill" | "terminal";

export function shapeOf(node: Node): Shape {
  if (node.kind === "module") return "module";
  return node.kind === "input" || node.kind === "output" ? "terminal" : "pill";
}

/** Width of the affordance that opens a container holding `inside` boxes. */
export function toggleWidth(inside: number): number {
  return inside > 0 ? 24 + textWidth(String(inside), "mono") : 0;
}

/** Size of a leaf or closed container. Widths go in steps of 8, so that equal blocks are equal problems. */
export function boxSize(words: Words, shape: Shape, inside: number): Size {
  const { name, className, parameters } = words;
  const side = 2 * PADDING;
  if (shape === "pill") return { width: step(textWidth(name, "pill") + side, 48, 216), height: 28 };
  const meta = textWidth(words.shape, "mono");
  if (shape === "terminal")
    return { width: step(Math.max(textWidth(name, "name"), meta) + side, 80, WIDE), height: 46 };
  const rows = [
    textWidth(name, "name") + GLYPH * glyphsOf(words) + (inside > 0 ? GAP + toggleWidth(inside) : 0),
    textWidth(className, "class") + GAP + VALUE,
    meta + (parameters ? GAP + textWidth(parameters, "mono") : 0),
  ];
  return { width: step(Math.max(...rows) + side, NARROW, WIDE), height: words.shape || parameters ? 68 : 52 };
}

/** Least size of the header bar of an open container. */
export function headerSize(words: Words): Size {
  const text = Math.min(textWidth(words.name, "name"), 180) + Math.min(textWidth(words.className, "class"), 160);
  return {
    width: step(text + 2 * PADDING + 26 + GLYPH * glyphsOf(words) + 8 + GAP + VALUE, NARROW, 560),
    height: HEADER,
  };
}

function step(width: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, 8 * Math.ceil(width / 8)));
}

export interface FoldWords {
  label: string;
  /** The classes of one repetition, in order: "Block", or "Linear, ReLU". */
  className: string;
  shape: string;
  /** Their number. */
  parameters: string;
}

export function foldWordsOf(graph: ModelGraph, fold: Fold): FoldWords {
  const hierarchy = hierarchyOf(graph);
  const nodes = membersOf(hierarchy, fold, 0).flatMap((id) => graph.nodes.get(id) ?? []);
  const last = membersOf(hierarchy, fold, fold.members.length - 1).flatMap((id) => graph.nodes.get(id) ?? []);
  // The same weights count once.
  const counted = fold.shared ? [0] : fold.members.keys();
  const count = [...counted]
    .flatMap((i) => membersOf(hierarchy, fold, i))
    .reduce((sum, id) => sum + (graph.nodes.get(id)?.total_parameters ?? 0), 0);
  return {
    label: fold.label,
    className: nodes.map((node) => node.class_name || node.op || node.kind).join(", "),
    shape: shapeText(last.at(-1)?.output_shapes ?? []),
    parameters: count > 0 ? countText(count) : "",
  };
}

/** Height of the strip of members, and of the row that it takes. */
export const STRIP = 12;
export const STRIP_ROW = 22;
/** Room for the glyph that tells the two kinds of folds apart. */
export const KIND = 20;

/** Size of a closed fold: a module with one row more. */
export function foldSize(words: FoldWords, count: number): Size {
  const meta = textWidth(words.shape, "mono");
  const rows = [
    KIND + textWidth(words.label, "name") + GAP + toggleWidth(count),
    textWidth(words.className, "class"),
    meta + (words.parameters ? GAP + textWidth(words.parameters, "mono") : 0),
  ];
  return { width: step(Math.max(...rows) + 2 * PADDING, 168, 260), height: 68 + STRIP_ROW };
}

/** Width of the buttons in the header of an open fold: the one before, which one, the next, all of them. */
export function stepperWidth(count: number): number {
  return 2 * 20 + textWidth(`${count} / ${count}`, "mono") + 16;
}

/** Least size of the header of an open fold: label, buttons, and below them the strip. */
export function foldHeaderSize(words: FoldWords, count: number): Size {
  const text = Math.min(textWidth(words.label, "name"), 220);
  const buttons = stepperWidth(count) + textWidth("unfold", "class") + 24;
  return { width: step(34 + KIND + text + GAP + buttons + PADDING, 260, 640), height: HEADER + STRIP_ROW };
}
