/** How the views of an attribution put a number into colour and words. */

import { ColourScale, fitScale, type Rgb } from "./colour";

/** How much a value matters on a scale, 0 to 1. */
export function share(scale: ColourScale, value: number): number {
  return scale.kind === "signed" ? Math.abs(scale.position(value) - 0.5) * 2 : scale.position(value);
}

/**
 * One colour for what supports and one for what opposes, where thickness or length tells how much: those of the scale
 * that stand out from light as from dark.
 */
export function hue(scale: ColourScale, value: number): Rgb {
  if (scale.kind !== "signed") return scale.rgb((scale.low + scale.high) / 2);
  return scale.rgb((value < 0 ? 2 / 3 : -2 / 3) * scale.low);
}

/** How much of the ground a tint covers at most: the ink of the text reads on all of it, light or dark. */
const MOST = 0.7;

/** The colour behind a text: the more of it, the more it matters. */
export function tint(scale: ColourScale, value: number): string {
  return `rgba(${hue(scale, value).join(", ")}, ${(MOST * share(scale, value)).toFixed(3)})`;
}

/** Stops of a CSS gradient of tints. */
export function tints(scale: ColourScale): string[] {
  return Array.from({ length: 9 }, (_, i) => tint(scale, scale.low + ((scale.high - scale.low) * i) / 8));
}

/** What a value does to the target, in a word. */
export function effect(scale: ColourScale, value: number): "supports" | "opposes" | "" {
  if (scale.kind !== "signed" || value === 0 || !Number.isFinite(value)) return "";
  return value > 0 ? "supports" : "opposes";
}

/** One scale for all the values that are compared; with `whole`, it reaches to the largest of them. */
export function attributionScale(values: Float64Array, signed: boolean, whole: boolean): ColourScale | null {
  const fitted = fitScale(signed ? "signed" : "linear", values);
  if (fitted === null || !whole || !fitted.clippedHigh) return fitted;
  const largest = values.reduce((most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most), 0);
  return new ColourScale(fitted.kind, signed ? -largest : fitted.low, largest);
}
