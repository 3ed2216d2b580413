import type { JSX } from "preact";
import type { ColourScale } from "../colour";
import { formatValue } from "../format";

export interface LegendProps {
  /** null: nothing was measured. */
  readonly scale: ColourScale | null;
  /** What the colours stand for, e.g. `gradients · norm`. */
  readonly title: string;
  /** Say which end supports and which opposes. */
  readonly attribution?: boolean;
  /** Stops of the ramp, where the colours are not those of the scale. */
  readonly ramp?: readonly string[];
  readonly help?: string;
  /** Say what stripes are: what does not train. */
  readonly frozen?: boolean;
}

const WORDS = {
  log: "log",
  signed: "signed, 0 is white",
  fraction: "share",
  count: "count",
  linear: "",
  cosine: "1 is the same direction",
  difference: "more or less, 0 is white",
  points: "percentage points, 0 is white",
  ratio: "times as much, equal is white",
} as const;

/** A colour scale with its limits in numbers; `≤` and `≥` say that the data reaches beyond. */
export function Legend({ scale, title, attribution = false, ramp, help, frozen = false }: LegendProps): JSX.Element {
  if (scale === null) {
    return (
      <div class="legend">
        <span class="legend-title">{title}</span>
        <span class="quiet">no values</span>
      </div>
    );
  }
  const format = (value: number) => formatValue(scale.kind, value);
  return (
    <div class="legend" title={help}>
      <span class="legend-title">{title}</span>
      <span class="legend-scale">
        <span class="number">
          {scale.clippedLow ? "≤ " : ""}
          {format(scale.low)}
        </span>
        <span
          class="legend-ramp"
          style={{ background: `linear-gradient(to right, ${(ramp ?? scale.stops()).join(", ")})` }}
          role="img"
          aria-label={`colours from ${format(scale.low)} to ${format(scale.high)}`}
        />
        <span class="number">
          {scale.clippedHigh ? "≥ " : ""}
          {format(scale.high)}
        </span>
      </span>
      {frozen && (
        <span class="legend-scale">
          <span class="legend-frozen" aria-hidden="true" /> frozen
        </span>
      )}
      {attribution ? (
        <span class="quiet">
          {scale.kind === "signed"
            ? "red supports · blue opposes"
            : ramp
              ? "more colour matters more"
              : "brighter matters more"}
        </span>
      ) : (
        <span class="quiet">{WORDS[scale.kind]}</span>
      )}
    </div>
  );
}
