import type { JSX } from "preact";
import { AttributionMap } from "../charts/map";
import type { Inputs } from "../data";
import { formatNumber } from "../format";
import type { Maximized } from "../pictures";
import { visible } from "../token_text";
import type { TopSample } from "../wire";
import { pictureAt } from "./input_picture";

const TILE = 80;
const WHOLE = 0.98; // of both sides: then a frame says nothing

interface TopSamplesProps {
  readonly unit: Maximized;
  readonly inputs: Inputs;
  readonly onSelect: (sample: number) => void;
}

/** The probe samples on which a unit is strongest, the part framed that it saw there. */
export function TopSamples({ unit, inputs, onSelect }: TopSamplesProps): JSX.Element {
  const first = inputs.tensors?.get("0") ?? null;
  const texts = inputs.description?.inputs[0]?.tokens ?? [];
  return (
    <div class="film top-samples" data-testid="top-samples">
      {unit.topSamples.map(({ sample, objective, box }) => {
        const picture = pictureAt(first, sample);
        const text = texts[sample]?.filter(Boolean).map(visible).join(" ");
        return (
          <button type="button" class="sample" key={sample} onClick={() => onSelect(sample)}>
            {picture !== null && (
              <span class="top-sample">
                <AttributionMap map={null} scale={null} picture={picture} size={TILE} label="input" />
                {box !== null && isFramed({ box }) && <span class="top-sample-box" style={placed(box)} />}
              </span>
            )}
            {picture === null && text && <bdi class="unit-tokens">{text}</bdi>}{" "}
            <span class="caption number">
              {formatNumber(objective)}
              <span class="quiet"> sample {sample}</span>
            </span>
          </button>
        );
      })}
    </div>
  );
}

/** Whether the unit saw a part of the sample only. */
export function isFramed({ box }: Pick<TopSample, "box">): boolean {
  if (box === null) return false;
  const [top = 0, bottom = 1, left = 0, right = 1] = box;
  return bottom - top <= WHOLE || right - left <= WHOLE;
}

function placed([top = 0, bottom = 1, left = 0, right = 1]: readonly number[]): Record<string, string> {
  const percent = (share: number) => `${(100 * Math.min(1, Math.max(0, share))).toFixed(2)}%`;
  return { top: percent(top), left: percent(left), width: percent(right - left), height: percent(bottom - top) };
}
