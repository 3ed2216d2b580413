/**
 * The state of the tab in the address: `#layerscope&p.layerscope.layer=conv1&p.layerscope.step=200`.
 *
 * TensorBoard decodes and encodes hash values on its own, so a value must survive that; lists are therefore joined
 * with commas and escaped with tildes inside the plain value. What is not ours in the hash is kept as it is.
 */

import type { Direction } from "./flow";

const TAB = "layerscope";
const PREFIX = `p.${TAB}.`;
const MAX_LENGTH = 2000;
const MAX_EXPANDED = 500;

/** By the largest or the smallest number that a row has at the steps that are shown. */
export type RowOrder = "largest" | "smallest";

/** Everything that a person chose; null is "not chosen", and the store then takes a sensible default. */
export interface Selection {
  readonly run: string | null;
  /** null follows the latest step. */
  readonly step: number | null;
  /** The run that is compared with; null is the same run, if a step is compared with, else nothing is compared. */
  readonly compareRun: string | null;
  /** The step that is compared with; null is the step that is shown. */
  readonly compareStep: number | null;
  /** How two sides are shown; null is their difference. */
  readonly compareAs: "side" | null;
  /** Whether maps of both sides lie over each other, with a border to move. */
  readonly swipe: boolean | null;
  /** How maps lie over images; null is as colours. */
  readonly overlay: "contour" | null;
  /** How distributions over the steps are drawn; null is as a heat map. */
  readonly distributions: "ridgeline" | null;
  /** How opaque a map is where it is strongest, in per cent; null is the default. */
  readonly opacity: number | null;
  /** Id of the selected node. */
  readonly layer: string | null;
  /** Row of the layer's statistics: its own key or one of its parameters. */
  readonly row: string | null;
  /** Colour by: `<series>.<statistic>`. */
  readonly measure: string | null;
  /** Name of the attribution tag: the method, after `<samples>/` unless its samples are `probe`. */
  readonly method: string | null;
  readonly sample: number | null;
  /** The unit of the layer that is looked at closely: its number among those that were maximized. */
  readonly unit: number | null;
  /** The parameter of the layer that is shown as a picture. */
  readonly parameter: string | null;
  /** The head of the attention that is shown large. */
  readonly head: number | null;
  /** The window of a sample within which attention is shown. */
  readonly window: number | null;
  /** Name of the probe set of which activations, attention and embedding are shown. */
  readonly probeSet: string | null;
  /** Position of the input whose attribution is shown. */
  readonly input: number | null;
  /** Whether all features of an input are shown, not only the first or those that matter most. */
  readonly allFeatures: boolean | null;
  /** Name of the surrogate that is looked at: what it sees, and its kind. */
  readonly surrogate: string | null;
  /** Position of the output whose importances are shown. */
  readonly output: number | null;
  /** Whether the surrogate's tree takes the place of the structure. */
  readonly tree: boolean | null;
  /** Which questions of the tree are open, as ways to them (see decision_tree.ts). */
  readonly branches: readonly string[] | null;
  /** Tag of the user's scalar in the scrubber. */
  readonly scalar: string | null;
  readonly query: string | null;
  /** What is open, in words: ids of nodes and folds; `*` for everything (see `compact` in layout/expansion.ts). */
  readonly expanded: readonly string[] | null;
  /** Whether the outline stands beside the structure. */
  readonly outline: boolean | null;
  /** Whether the structure has the tab to itself. */
  readonly wide: boolean | null;
  /** Which way along the edges from the selected node everything is lit. */
  readonly flow: Direction | null;
  /** How steps are spaced in the charts; null is evenly. */
  readonly axis: "log" | null;
  /** How the colours of magnitudes are spaced; null is by orders of magnitude. */
  readonly colours: "linear" | null;
  /** Whether the curve in the scrubber is smoothed. */
  readonly smooth: boolean | null;
  /** First and last step that charts show; null for all. */
  readonly zoom: readonly [number, number] | null;
  /** In which order layers × steps has its rows; null is the order of execution. */
  readonly order: RowOrder | null;
  /** Whether rows of modules that are closed in the structure are one. */
  readonly folded: boolean | null;
  /** Whether the list of findings is open; null is as long as no layer is selected. */
  readonly findings: boolean | null;
  /** The finding that is looked at (see findings.ts). */
  readonly finding: string | null;
}

type Codec<T> = { encode(value: T): string; decode(text: string): T | null };

const text: Codec<string> = {
  encode: (value) => value,
  decode: (value) => (value.length > 0 && value.length <= MAX_LENGTH ? value : null),
};

const whole: Codec<number> = {
  encode: String,
  decode: (value) => (/^-?\d{1,15}$/.test(value) ? Number(value) : null),
};

const position: Codec<number> = {
  encode: String,
  decode: (value) => (/^\d{1,6}$/.test(value) ? Number(value) : null),
};

const list: Codec<readonly string[]> = {
  encode: (values) =>
    values
      .slice(0, MAX_EXPANDED)
      .map((value) => value.replaceAll("~", "~0").replaceAll(",", "~1"))
      .join(",") || "~",
  decode: (value) => {
    if (value === "~") return [];
    const items = value.split(",").filter((item) => item.length > 0 && item.length <= MAX_LENGTH);
    return items.slice(0, MAX_EXPANDED).map((item) => item.replaceAll("~1", ",").replaceAll("~0", "~"));
  },
};

const flag: Codec<boolean> = { encode: (value) => (value ? "1" : ""), decode: (value) => value === "1" || null };

const range: Codec<readonly [number, number]> = {
  encode: ([first, last]) => `${first}..${last}`,
  decode: (value) => {
    const found = /^(-?\d{1,15})\.\.(-?\d{1,15})$/.exec(value);
    const [first, last] = [Number(found?.[1]), Number(found?.[2])];
    return first < last ? [first, last] : null;
  },
};

const direction: Codec<Direction> = {
  encode: (value) => value,
  decode: (value) => (value === "up" || value === "down" || value === "both" ? value : null),
};

const CODECS: { readonly [K in keyof Selection]: Codec<NonNullable<Selection[K]>> } = {
  run: text,
  step: whole,
  compareRun: text,
  compareStep: whole,
  compareAs: { encode: (value) => value, decode: (value) => (value === "side" ? value : null) },
  swipe: flag,
  overlay: { encode: (value) => value, decode: (value) => (value === "contour" ? value : null) },
  distributions: { encode: (value) => value, decode: (value) => (value === "ridgeline" ? value : null) },
  opacity: position,
  layer: text,
  row: text,
  measure: text,
  method: text,
  sample: position,
  unit: position,
  parameter: text,
  head: position,
  window: position,
  probeSet: text,
  input: position,
  allFeatures: flag,
  surrogate: text,
  output: position,
  tree: flag,
  branches: list,
  scalar: text,
  query: text,
  expanded: list,
  outline: flag,
  wide: flag,
  flow: direction,
  axis: { encode: (value) => value, decode: (value) => (value === "log" ? value : null) },
  colours: { encode: (value) => value, decode: (value) => (value === "linear" ? value : null) },
  smooth: flag,
  zoom: range,
  order: {
    encode: (value) => value,
    decode: (value) => (value === "largest" || value === "smallest" ? value : null),
  },
  folded: flag,
  findings: flag,
  finding: text,
};

export const NOTHING: Selection = {
  run: null,
  step: null,
  compareRun: null,
  compareStep: null,
  compareAs: null,
  swipe: null,
  overlay: null,
  distributions: null,
  opacity: null,
  layer: null,
  row: null,
  measure: null,
  method: null,
  sample: null,
  unit: null,
  parameter: null,
  head: null,
  window: null,
  probeSet: null,
  input: null,
  allFeatures: null,
  surrogate: null,
  output: null,
  tree: null,
  branches: null,
  scalar: null,
  query: null,
  expanded: null,
  outline: null,
  wide: null,
  flow: null,
  axis: null,
  colours: null,
  smooth: null,
  zoom: null,
  order: null,
  folded: null,
  findings: null,
  finding: null,
};

/** Read the selection from a hash; values that break a rule count as not chosen. */
export function decodeSelection(hash: string): Selection {
  const values = new Map<string, string>();
  for (const part of parts(hash)) {
    const at = part.indexOf("=");
    if (at < 0 || !part.startsWith(PREFIX)) continue;
    const value = decoded(part.slice(at + 1));
    if (value !== null) values.set(part.slice(PREFIX.length, at), value);
  }
  const read = <K extends keyof Selection>(key: K): [K, Selection[K]] => {
    const value = values.get(key);
    return [key, value === undefined ? null : (CODECS[key].decode(value) as Selection[K])];
  };
  return Object.fromEntries((Object.keys(CODECS) as (keyof Selection)[]).map(read)) as unknown as Selection;
}

/** Return `hash` with our keys replaced by those of `selection`; with `tab`, the link opens our tab. */
export function encodeSelection(hash: string, selection: Selection, tab = false): string {
  const [first, ...rest] = parts(hash);
  const named = first !== undefined && !first.includes("=");
  const foreign = (named ? rest : parts(hash)).filter((part) => !part.startsWith(PREFIX));
  const own = (Object.keys(CODECS) as (keyof Selection)[]).flatMap((key) => {
    const value = selection[key];
    const codec = CODECS[key] as Codec<unknown>;
    return value === null || value === "" || value === false
      ? []
      : [`${PREFIX}${key}=${encodeURIComponent(wellFormed(codec.encode(value)))}`];
  });
  return `#${[named && !tab ? first : TAB, ...foreign, ...own].join("&")}`;
}

/** Half a character, which can be typed, has no place in an address. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

function parts(hash: string): string[] {
  return hash.replace(/^#/, "").split("&").filter(Boolean);
}

function decoded(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}
