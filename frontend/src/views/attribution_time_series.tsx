import type { JSX } from "preact";
import { tints } from "../attribution";
import { type Channel, ChannelStrips, ColourStrip } from "../charts/channel_strips";
import { type SampleMap, sampleOf } from "../charts/map";
import { formatStep } from "../format";
import type { AttributionView, FilmProps, SampleProps, Shown } from "./attribution_view";

const LIMIT = 8;

/** Curves [time] or [time, channels], each over the strip of its attribution. */
export const timeSeries: AttributionView = {
  fits: ({ map, inputs, described }) =>
    described?.modality === "time_series" && map.shape.length <= 2 && map.shape[0] === inputs?.shape[1],
  tiles: false,
  whole: false,
  features: { word: "channels", limit: LIMIT, count: ({ map }) => map.shape[1] ?? 1 },
  ramp: (scale) => tints(scale, 1),
  Sample,
  Film,
};

/** Channel `at` of [time, channels]. */
function column({ shape, values }: SampleMap, at: number): ArrayLike<number> {
  const [length = 0, count = 1] = shape;
  return count === 1 ? values : Float32Array.from({ length }, (_, time) => values[time * count + at] ?? Number.NaN);
}

/** The channels of an attribution; one for all where it tells only when, as of a layer. */
export function channelsOf({ map, inputs, index, described }: Shown): Channel[] {
  const count = map.shape[1] ?? 1;
  const input = inputs === null ? null : sampleOf(inputs, index);
  const same = input !== null && (input.shape[1] ?? 1) === count;
  return Array.from({ length: count }, (_, at) => ({
    name: same ? (described?.feature_names[at] ?? "") : "all channels",
    values: same ? column(input, at) : null,
    attributions: column(map, at),
  }));
}

function Sample({ shown, scale, width, limit }: SampleProps): JSX.Element {
  const channels = channelsOf(shown);
  return (
    <ChannelStrips
      channels={channels.slice(0, limit ?? channels.length)}
      scale={scale}
      width={width}
      label={`attribution over time, sample ${shown.index}`}
    />
  );
}

const STEP_WIDTH = 64;

/** One line for each step, of one strip for each channel. */
function Film({ frames, scale, width, current, onStep }: FilmProps): JSX.Element {
  return (
    <div class="film-lines">
      {frames.map(({ step, shown }) => (
        <button
          type="button"
          key={step}
          class="sample"
          aria-pressed={step === current}
          aria-label={`Go to step ${step}`}
          onClick={() => onStep(step)}
        >
          <span class="caption number">{formatStep(step)}</span>
          <span>
            {shown === null ? (
              <span class="quiet">none</span>
            ) : (
              channelsOf(shown)
                .slice(0, LIMIT)
                .map(({ name, attributions }, at) => (
                  <ColourStrip
                    key={at}
                    values={attributions}
                    scale={scale}
                    width={Math.max(40, width - STEP_WIDTH)}
                    height={10}
                    label={`${name || `channel ${at}`} at step ${step}`}
                  />
                ))
            )}
          </span>
        </button>
      ))}
    </div>
  );
}
