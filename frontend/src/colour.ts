/**
 * Data colours. Sequential: viridis, perceptually uniform, readable on light and dark. Diverging: blue, white, red in
 * Lab, white at exactly 0 and the same limit on both sides. Limits are robust (98th percentile) and always printed.
 */

import { quickselect } from "d3-array";
import { interpolateLab, interpolateRgb, piecewise } from "d3-interpolate";
import { interpolateViridis } from "d3-scale-chromatic";

export type Rgb = readonly [red: number, green: number, blue: number];

/**
 * `log`: >= 0, spans magnitudes. `signed`: diverges around 0. `fraction`: 0 to 1. `count`: 0, 1, 2, ...
 * `linear`: from 0 on, for maps without a sign. `cosine`: up to 1, from the smallest on. Of two sides compared, all
 * around 0: `difference`; `points` of shares; `ratio`, a power of 2.
 */
export type ScaleKind =
  | ("log" | "signed" | "fraction" | "count" | "linear" | "cosine")
  | ("difference" | "points" | "ratio");

const DIVERGES: ReadonlySet<ScaleKind> = new Set(["signed", "difference", "points", "ratio"]);

const STEPS = 256; // even, so that a diverging table has an entry for exactly 0 in its middle

const diverging = piecewise(interpolateLab, [
  "#0a4a8f",
  "#4f97cf",
  "#b9d9ee",
  "#f7f7f7",
  "#f6c4ad",
  "#d9634f",
  "#8e0f22",
]);

function table(interpolate: (t: number) => string): readonly Rgb[] {
  return Array.from({ length: STEPS + 1 }, (_, i) => {
    const colour = interpolate(i / STEPS);
    return interpolateRgb(colour, colour)(0).match(/\d+/g)?.map(Number) as unknown as Rgb; // any notation to numbers
  });
}

const SEQUENTIAL = table(interpolateViridis);
const DIVERGING = table(diverging);

/** Maps finite numbers to colours, between two printed limits. */
export class ColourScale {
  /** True if the data reaches beyond a limit, where the end's colour is used. */
  constructor(
    readonly kind: ScaleKind,
    readonly low: number,
    readonly high: number,
    readonly clippedLow = false,
    readonly clippedHigh = false,
  ) {}

  /** Where a finite value stands between the limits, 0 to 1; 0.5 is exactly 0 on a signed scale. */
  position(value: number): number {
    const t = this.transform(value);
    const low = this.transform(this.low);
    const high = this.transform(this.high);
    return high > low ? Math.min(1, Math.max(0, (t - low) / (high - low))) : 0.5;
  }

  rgb(value: number): Rgb {
    return this.colours()[Math.round(this.position(value) * STEPS)] as Rgb;
  }

  css(value: number): string {
    return css(this.rgb(value));
  }

  /** Stops of a CSS gradient from the low to the high limit. */
  stops(count = 9): string[] {
    const colours = this.colours();
    return Array.from({ length: count }, (_, i) => css(colours[Math.round((i / (count - 1)) * STEPS)] as Rgb));
  }

  private colours(): readonly Rgb[] {
    return DIVERGES.has(this.kind) ? DIVERGING : SEQUENTIAL;
  }

  private transform(value: number): number {
    if (this.kind === "log") return Math.log10(Math.max(value, this.low, Number.MIN_VALUE));
    if (this.kind === "count") return Math.log1p(Math.max(value, 0));
    return value;
  }
}

/** The scale of `kind` that fits all of `values`; what is not finite is left out. Null if nothing is left. */
export function fitScale(kind: ScaleKind, values: ArrayLike<number>): ColourScale | null {
  const finite = new Float64Array(values.length);
  let [count, smallest, largest] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let index = 0; index < values.length; index++) {
    const value = DIVERGES.has(kind) ? Math.abs(values[index] as number) : (values[index] as number);
    if (!Number.isFinite(value) || (kind === "log" && value < 0)) continue;
    if (value < smallest) smallest = value;
    if (value > largest) largest = value;
    // Zero has no logarithm: it lies below the lower limit.
    if (kind !== "log" || value > 0) finite[count++] = value;
  }
  if (largest < smallest) return null;
  if (kind === "fraction") return new ColourScale(kind, 0, 1);
  if (kind === "count") return new ColourScale(kind, 0, Math.max(1, largest));
  if (count === 0) return new ColourScale("linear", 0, 1); // nothing but zeros
  return withinQuantiles(kind, sampled(finite.subarray(0, count)), smallest, largest);
}

function withinQuantiles(kind: ScaleKind, values: Float64Array, smallest: number, largest: number): ColourScale {
  const high = quantile(values, 0.98) || largest;
  if (DIVERGES.has(kind)) {
    const limit = high || 1;
    return new ColourScale(kind, -limit, limit, largest > limit, largest > limit);
  }
  if (kind === "linear") {
    return new ColourScale(kind, Math.min(0, smallest), high > 0 ? high : 1, false, largest > high);
  }
  const low = quantile(values, 0.02);
  if (kind === "cosine") return new ColourScale(kind, Math.min(1, low), 1, smallest < low);
  return new ColourScale(kind, low, high, smallest < low, largest > high);
}

const ENOUGH = 50_000;

/** Evenly spaced ones of very many values, whose quantiles are much the same. */
function sampled(values: Float64Array): Float64Array {
  const every = Math.ceil(values.length / ENOUGH);
  return every < 2 ? values : values.filter((_, index) => index % every === 0);
}

/** The nearest-rank quantile: always one of the values, whose order may change. */
function quantile(values: Float64Array, share: number): number {
  const rank = Math.round(share * (values.length - 1));
  return quickselect(values, rank)[rank] as number;
}

/**
 * The scale kind of a statistic; kinds that are unknown here count as magnitudes, `spaced` evenly or, with null, by
 * orders of magnitude.
 */
export function scaleKind(
  { name, scale }: { readonly name: string; readonly scale: string },
  spaced: "linear" | null = null,
): ScaleKind {
  if (name === "cosine") return name;
  return scale === "signed" || scale === "fraction" || scale === "count" ? scale : (spaced ?? "log");
}

// Okabe and Ito's: told apart with every kind of colour vision, on light and on dark.
const CATEGORIES: readonly Rgb[] = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 158, 115],
  [204, 121, 167],
  [0, 114, 178],
  [213, 94, 0],
  [240, 228, 66],
];
/** So many categories have a colour of their own. */
export const MOST_CATEGORIES = CATEGORIES.length;

/** The colour of a category by its position; grey is what all others share. */
export function category(position: number): Rgb {
  return CATEGORIES[position] ?? [150, 150, 150];
}

export function css([red, green, blue]: Rgb): string {
  return `rgb(${red}, ${green}, ${blue})`;
}

/** Black or white ink, whichever contrasts more (WCAG); the better of the two is always above 4.5 to 1. */
export function inkOn(background: Rgb): "#000000" | "#ffffff" {
  const luminance = relativeLuminance(background);
  return (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) ? "#000000" : "#ffffff";
}

/** Relative luminance of WCAG 2, 0 to 1. */
export function relativeLuminance(colour: Rgb): number {
  const [red, green, blue] = colour.map((channel) => {
    const share = channel / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
