import type { JSX } from "preact";
import type { ColourScale } from "../colour";
import type { Maps } from "../data";
import { formatNumber, formatShape, formatShare } from "../format";
import type { Store } from "../store";
import { visible } from "../token_text";
import { type Beside, Compared } from "./attribution_compare";
import type { AttributionView, Shown } from "./attribution_view";
import { viewOf } from "./attribution_views";
import "./attributions.css";

/** How many samples are drawn. */
export const MAX_SAMPLES = 16;

interface SamplesProps {
  readonly store: Store;
  readonly maps: Maps;
  readonly shown: readonly Shown[];
  readonly view: AttributionView;
  readonly scale: ColourScale;
  readonly width: number;
  /** What the other side of a comparison has of them. */
  readonly beside: Beside | null;
}

/** The attributions of every sample at one step, each with the class that it explains. */
export function Samples({ store, maps, shown, view, scale, width, beside }: SamplesProps): JSX.Element {
  const [first] = shown;
  const features = view.features;
  const count = first && features ? features.count(first) : 0;
  const many = features !== undefined && count > features.limit;
  const limit = many && !store.allFeatures.value ? features.limit : null;
  return (
    <>
      <div class="samples-extent">
        <Extent store={store} maps={maps} />
        {many && (
          <button
            type="button"
            class="plain"
            data-testid="all-features"
            aria-pressed={store.allFeatures.value}
            onClick={() => store.choose({ allFeatures: store.allFeatures.value ? null : true })}
          >
            {limit === null ? `Show ${features.limit} ${features.word} only` : `Show all ${count} ${features.word}`}
          </button>
        )}
      </div>
      <div class={view.tiles && beside === null ? "samples" : "samples rows"}>
        {shown.map((one) => {
          const { index } = one;
          const choice = {
            "aria-pressed": index === store.sample.value,
            "aria-label": `Sample ${index}, ${captionOf(maps, index, classNames(store, maps)).join(" · ")}`,
            onClick: () => store.choose({ sample: index }),
          };
          const own = viewOf(one) ?? view;
          const props = { shown: one, scale, width, limit };
          const drawn =
            beside === null ? <own.Sample {...props} /> : <Compared {...props} {...{ store, beside }} view={own} />;
          const caption = <Caption parts={captionOf(maps, index, classNames(store, maps))} />;
          return view.tiles && beside === null ? (
            <button type="button" class="sample" key={index} data-testid="attribution-map" {...choice}>
              {drawn}
              {caption}
            </button>
          ) : (
            <div class="sample-row" key={index} data-testid="attribution-map">
              <button type="button" class="sample" {...choice}>
                {caption}
              </button>
              {drawn}
            </div>
          );
        })}
      </div>
    </>
  );
}

function classNames(store: Store, { step }: Maps): readonly string[] {
  return store.detail.inputsAt(step).description?.class_names ?? [];
}

/**
 * What is explained and how sure the model was of it: `["cat", "p 0.98", "gap 1 %"]`, or the number of the sample. The
 * gap is what is missing of the change that is to be explained; where that is not known, in units of the target.
 */
export function captionOf(
  { targets, probabilities, delta, trust }: Pick<Maps, "targets" | "probabilities" | "delta" | "trust">,
  index: number,
  classes: readonly string[] = [],
): string[] {
  const parts: string[] = [];
  const target = targets?.data[index];
  const probability = probabilities?.data[index];
  const gap = delta?.data[index];
  if (target !== undefined && target >= 0) parts.push(nameOf(target, classes));
  if (probability !== undefined && Number.isFinite(probability)) parts.push(`p ${rounded(probability)}`);
  const share = trust.get("completeness")?.data[index];
  if (share !== undefined && Number.isFinite(share)) parts.push(`gap ${formatShare(beyondRounding(share))}`);
  else if (gap !== undefined && Number.isFinite(gap)) parts.push(`gap ${formatNumber(beyondRounding(gap))}`);
  return parts.length > 0 ? parts : [`sample ${index}`];
}

/** What is left of sums in float32 that add up is no gap. */
function beyondRounding(gap: number): number {
  return Math.abs(gap) < 1e-5 ? 0 : gap;
}

/** Two digits, but never 0 or 1 of what is only nearly so. */
function rounded(probability: number): string {
  if (probability > 0 && probability < 0.01) return "< 0.01";
  return probability < 1 && probability > 0.99 ? "> 0.99" : probability.toFixed(2);
}

function nameOf(target: number, classes: readonly string[]): string {
  const name = classes[target];
  return name === undefined ? `class ${target}` : visible(name);
}

function Caption({ parts }: { readonly parts: readonly string[] }): JSX.Element {
  const [name, ...numbers] = parts;
  return (
    <span class="caption number">
      <bdi>{name}</bdi>
      {numbers.map((number) => ` · ${number}`).join("")}
    </span>
  );
}

/** What the maps are of, and of what shape. */
export function Extent({ store, maps }: { readonly store: Store; readonly maps: Maps }): JSX.Element {
  const [count = 0, ...grid] = maps.map?.shape ?? [];
  return (
    <span class="quiet">
      {store.layer.value === null ? "input " : grid.length === 2 ? "layer grid " : "layer output "}
      {formatShape(grid)}
      {count > MAX_SAMPLES ? `; ${MAX_SAMPLES} of ${count} samples` : ""}
    </span>
  );
}
