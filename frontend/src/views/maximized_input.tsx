import type { JSX } from "preact";
import { Vector } from "../charts/vector";
import type { Maximized } from "../pictures";
import { visible } from "../token_text";

interface MaximizedInputProps {
  readonly unit: Maximized;
  readonly size: number;
  /** What tests know a picture by. */
  readonly testId?: string;
}

/** What a unit responds to: a picture, curves, bars or tokens. */
export function MaximizedInput({ unit, size, testId }: MaximizedInputProps): JSX.Element {
  if (unit.url !== null) {
    return (
      <img
        data-testid={testId}
        src={unit.url}
        width={size}
        height={size}
        onLoad={({ currentTarget }) => currentTarget.classList.toggle("coarse", currentTarget.naturalWidth < size)}
        alt={`Input that excites channel ${unit.unit.channel} most`}
      />
    );
  }
  if (unit.modality === "text") return <bdi class="unit-tokens">{unit.tokens.map(visible).join(" ")}</bdi>;
  return <Vector values={unit.values} size={size} label={`Input that excites channel ${unit.unit.channel} most`} />;
}
