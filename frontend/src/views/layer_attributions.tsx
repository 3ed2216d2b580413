import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { Legend } from "../charts/legend";
import { AttributionMap, type Picture, pictureOf, type SampleMap, sampleOf } from "../charts/map";
import { Strip } from "../charts/strip";
import { type ColourScale, fitScale } from "../colour";
import type { Maps } from "../data";
import type { Inputs } from "../detail";
import { formatNumber, formatShape } from "../format";
import type { Tensors } from "../safetensors";
import type { Store } from "../store";
import { Trust } from "./trust";
import { Waiting } from "./words";

const MAX_SAMPLES = 16;
const TILE = 80;

/**
 * Where the selected layer looked: its attribution maps at the current step, over the inputs, and over training. Without
 * a layer, what the inputs themselves contribute, and how far to trust that.
 */
export function Attributions({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element {
  const maps = store.detail.maps.value;
  const film = store.detail.film.value.data;
  const methods = store.tellingMethods.value;
  const ofInputs = store.layer.value === null;
  const scale = useMemo(() => mapScale([...(maps.data ? [maps.data] : []), ...(film ?? [])]), [maps.data, film]);
  return (
    <section class="panel" aria-label="Attribution maps">
      <div class="panel-title">
        <h4>{ofInputs ? "Attribution of the inputs" : "Attribution"}</h4>
        {methods.length > 0 && (
          <select
            aria-label="Attribution method"
            data-testid="method-picker"
            value={store.method.value?.name ?? ""}
            onChange={(event) => store.choose({ method: event.currentTarget.value })}
          >
            {methods.map(({ name }) => (
              <option key={name} value={name}>
                {name.replaceAll("_", " ")}
              </option>
            ))}
          </select>
        )}
        {maps.data !== null && <span class="quiet number">at step {maps.data.step}</span>}
      </div>
      {maps.data?.map == null ? (
        <Waiting resource={maps}>
          {methods.length > 0 ? (
            <p>{store.method.value?.name.replaceAll("_", " ")} gives no map for this layer.</p>
          ) : (
            <>
              <p>No attribution maps in this run. With a few samples and their classes, call</p>
              <pre>scope.attributions(probe_x, probe_y, step=step)</pre>
            </>
          )}
        </Waiting>
      ) : (
        <>
          <Legend scale={scale} title="" attribution />
          <Trust scores={maps.data.trust} />
          <Samples
            store={store}
            maps={maps.data}
            inputs={store.detail.inputsAt(maps.data.step)}
            scale={scale}
            width={width}
          />
          {film !== null && <Film store={store} film={film} scale={scale} width={width} />}
        </>
      )}
    </section>
  );
}

/** One scale for every sample and every step that is shown, so that they compare. */
export function mapScale(maps: readonly Maps[]): ColourScale | null {
  const signed = maps.some((one) => one.signed);
  const values = function* () {
    for (const { map } of maps) if (map !== null) yield* map.data;
  };
  return fitScale(signed ? "signed" : "linear", Float64Array.from(values()));
}

interface SamplesProps {
  readonly store: Store;
  readonly maps: Maps;
  readonly inputs: Inputs;
  readonly scale: ColourScale | null;
  readonly width: number;
}

function Samples({ store, maps, inputs, scale, width }: SamplesProps): JSX.Element | null {
  const map = maps.map;
  if (map === null || scale === null) return <p class="empty">The map has no finite values.</p>;
  const [count = 0, ...grid] = map.shape;
  const flat = grid.length === 1;
  return (
    <>
      <p class="quiet">
        {store.layer.value === null ? "input " : grid.length === 2 ? "layer grid " : "layer output "}
        {formatShape(grid)}
        {grid.length > 2 ? ": maps of this shape are not drawn" : ""}
        {count > MAX_SAMPLES ? `; ${MAX_SAMPLES} of ${count} samples` : ""}
      </p>
      {inputs.problem !== "" && <p class="problem">{inputs.problem}</p>}
      <div class={flat ? "samples flat" : "samples"}>
        {Array.from({ length: Math.min(count, MAX_SAMPLES) }, (_, index) => {
          const sample = sampleOf(map, index);
          if (sample === null || grid.length > 2) return null;
          const caption = captionOf(maps, index);
          return (
            <button
              type="button"
              class="sample"
              key={index}
              aria-pressed={index === store.sample.value}
              aria-label={`Sample ${index}, ${caption}`}
              onClick={() => store.choose({ sample: index })}
            >
              <SampleView
                sample={sample}
                picture={pictureAt(inputs.tensors, index)}
                scale={scale}
                width={width}
                index={index}
              />
              <span class="caption number">{caption}</span>
            </button>
          );
        })}
      </div>
    </>
  );
}

interface SampleViewProps {
  readonly sample: SampleMap;
  readonly picture: Picture | null;
  readonly scale: ColourScale;
  readonly width: number;
  readonly index: number;
}

function SampleView({ sample, picture, scale, width, index }: SampleViewProps): JSX.Element {
  if (sample.shape.length !== 2) {
    return (
      <span data-testid="attribution-map">
        <Strip
          values={sample.values}
          scale={scale}
          width={Math.max(80, width - 14)}
          height={36}
          label={`attribution of ${sample.values.length} features, sample ${index}`}
        />
      </span>
    );
  }
  return (
    <span class="pair">
      {picture !== null && (
        <AttributionMap map={null} scale={null} picture={picture} size={TILE} label={`input, sample ${index}`} />
      )}
      <span data-testid="attribution-map">
        <AttributionMap
          map={sample}
          scale={scale}
          picture={picture}
          size={TILE}
          label={`attribution, sample ${index}`}
        />
      </span>
    </span>
  );
}

const pictures = new WeakMap<Tensors, Map<number, Picture | null>>();

/** Input `index` as a picture, made once; null where the inputs are no images. */
function pictureAt(inputs: Tensors | null, index: number): Picture | null {
  const first = inputs?.get("0");
  if (inputs === null || first === undefined) return null;
  const made = pictures.get(inputs) ?? new Map<number, Picture | null>();
  pictures.set(inputs, made);
  if (!made.has(index)) made.set(index, pictureOf(first, index));
  return made.get(index) ?? null;
}

/** What the map explains, e.g. `class 3 · p 0.98`. */
export function captionOf({ targets, probabilities, delta }: Maps, index: number): string {
  const parts: string[] = [];
  const target = targets?.data[index];
  const probability = probabilities?.data[index];
  const gap = delta?.data[index];
  if (target !== undefined) parts.push(`class ${target}`);
  if (probability !== undefined && Number.isFinite(probability)) parts.push(`p ${probability.toFixed(2)}`);
  if (gap !== undefined && Number.isFinite(gap)) parts.push(`gap ${formatNumber(gap)}`);
  return parts.join(" · ") || `sample ${index}`;
}

interface FilmProps {
  readonly store: Store;
  readonly film: readonly Maps[];
  readonly scale: ColourScale | null;
  readonly width: number;
}

/** The chosen sample's map at a few steps from first to last. */
function Film({ store, film, scale, width }: FilmProps): JSX.Element | null {
  const index = store.sample.value;
  const frames = film.map(({ step, map }) => ({
    step,
    sample: map === null ? null : sampleOf(map, index),
    picture: pictureAt(store.detail.inputsAt(step).tensors, index),
  }));
  if (scale === null || frames.every(({ sample }) => sample === null || sample.shape.length > 2)) return null;
  const size = Math.min(TILE, Math.floor((width - 8 * frames.length) / frames.length));
  return (
    <>
      <h5>
        sample {index} over training <span class="quiet">same scale</span>
      </h5>
      <div class="film">
        {frames.map(({ step, sample, picture }) => (
          <button
            type="button"
            key={step}
            class="sample"
            aria-pressed={step === store.detail.maps.value.data?.step}
            aria-label={`Go to step ${step}`}
            onClick={() => store.goTo(step)}
          >
            {sample === null ? (
              <span class="quiet">none</span>
            ) : sample.shape.length === 2 ? (
              <AttributionMap
                map={sample}
                scale={scale}
                picture={picture}
                size={size}
                label={`attribution at step ${step}`}
              />
            ) : (
              <Strip
                values={sample.values}
                scale={scale}
                width={size}
                height={36}
                label={`attribution at step ${step}`}
              />
            )}
            <span class="caption number">{step}</span>
          </button>
        ))}
      </div>
    </>
  );
}
