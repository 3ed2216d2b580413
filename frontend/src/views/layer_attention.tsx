import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { Legend } from "../charts/legend";
import { AttributionMap, type SampleMap, sampleOf } from "../charts/map";
import { Matrix } from "../charts/matrix";
import { ColourScale } from "../colour";
import type { Held } from "../pictures";
import type { Tensor } from "../safetensors";
import type { Store } from "../store";
import { visible } from "../token_text";
import { useSideId, useSideName } from "./compare";
import { HeldDownloads } from "./held_downloads";
import { ProbeSets } from "./probe_sets";
import { SamplePicker } from "./sample_picker";
import { Waiting } from "./words";

const TILE = 72;

interface PanelProps {
  readonly store: Store;
  readonly width: number;
}

/** Where each head of the selected layer attends for a probe sample; nothing where no attention was saved. */
export function Attention({ store, width }: PanelProps): JSX.Element | null {
  const held = store.pictures.attention.value;
  if (held.data === null && held.error === "" && !held.loading) return null; // most layers have none
  return (
    <section class="panel" id={useSideId("attention")} aria-label={useSideName("Attention")}>
      <div class="panel-title">
        <h4>Attention</h4>
        {held.data !== null && <span class="quiet number">at step {held.data.step}</span>}
        <HeldDownloads store={store} held={held.data} name="attention" />
      </div>
      {held.data?.arrays.get("values") === undefined ? (
        <Waiting resource={held}>
          <p>No attention weights.</p>
        </Waiting>
      ) : (
        <Heads store={store} held={held.data} width={width} />
      )}
    </section>
  );
}

interface HeadsProps extends PanelProps {
  readonly held: Held;
}

function Heads({ store, held, width }: HeadsProps): JSX.Element {
  const values = held.arrays.get("values") as Tensor;
  const [entries = 0, heads = 0, queries = 0, keys = 0] = values.shape;
  const windows = held.arrays.get("each")?.data[0] ?? 1;
  const samples = Math.floor(entries / windows);
  const of = Math.min(store.sample.value, Math.max(0, samples - 1));
  const window = Math.min(store.chosen("window") ?? 0, windows - 1);
  const index = of * windows + window;
  const head = Math.min(store.chosen("head") ?? 0, Math.max(0, heads - 1));
  const sample = useMemo(() => sampleOf(values, index), [values, index]);
  const scale = useMemo(() => new ColourScale("linear", 0, largest(values.data)), [values]);
  const tokens = held.inputs.description?.inputs[0]?.tokens[of] ?? [];
  if (sample === null || values.shape.length !== 4) return <p class="empty">Weights of this shape are not drawn.</p>;
  const area = queries * keys;
  const mapOf = (place: number): SampleMap => ({
    shape: [queries, keys],
    values: Float32Array.from({ length: area }, (_, i) => sample.values[place * area + i] ?? Number.NaN),
  });
  const word = (what: string, place: number, count: number) =>
    `${what} ${tokens.length === count && tokens[place] ? visible(tokens[place]) : place}`;
  return (
    <>
      <p class="said">
        {heads} heads; rows are queries, columns keys, each row adds up to 1
        {Array.from(sample.values).some(Number.isNaN) ? "; hatched rows are masked" : ""}
      </p>
      <ProbeSets store={store} held={held} />
      <SamplePicker store={store} inputs={held.inputs} count={samples} />
      {windows > 1 && (
        <label class="field">
          window{" "}
          <input
            type="number"
            min={0}
            max={windows - 1}
            value={window}
            onInput={({ currentTarget }) => store.choose({ window: currentTarget.valueAsNumber || 0 })}
          />{" "}
          <span class="quiet number">of {windows}, within which this layer attends</span>
        </label>
      )}
      <Legend scale={scale} title="" />
      <div class="tiles" data-testid="attention-heads">
        {Array.from({ length: heads }, (_, place) => (
          <button
            type="button"
            class="tile"
            key={place}
            aria-pressed={place === head}
            onClick={() => store.choose({ head: place })}
          >
            <AttributionMap map={mapOf(place)} scale={scale} picture={null} size={TILE} label={`head ${place}`} />
            <span class="caption number">head {place}</span>
          </button>
        ))}
      </div>
      <h5>head {head}</h5>
      <Matrix
        map={mapOf(head)}
        scale={scale}
        width={width}
        height={320}
        label={`attention of head ${head}, queries by keys`}
        place={(row, column) => `${word("query", row, queries)} → ${word("key", column, keys)}`}
      />
    </>
  );
}

function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) if ((values[i] as number) > most) most = values[i] as number;
  return most || 1;
}
