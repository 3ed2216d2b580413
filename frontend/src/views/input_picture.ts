/** Inputs as pictures, each made once. */

import { type Picture, pictureOf } from "../charts/map";
import type { Tensor } from "../safetensors";

const pictures = new WeakMap<Tensor, Map<number, Picture | null>>();

/** Input `index` as a picture; null where the inputs are no images. */
export function pictureAt(inputs: Tensor | null, index: number): Picture | null {
  if (inputs === null) return null;
  const made = pictures.get(inputs) ?? new Map<number, Picture | null>();
  pictures.set(inputs, made);
  if (!made.has(index)) made.set(index, pictureOf(inputs, index));
  return made.get(index) ?? null;
}
