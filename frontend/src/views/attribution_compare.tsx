/** The maps of two sides of a comparison, sample by sample: each, and what one has more than the other. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { attributionScale } from "../attribution";
import type { ColourScale } from "../colour";
import { formatNumber } from "../format";
import type { Tensor } from "../safetensors";
import type { Store } from "../store";
import type { AttributionView, SampleProps, Shown } from "./attribution_view";
import { Side } from "./compare";

/** What the other side has of the samples that are shown. */
export interface Beside {
  /** By the index of the sample. */
  readonly shown: ReadonlyMap<number, Shown>;
  readonly differences: ReadonlyMap<number, Shown>;
  /** Of the differences; null where there are none. */
  readonly scale: ColourScale | null;
  /** Why there is no difference, or what is odd about it, in words; "" if nothing is. */
  readonly problem: string;
}

/** Pair the samples of two sides; a difference is there where maps have one shape. */
export function besideOf(own: readonly Shown[], others: readonly Shown[]): Beside {
  const shown = new Map(others.map((one) => [one.index, one]));
  const differences = new Map(
    own.flatMap((one) => {
      const other = shown.get(one.index);
      const less = other === undefined ? null : difference(one, other);
      return less === null ? [] : [[one.index, less] as const];
    }),
  );
  const values = Float64Array.from([...differences.values()].flatMap(({ map }) => Array.from(map.values)));
  return {
    shown,
    differences,
    scale: attributionScale(values, true, false),
    problem: problemOf(own, shown, differences),
  };
}

function difference(one: Shown, other: Shown): Shown | null {
  if (one.map.shape.join() !== other.map.shape.join()) return null;
  const values = Float32Array.from(one.map.values, (value, index) => value - (other.map.values[index] ?? Number.NaN));
  return { ...one, map: { shape: one.map.shape, values } };
}

function problemOf(
  own: readonly Shown[],
  shown: ReadonlyMap<number, Shown>,
  differences: ReadonlyMap<number, Shown>,
): string {
  const [first] = own;
  if (first === undefined) return "";
  if (shown.size === 0) return "B has no such map.";
  if (differences.size === 0) return "The maps have other shapes, so they have no difference.";
  const other = shown.get(first.index)?.inputs ?? null;
  const same = [...differences.keys()].every((index) => sameSample(first.inputs, other, index));
  if (!same) return "A and B explain other samples.";
  return differences.size < own.length ? `B has ${differences.size} of these ${own.length} samples.` : "";
}

/** Whether a sample is the same on both sides, as far as that is known. */
function sameSample(one: Tensor | null, other: Tensor | null, index: number): boolean {
  if (one === null || other === null) return true;
  const [size, otherSize] = [one, other].map(({ data, shape }) => data.length / (shape[0] || 1)) as [number, number];
  if (size !== otherSize) return false;
  for (let i = index * size; i < (index + 1) * size; i++) if (one.data[i] !== other.data[i]) return false;
  return true;
}

const CAPTION = 42; // px beside a map that is as wide as the panel

interface ComparedProps extends SampleProps {
  readonly store: Store;
  readonly view: AttributionView;
  readonly beside: Beside;
}

/** One sample on both sides: A, B and their difference; or one over the other with a border that moves. */
export function Compared({ store, view, beside, ...props }: ComparedProps): JSX.Element {
  const other = beside.shown.get(props.shown.index);
  const less = beside.differences.get(props.shown.index);
  const held = store.comparison?.held.value ?? null;
  const there = store.other.value?.detail.maps.value.data?.probabilities?.data[props.shown.index];
  const Alone = view.Compared ?? view.Sample;
  if (other === undefined) return <view.Sample {...props} />;
  const sized = { ...props, width: view.tiles ? props.width : Math.max(80, props.width - CAPTION) };
  const [a, b] = [<Alone key="a" {...sized} />, <Alone key="b" {...sized} shown={other} />];
  if (store.chosen("swipe") === true && view.tiles && held === null) {
    return <Swipe a={a} b={b} index={props.shown.index} />;
  }
  // While one side is held, it stands where A stood and nothing else moves, so that only what changed is seen to.
  return (
    <span class={`sides${view.tiles ? "" : " rows"}${held === null ? "" : " held"}`}>
      <Captioned side={held ?? "A"}>{held === "B" ? b : a}</Captioned>
      <Captioned side="B" probability={there}>
        {b}
      </Captioned>
      {less !== undefined && beside.scale !== null && (
        <span class="side-map">
          <span class="side-caption">A − B</span>
          <Alone {...sized} shown={less} scale={beside.scale} />
        </span>
      )}
    </span>
  );
}

interface CaptionedProps {
  readonly side: "A" | "B";
  /** How sure the model was there of what is explained. */
  readonly probability?: number | undefined;
  readonly children: JSX.Element;
}

function Captioned({ side, probability, children }: CaptionedProps): JSX.Element {
  return (
    <span class="side-map">
      <span class="side-caption">
        <Side of={side} />
        {probability !== undefined && Number.isFinite(probability) && (
          <span class="number">p {formatNumber(Number(probability.toPrecision(2)))}</span>
        )}
      </span>
      {children}
    </span>
  );
}

interface SwipeProps {
  readonly a: JSX.Element;
  readonly b: JSX.Element;
  readonly index: number;
}

function Swipe({ a, b, index }: SwipeProps): JSX.Element {
  const [share, setShare] = useState(50);
  return (
    <span class="swipe">
      <span class="swipe-map">{b}</span>
      <span class="swipe-map" style={{ clipPath: `inset(0 ${100 - share}% 0 0)` }}>
        {a}
      </span>
      <input
        type="range"
        min={0}
        max={100}
        value={share}
        aria-label={`How much of A is shown over B, sample ${index}`}
        title="A to the left, B to the right"
        onInput={(event) => setShare(Number(event.currentTarget.value))}
      />
    </span>
  );
}

/** Whether maps lie over each other. */
export function SwipeToggle({ store }: { readonly store: Store }): JSX.Element {
  const swipe = store.chosen("swipe") === true;
  return (
    <button
      type="button"
      class="plain"
      data-testid="swipe-toggle"
      aria-pressed={swipe}
      title="Lay A over B, with a border that moves; hold a or b to see one alone"
      onClick={() => store.choose({ swipe: swipe ? null : true })}
    >
      Swipe
    </button>
  );
}
