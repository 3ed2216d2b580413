import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { attributionScale } from "../attribution";
import { areaOf, formatSpan } from "../blocks";
import { Legend } from "../charts/legend";
import { AttributionMap, type SampleMap, sampleOf } from "../charts/map";
import { Matrix } from "../charts/matrix";
import { Vector } from "../charts/vector";
import type { ColourScale } from "../colour";
import { formatNumber, formatShape } from "../format";
import type { Held } from "../pictures";
import type { Tensor } from "../safetensors";
import type { Store } from "../store";
import { visible } from "../token_text";
import { useSideId, useSideName, useTwin } from "./compare";
import { HeldDownloads } from "./held_downloads";
import { pictureAt } from "./input_picture";
import { ProbeSets } from "./probe_sets";
import { SamplePicker } from "./sample_picker";
import { Waiting } from "./words";

const TILE = 64;
const STRONGEST = 16;

interface PanelProps {
  readonly store: Store;
  readonly width: number;
}

/** What the selected layer makes of a probe sample at the current step: its strongest channels as pictures. */
export function Activations({ store, width }: PanelProps): JSX.Element {
  const held = store.pictures.activation.value;
  return (
    <section class="panel" id={useSideId("activations")} aria-label={useSideName("Activations")}>
      <div class="panel-title">
        <h4>Activations</h4>
        {held.data !== null && <span class="quiet number">at step {held.data.step}</span>}
        <HeldDownloads store={store} held={held.data} name="activations" />
      </div>
      {held.data?.arrays.get("values") === undefined ? (
        <Waiting resource={held}>
          <p>No activations of this layer in this run. With a few samples, call</p>
          <pre>scope.activations(probe_x, step=step, maps=["{store.layer.value}"])</pre>
        </Waiting>
      ) : (
        <Shown store={store} held={held.data} width={width} />
      )}
    </section>
  );
}

interface ShownProps extends PanelProps {
  readonly held: Held;
}

function Shown({ store, held, width }: ShownProps): JSX.Element {
  const values = held.arrays.get("values") as Tensor;
  const [samples = 0, channels = 0] = values.shape;
  const index = Math.min(store.sample.value, Math.max(0, samples - 1));
  const beside = useTwin(store)?.pictures.activation.value.data?.arrays.get("values");
  const scale = useMemo(() => scaleOf(values, beside), [values, beside]);
  const size = Array.from(held.arrays.get("size")?.data ?? []);
  const all = size[0] ?? channels;
  return (
    <>
      {held.inputs.problem !== "" && <p class="problem">{held.inputs.problem}</p>}
      <p class="said">
        {size.length > 0 && `layer output ${formatShape(size)}; `}
        {channels < all ? `the ${channels} strongest of ${all} channels` : `all ${channels} channels`}
        {", by root mean square over the probe set"}
      </p>
      <ProbeSets store={store} held={held} />
      <SamplePicker store={store} inputs={held.inputs} count={samples} />
      {scale === null ? (
        <p class="empty">The layer gave no finite numbers.</p>
      ) : (
        <>
          {values.shape.length > 2 && <Legend scale={scale} title="" />}
          <Channels held={held} values={values} index={index} scale={scale} width={width} />
        </>
      )}
    </>
  );
}

/** One scale for all samples and channels, of both sides, from 0 on, or around it where any is negative. */
function scaleOf(values: Tensor, beside: Tensor | undefined): ColourScale | null {
  const all = Float64Array.from([...Array.from(values.data, Number), ...Array.from(beside?.data ?? [], Number)]);
  return attributionScale(
    all,
    all.some((value) => value < 0),
    false,
  );
}

interface ChannelsProps {
  readonly held: Held;
  readonly values: Tensor;
  readonly index: number;
  readonly scale: ColourScale;
  readonly width: number;
}

function Channels({ held, values, index, scale, width }: ChannelsProps): JSX.Element | null {
  const sample = sampleOf(values, index);
  const numbers = Array.from(held.arrays.get("channels")?.data ?? []);
  const strength = held.arrays.get("strength")?.data ?? [];
  const name = (place: number) => `ch ${numbers[place] ?? place}`;
  if (sample === null) return null;
  if (sample.shape.length === 3) {
    const first = held.inputs.tensors?.get("0") ?? null;
    return <Tiles sample={sample} name={name} strength={strength} scale={scale} picture={pictureAt(first, index)} />;
  }
  if (sample.shape.length === 2) {
    const tokens = held.inputs.description?.inputs[0]?.tokens[index] ?? [];
    const [, count = 1] = sample.shape;
    const positions = held.arrays.get("size")?.data[1] ?? count;
    const place = (column: number) => {
      const span = areaOf(column, count, positions);
      const words = tokens.length === positions ? tokens.slice(span[0], span[1] + 1).filter(Boolean) : [];
      const word = words.length > 0 ? ` (${visible(words.join(" "))})` : "";
      return `${span[0] === span[1] ? "position" : "mean of positions"} ${formatSpan(span)}${word}`;
    };
    return (
      <Matrix
        map={sample}
        scale={scale}
        width={width}
        height={220}
        label="activations, channels by positions"
        place={(row, column) => `${name(row)}, ${place(column)}`}
      />
    );
  }
  return <Flat sample={sample} name={name} width={width} />;
}

interface TilesProps {
  readonly sample: SampleMap;
  readonly name: (place: number) => string;
  readonly strength: ArrayLike<number>;
  readonly scale: ColourScale;
  readonly picture: ReturnType<typeof pictureAt>;
}

/** A picture for each channel, the input first. */
function Tiles({ sample, name, strength, scale, picture }: TilesProps): JSX.Element {
  const [channels = 0, height = 1, width = 1] = sample.shape;
  const area = height * width;
  const [byNumber, setByNumber] = useState(false);
  const order = Array.from({ length: channels }, (_, place) => place);
  if (byNumber) order.sort((one, other) => Number(name(one).slice(3)) - Number(name(other).slice(3)));
  return (
    <>
      <div class="chips">
        <button type="button" aria-pressed={!byNumber} onClick={() => setByNumber(false)}>
          strongest first
        </button>
        <button type="button" aria-pressed={byNumber} onClick={() => setByNumber(true)}>
          by number
        </button>
      </div>
      <div class="tiles" data-testid="activation-channels">
        {picture !== null && (
          <figure class="tile">
            <AttributionMap map={null} scale={null} picture={picture} size={TILE} label="input" />
            <figcaption class="caption">input</figcaption>
          </figure>
        )}
        {order.map((place) => (
          <figure class="tile" key={place} title={`root mean square ${formatNumber(strength[place] ?? Number.NaN)}`}>
            <AttributionMap
              map={{ shape: [height, width], values: sliced(sample.values, place * area, area) }}
              scale={scale}
              picture={null}
              size={TILE}
              label={`${name(place)}, root mean square ${formatNumber(strength[place] ?? Number.NaN)}`}
            />
            <figcaption class="caption number">{name(place)}</figcaption>
          </figure>
        ))}
      </div>
    </>
  );
}

function sliced(values: ArrayLike<number>, from: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => values[from + i] ?? Number.NaN);
}

/** A flat layer: bars in the order of the channels' numbers, and the strongest in words. */
function Flat({ sample, name, width }: Pick<TilesProps, "sample" | "name"> & { readonly width: number }): JSX.Element {
  const places = Array.from({ length: sample.shape[0] ?? 0 }, (_, place) => place);
  const number = (place: number) => Number(name(place).slice(3));
  const inOrder = [...places].sort((one, other) => number(one) - number(other));
  const data = Float32Array.from(inOrder, (place) => sample.values[place] ?? Number.NaN);
  const strongest = [...places]
    .sort((one, other) => Math.abs(sample.values[other] ?? 0) - Math.abs(sample.values[one] ?? 0))
    .slice(0, STRONGEST);
  return (
    <>
      <Vector
        values={{ shape: [data.length], data }}
        size={72}
        width={width}
        label={`outputs of the ${data.length} channels`}
      />
      <p class="said number">
        {strongest.map((place) => `${name(place)} ${formatNumber(sample.values[place] ?? Number.NaN)}`).join(" · ")}
      </p>
    </>
  );
}
