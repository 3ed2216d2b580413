/** What every kind of input says of how its attributions are drawn; the kinds are listed in attribution_views.ts. */

import type { JSX } from "preact";
import type { SampleMap } from "../charts/map";
import type { ColourScale } from "../colour";
import type { Tensor } from "../safetensors";
import type { ProbeInput } from "../wire";

/** The attribution of one sample, and what is known of its input. */
export interface Shown {
  readonly index: number;
  readonly map: SampleMap;
  /** The whole batch that the sample is of; null where it was not saved. */
  readonly inputs: Tensor | null;
  /** How to read it; null where nothing tells, or where the map is of something else. */
  readonly described: ProbeInput | null;
}

export interface SampleProps {
  readonly shown: Shown;
  readonly scale: ColourScale;
  readonly width: number;
  /** Show no more features than these; null for all. */
  readonly limit: number | null;
}

export interface FilmProps {
  /** One sample at a few steps; null at a step that lacks it. */
  readonly frames: readonly { readonly step: number; readonly shown: Shown | null }[];
  readonly scale: ColourScale;
  readonly width: number;
  /** The step that is shown above. */
  readonly current: number | null;
  readonly onStep: (step: number) => void;
}

export interface AttributionView {
  /** Whether it can draw this. */
  readonly fits: (shown: Shown) => boolean;
  /** Whether samples stand side by side, each a button; or one under another, with something to reach inside. */
  readonly tiles: boolean;
  /** Whether the scale reaches to the largest value, so that lengths are true, or may clip a few. */
  readonly whole: boolean;
  /** The values that are drawn, where those are not all. */
  readonly values?: (shown: Shown) => ArrayLike<number>;
  /** How many features a sample has of which only the first or foremost are shown, and of how many. */
  readonly features?: { readonly word: string; readonly limit: number; readonly count: (shown: Shown) => number };
  /** Stops of the legend's ramp, where colours are not those of the scale. */
  readonly ramp?: (scale: ColourScale) => readonly string[];
  readonly Sample: (props: SampleProps) => JSX.Element;
  /** The same where it stands beside that of another run, which needs the input no second time. */
  readonly Compared?: (props: SampleProps) => JSX.Element;
  /** The same sample over the training. */
  readonly Film: (props: FilmProps) => JSX.Element;
}
