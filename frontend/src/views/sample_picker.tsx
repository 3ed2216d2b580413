import type { JSX } from "preact";
import { AttributionMap } from "../charts/map";
import type { Inputs } from "../data";
import type { Store } from "../store";
import { visible } from "../token_text";
import { pictureAt } from "./input_picture";

const THUMBNAIL = 40;

interface SamplePickerProps {
  readonly store: Store;
  readonly inputs: Inputs;
  readonly count: number;
}

/** The samples of a probe set, one of which is looked at: as pictures where they are, else by their numbers. */
export function SamplePicker({ store, inputs, count }: SamplePickerProps): JSX.Element | null {
  if (count < 2) return null;
  const chosen = Math.min(store.sample.value, count - 1);
  const first = inputs.tensors?.get("0") ?? null;
  return (
    <fieldset class="chips" aria-label="Sample">
      {Array.from({ length: count }, (_, index) => {
        const picture = pictureAt(first, index);
        const text = inputs.description?.inputs[0]?.tokens[index]?.filter(Boolean).join(" ") ?? "";
        const short = visible(text.length > 28 ? `${text.slice(0, 27)}…` : text);
        return (
          <button
            type="button"
            key={index}
            class={picture === null ? "" : "thumbnail"}
            aria-pressed={index === chosen}
            aria-label={`Sample ${index}${short === "" || picture !== null ? "" : `: ${short}`}`}
            title={text === "" ? `sample ${index}` : visible(text)}
            onClick={() => store.choose({ sample: index })}
          >
            {picture === null ? (
              <bdi>{short === "" ? index : short}</bdi>
            ) : (
              <AttributionMap map={null} scale={null} picture={picture} size={THUMBNAIL} label={`sample ${index}`} />
            )}
          </button>
        );
      })}
    </fieldset>
  );
}
