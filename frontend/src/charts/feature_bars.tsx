import type { JSX } from "preact";
import { effect, hue } from "../attribution";
import { type ColourScale, css } from "../colour";
import { formatNumber } from "../format";
import { visible } from "../token_text";
import "./feature_bars.css";

/** One feature of one sample. */
export interface Feature {
  readonly name: string;
  /** What the sample has there; null where that was not saved. */
  readonly value: number | null;
  readonly attribution: number;
}

/** The features that matter most first; what is not a finite number before them, so that it is never out of sight. */
export function byMagnitude(features: readonly Feature[]): Feature[] {
  const size = ({ attribution }: Feature) =>
    Number.isFinite(attribution) ? Math.abs(attribution) : Number.POSITIVE_INFINITY;
  return [...features].sort((one, other) => (size(one) === size(other) ? 0 : size(other) - size(one)));
}

export interface FeatureBarsProps {
  /** In the order in which they are listed. */
  readonly features: readonly Feature[];
  /** Reaches to the largest magnitude: a bar that were cut off would belie its length. */
  readonly scale: ColourScale;
  readonly label: string;
}

/** Named features with what the sample has there, and a bar from zero for what each contributes. */
export function FeatureBars({ features, scale, label }: FeatureBarsProps): JSX.Element {
  return (
    <table class="feature-bars" aria-label={label}>
      <tbody>
        {features.map(({ name, value, attribution }, index) => (
          <tr key={index} title={`${name}: ${formatNumber(attribution)} ${effect(scale, attribution)}`.trim()}>
            <th scope="row">
              <bdi>{visible(name)}</bdi>
            </th>
            <td class="number quiet">{value === null ? "" : formatNumber(value)}</td>
            <td class="feature-bar" aria-hidden="true">
              <Bar value={attribution} scale={scale} />
            </td>
            <td class="number feature-attribution">
              {attribution > 0 && scale.kind === "signed" ? "+" : ""}
              {formatNumber(attribution)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Where zero lies and how far a bar reaches, in per cent of the width. */
export function extent(
  scale: ColourScale,
  value: number,
): { readonly zero: number; readonly from: number; readonly width: number } {
  const zero = scale.kind === "signed" ? 50 : 100 * scale.position(0);
  const end = 100 * scale.position(value);
  return { zero, from: Math.min(zero, end), width: Math.abs(end - zero) };
}

function Bar({ value, scale }: { readonly value: number; readonly scale: ColourScale }): JSX.Element {
  const { zero, from, width } = extent(scale, Number.isFinite(value) ? value : 0);
  return (
    <span class="bar">
      {Number.isFinite(value) ? (
        <span class="bar-length" style={{ left: `${from}%`, width: `${width}%`, background: css(hue(scale, value)) }} />
      ) : (
        <span class="bar-broken" style={{ left: `${zero}%` }}>
          ×
        </span>
      )}
      <span class="bar-zero" style={{ left: `${zero}%` }} />
    </span>
  );
}
