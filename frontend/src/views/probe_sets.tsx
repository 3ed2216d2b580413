import type { JSX } from "preact";
import type { Held } from "../pictures";
import type { Store } from "../store";
import { visible } from "../token_text";

/** Which probe set is shown, where several have such; nothing else. */
export function ProbeSets({ store, held }: { readonly store: Store; readonly held: Held }): JSX.Element | null {
  if (held.probeSets.length < 2) return null;
  return (
    <fieldset class="chips" aria-label="Probe set">
      {held.probeSets.map((name) => (
        <button
          type="button"
          key={name}
          aria-pressed={name === held.probeSet}
          onClick={() => store.choose({ probeSet: name })}
        >
          <bdi>{visible(name)}</bdi>
        </button>
      ))}
    </fieldset>
  );
}
