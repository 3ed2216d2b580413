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

/** How much of the ground the tint behind a text covers at most: its ink reads on all of it, light or dark. */
const BEHIND_TEXT = 0.6;

/** A colour to lay over the ground, light or dark: the more of it, the more the value matters. */
export function tint(scale: ColourScale, value: number, most = BEHIND_TEXT): string {
  const channels = [...hue(scale, value), 255 * most * share(scale, value)];
  return `#${channels.map((channel) => Math.round(channel).toString(16).padStart(2, "0")).join("")}`;
}

/** Stops of a CSS gradient of tints. */
export function tints(scale: ColourScale, most = BEHIND_TEXT): string[] {
  return Array.from({ length: 9 }, (_, i) => tint(scale, scale.low + ((scale.high - scale.low) * i) / 8, most));
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
