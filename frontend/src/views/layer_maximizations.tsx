import type { JSX } from "preact";
import { formatNumber } from "../format";
import { lastModules, type ModelGraph, nodeOf } from "../graph";
import type { Maximized, MaximizedAt } from "../pictures";
import type { Store } from "../store";
import { visible } from "../token_text";
import { frameSize } from "./attribution_film";
import { useSideId, useSideName } from "./compare";
import { Downloads } from "./downloads";
import { MaximizedInput } from "./maximized_input";
import { isFramed, TopSamples } from "./top_samples";
import { Waiting } from "./words";
import "./maximizations.css";

const TILE = 96;

interface PanelProps {
  readonly store: Store;
  readonly width: number;
}

/** The inputs that excite units of the selected layer most, as found at the current step; without one, of the output. */
export function Maximizations({ store, width }: PanelProps): JSX.Element {
  const found = store.pictures.units.value;
  return (
    <section class="panel" id={useSideId("maximization")} aria-label={useSideName("Activation maximization")}>
      <div class="panel-title">
        <h4>Activation maximization</h4>
        {found.data !== null && <span class="quiet number">at step {found.data.step}</span>}
        {found.data !== null && <Downloads store={store} name="maximization" />}
      </div>
      {found.data === null ? (
        <Waiting resource={found}>
          <p>No images of this layer in this run. For chosen layers, call</p>
          <pre>scope.maximize(step=step, layers=["{store.layer.value}"])</pre>
        </Waiting>
      ) : (
        <Units store={store} found={found.data} width={width} />
      )}
    </section>
  );
}

function Units({ store, found, width }: PanelProps & { readonly found: MaximizedAt }): JSX.Element {
  const chosen = chosenOf(store, found);
  const problems = new Set(found.units.map(({ inputs }) => inputs.problem).filter(Boolean));
  return (
    <>
      {[...problems].map((problem) => (
        <p class="problem" key={problem}>
          {problem}
        </p>
      ))}
      <div class={found.units[0]?.modality === "text" ? "units rows" : "units"}>
        {found.units.map((unit) => (
          <button
            type="button"
            class="sample unit"
            key={unit.index}
            aria-pressed={unit.index === chosen?.index}
            title={wordsOf(unit)}
            onClick={() => store.choose({ unit: unit.index })}
          >
            <MaximizedInput unit={unit} size={TILE} testId="maximization-image" />
            <span class="caption number">
              <bdi>{titleOf(store, unit)}</bdi>
            </span>{" "}
            <Yardstick unit={unit} />
          </button>
        ))}
      </div>
      {chosen !== null && <Closely store={store} found={found} unit={chosen} width={width} />}
    </>
  );
}

/** The unit that is looked at closely: the first if none was chosen. */
function chosenOf(store: Store, found: MaximizedAt): Maximized | null {
  const index = store.chosen("unit");
  return found.units.find((unit) => unit.index === index) ?? found.units[0] ?? null;
}

/** The name of the class, where the units are the model's scores; else the number of the channel, and where. */
function titleOf(store: Store, { unit, inputs }: Maximized): string {
  if (unit.objective === "layer") return "whole layer";
  const names = inputs.description?.class_names ?? [];
  const name = names[unit.channel];
  const named = unit.objective !== "direction" && name !== undefined;
  if (named && givesScores(store.graph.value.data, unit.layer, names.length)) return visible(name);
  const number = `${unit.objective === "direction" ? "direction" : "ch"} ${unit.channel}`;
  if (unit.objective !== "neuron") return number;
  return `${number} at ${unit.position === null ? "the middle" : unit.position.join(", ")}`;
}

/** Whether a layer gives the model's scores, one for each class. */
function givesScores(graph: ModelGraph | null, layer: string, classes: number): boolean {
  if (layer === "") return true;
  const shape = nodeOf(graph, layer)?.output_shapes[0] ?? [];
  return graph !== null && shape.length === 2 && shape[1] === classes && lastModules(graph).has(layer);
}

/** What the image reaches, and beside it the most that a real sample does. */
function Yardstick({ unit }: { readonly unit: Maximized }): JSX.Element | null {
  const real = unit.topSamples[0]?.objective ?? null;
  if (unit.objective === null) return null;
  const most = Math.max(Math.abs(unit.objective), Math.abs(real ?? 0)) || 1;
  const share = (value: number) => `${Math.round((100 * Math.max(0, value)) / most)}%`;
  return (
    <span class="yardstick number">
      <span class="yardstick-bar">
        <i style={{ width: share(unit.objective) }} />
        {real !== null && <b style={{ left: share(real) }} />}
      </span>
      <span>
        {formatNumber(unit.objective)}
        {real !== null && <span class="quiet"> / real {formatNumber(real)}</span>}
      </span>
    </span>
  );
}

function wordsOf({ objective, topSamples }: Maximized): string {
  const reaches = objective === null ? "" : `it reaches ${formatNumber(objective)}`;
  const [best] = topSamples;
  return best === undefined ? reaches : `${reaches}; of the probe samples the most is ${formatNumber(best.objective)}`;
}

/** One unit: how what it responds to formed over the training, and the real samples that excite it most. */
function Closely({ store, found, unit, width }: UnitProps): JSX.Element {
  return (
    <>
      <Film store={store} found={found} unit={unit} width={width} />
      {unit.topSamples.length > 0 && (
        <>
          <h5>
            {titleOf(store, unit)}: probe samples that excite it most{" "}
            {unit.topSamples.some(isFramed) && <span class="quiet">the part that was seen is framed</span>}
          </h5>
          <TopSamples unit={unit} inputs={unit.inputs} onSelect={(sample) => store.choose({ sample })} />
        </>
      )}
    </>
  );
}

interface UnitProps extends PanelProps {
  readonly found: MaximizedAt;
  readonly unit: Maximized;
}

function Film({ store, found, unit, width }: UnitProps): JSX.Element | null {
  const frames = store.pictures.unitsFilm.value.data ?? [];
  const repeat = found.units.filter((one) => one.index < unit.index && sameUnit(one, unit)).length;
  const shown = frames.map(({ step, units }) => ({
    step,
    unit: units.filter((one) => sameUnit(one, unit))[repeat] ?? null,
  }));
  if (shown.filter((frame) => frame.unit !== null).length < 2) return null;
  return (
    <>
      <h5>{titleOf(store, unit)} over training</h5>
      <div class={unit.modality === "text" ? "units rows" : "film"}>
        {shown.map(({ step, unit: one }) => (
          <button
            type="button"
            class="sample"
            key={step}
            aria-pressed={step === found.step}
            aria-label={`Go to step ${step}${reached(one)}`}
            onClick={() => store.goTo(step)}
          >
            {one === null ? (
              <span class="quiet">none</span>
            ) : (
              <MaximizedInput unit={one} size={frameSize(frames.length, width)} />
            )}
            <span class="caption number">
              step {step}
              <span class="quiet">{reached(one)}</span>
            </span>
          </button>
        ))}
      </div>
    </>
  );
}

function reached(unit: Maximized | null): string {
  return unit?.objective == null ? "" : ` · ${formatNumber(unit.objective)}`;
}

function sameUnit(one: Maximized, other: Maximized): boolean {
  const { layer, channel, objective, position } = other.unit;
  return (
    one.unit.layer === layer &&
    one.unit.channel === channel &&
    one.unit.objective === objective &&
    String(one.unit.position) === String(position)
  );
}
