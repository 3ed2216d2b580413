import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { attributionScale } from "../attribution";
import { Legend } from "../charts/legend";
import { sampleOf } from "../charts/map";
import type { ColourScale } from "../colour";
import type { Maps } from "../data";
import { formatName } from "../format";
import { nodeOf } from "../graph";
import type { Tensor } from "../safetensors";
import type { Store } from "../store";
import { tensorTable } from "../tables";
import { visible } from "../token_text";
import type { ProbeInput, SamplesBlob } from "../wire";
import { type Beside, besideOf, SwipeToggle } from "./attribution_compare";
import { image } from "./attribution_image";
import { Extent, MAX_SAMPLES, Samples } from "./attribution_samples";
import type { AttributionView, Shown } from "./attribution_view";
import { viewOf } from "./attribution_views";
import { Side } from "./compare";
import { Downloads } from "./downloads";
import { Overlaid } from "./overlay";
import { Trust } from "./trust";
import { Waiting } from "./words";

/**
 * Where the selected layer looked: its attribution maps at the current step, over the inputs, and over training. Without
 * a layer, what the inputs themselves contribute, and how far to trust that.
 */
export function Attributions({ store, width }: { readonly store: Store; readonly width: number }): JSX.Element {
  const maps = store.detail.maps.value;
  const methods = store.tellingMethods.value;
  const ofInputs = store.layer.value === null;
  return (
    <section class="panel" id="attributions" aria-label="Attribution maps">
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
        {ofInputs && <InputPicker store={store} />}
        {maps.data !== null && <span class="quiet number">at step {maps.data.step}</span>}
        {maps.data?.map && (
          <Downloads
            store={store}
            name={maps.data.method}
            table={() => tensorTable(maps.data?.map as Tensor, ["sample"])}
          />
        )}
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
        <Attributed store={store} maps={maps.data} width={width} />
      )}
    </section>
  );
}

/** Which of the inputs, where a method attributes several. */
function InputPicker({ store }: { readonly store: Store }): JSX.Element | null {
  const positions = store.inputs.value;
  const step = store.detail.maps.value.data?.step;
  if (positions.length < 2) return null;
  const described = step === undefined ? [] : (store.detail.inputsAt(step).description?.inputs ?? []);
  return (
    <select
      aria-label="Input"
      data-testid="input-picker"
      value={store.input.value}
      onChange={(event) => store.choose({ input: Number(event.currentTarget.value) })}
    >
      {positions.map((position) => (
        <option key={position} value={position}>
          input {visible(described[position]?.name || String(position))}
        </option>
      ))}
    </select>
  );
}

/** That the other side has nothing of this method, so that nobody looks for it. */
function Missing({ store }: { readonly store: Store }): JSX.Element | null {
  const other = store.other.value;
  if (other === null || other.listing.value.data === null || other.method.value !== null) return null;
  return (
    <p class="side-caption">
      <Side of="B" /> no {formatName(store.method.value?.name ?? "")} in <bdi>{other.run.value}</bdi>
    </p>
  );
}

interface AttributedProps {
  readonly store: Store;
  readonly maps: Maps;
  readonly width: number;
}

function Attributed({ store, maps, width }: AttributedProps): JSX.Element {
  const film = store.detail.film.value.data;
  const samples = store.detail.samples.value.data;
  const layer = store.layer.value;
  const graph = store.graph.value.data;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown depends on the inputs and the structure too
  const shown = useMemo(() => shownOf(store, maps), [maps, samples, layer, graph]);
  const view = shown[0] === undefined ? null : viewOf(shown[0]);
  const otherShown = useOther(store);
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above
  const scale = useMemo(() => {
    const all = [maps, ...(film ?? [])];
    return view === null ? null : scaleOf(store, all, view, otherShown ?? []);
  }, [maps, film, samples, layer, graph, view, otherShown]);
  const { problem } = store.detail.inputsAt(maps.step);
  const beside = useMemo(() => (otherShown === null ? null : besideOf(shown, otherShown)), [shown, otherShown]);
  if (view === null || scale === null) {
    return (
      <>
        <Extent store={store} maps={maps} />
        <p class="empty">{view === null ? "Maps of this shape are not drawn." : "The map has no finite values."}</p>
      </>
    );
  }
  return (
    <>
      <Legend scale={scale} title="" attribution {...(view.ramp && { ramp: view.ramp(scale) })} />
      {beside !== null && <Besides store={store} beside={beside} tiles={view.tiles} />}
      <Missing store={store} />
      <Trust scores={maps.trust} notes={maps.notes} />
      {problem !== "" && <p class="problem">{problem}</p>}
      <Overlaid store={store} images={view === image && shown.some(({ inputs }) => inputs !== null)}>
        <Samples store={store} maps={maps} shown={shown} view={view} scale={scale} width={width} beside={beside} />
        {film !== null && <Film store={store} film={film} view={view} scale={scale} width={width} />}
      </Overlaid>
    </>
  );
}

/** The samples of what is compared with; null where nothing is, or not yet. */
function useOther(store: Store): readonly Shown[] | null {
  const other = store.other.value;
  const maps = other?.detail.maps.value.data ?? null;
  const [samples, layer, graph] = [other?.detail.samples.value.data, other?.layer.value, other?.graph.value.data];
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is shown depends on the inputs and the structure too
  return useMemo(() => {
    const unmatched = store.layer.peek() !== null && layer === null;
    return other === null || maps === null || unmatched ? null : shownOf(other, maps);
  }, [other, maps, samples, layer, graph]);
}

interface BesidesProps {
  readonly store: Store;
  readonly beside: Beside;
  readonly tiles: boolean;
}

/** The scale of the differences, and how both sides are laid out. */
function Besides({ store, beside, tiles }: BesidesProps): JSX.Element {
  const step = store.other.value?.detail.maps.value.data?.step;
  return (
    <div class="side-caption">
      {beside.scale !== null && <Legend scale={beside.scale} title="A − B" />}
      {step !== undefined && <span class="number">B at step {step}</span>}
      {tiles && <SwipeToggle store={store} />}
      {beside.problem !== "" && <span class="problem">{beside.problem}</span>}
    </div>
  );
}

/** One scale for every sample and every step that is shown, of both sides, so that they compare. */
function scaleOf(
  store: Store,
  all: readonly Maps[],
  view: AttributionView,
  others: readonly Shown[],
): ColourScale | null {
  const values = [...all.flatMap((maps) => shownOf(store, maps)), ...others].map(
    (shown) => view.values?.(shown) ?? shown.map.values,
  );
  const together = new Float64Array(values.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of values) {
    together.set(part, at);
    at += part.length;
  }
  return attributionScale(
    together,
    all.some(({ signed }) => signed),
    view.whole,
  );
}

/** The first samples of a map, with what is known of their inputs. */
function shownOf(store: Store, { map, step }: Maps): Shown[] {
  if (map === null) return [];
  const { tensors, description } = store.detail.inputsAt(step);
  const position = store.layer.value === null ? store.input.value : 0;
  const described = describedBy(store, description);
  const inputs = tensors?.get(String(position)) ?? null;
  return Array.from({ length: Math.min(map.shape[0] ?? 0, MAX_SAMPLES) }, (_, index) => index).flatMap((index) => {
    const sample = sampleOf(map, index);
    return sample === null ? [] : [{ index, map: sample, inputs, described }];
  });
}

/**
 * How the input is to be read to which a map belongs: of a layer the first, where the map lies along it. Only an output
 * [samples, tokens, features] has one number for each token; the features of [samples, features] are no tokens, though
 * they may be as many.
 */
function describedBy(store: Store, description: SamplesBlob | null): ProbeInput | null {
  const layer = store.layer.value;
  if (layer === null) return description?.inputs[store.input.value] ?? null;
  const first = description?.inputs[0] ?? null;
  const rank = nodeOf(store.graph.value.data, layer)?.output_shapes[0]?.length;
  const along =
    first?.modality === "text" || first?.modality === "time_series" ? rank === 3 : first?.modality === "image";
  return along ? first : null;
}

interface FilmProps extends Omit<AttributedProps, "maps"> {
  readonly film: readonly Maps[];
  readonly view: AttributionView;
  readonly scale: ColourScale;
}

/** The chosen sample at a few steps from first to last. */
function Film({ store, film, view, scale, width }: FilmProps): JSX.Element | null {
  const index = store.sample.value;
  const frames = film.map((maps) => {
    const shown = shownOf(store, maps).find((one) => one.index === index) ?? null;
    return { step: maps.step, shown: shown !== null && view.fits(shown) ? shown : null };
  });
  if (frames.every(({ shown }) => shown === null)) return null;
  return (
    <>
      <h5>
        sample {index} over training <span class="quiet">same scale</span>
      </h5>
      <view.Film
        frames={frames}
        scale={scale}
        width={width}
        current={store.detail.maps.value.data?.step ?? null}
        onStep={(step) => store.goTo(step)}
      />
    </>
  );
}
