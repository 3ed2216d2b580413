import type { JSX } from "preact";
import type { FilmProps, SampleProps } from "./attribution_view";

const TILE = 80;
const GAP = 8;

/** The side of one of so many frames that stand side by side. */
export function frameSize(frames: number, width: number): number {
  return Math.min(TILE, Math.floor((width - GAP * frames) / Math.max(1, frames)));
}

/** Steps side by side, each drawn as a sample is. */
export function filmOf(Frame: (props: SampleProps) => JSX.Element): (props: FilmProps) => JSX.Element {
  return function Film({ frames, scale, width, current, onStep }) {
    const size = frameSize(frames.length, width);
    return (
      <div class="film">
        {frames.map(({ step, shown }) => (
          <button
            type="button"
            key={step}
            class="sample"
            aria-pressed={step === current}
            aria-label={`Go to step ${step}`}
            onClick={() => onStep(step)}
          >
            {shown === null ? (
              <span class="quiet">none</span>
            ) : (
              <Frame shown={shown} scale={scale} width={size} limit={null} />
            )}
            <span class="caption number">{step}</span>
          </button>
        ))}
      </div>
    );
  };
}
