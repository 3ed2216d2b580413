/** In the header: how many findings there are, that there are none, or that nothing could be examined. */

import type { JSX } from "preact";
import { counts, countWords, type Severity } from "../findings";
import type { Store } from "../store";
import { FlagGlyph } from "./flag";
import "./findings.css";

/** What there is to say of a run without findings: in short, and in a sentence. */
export function nothingFound(examined: boolean): readonly [short: string, sentence: string] {
  return examined
    ? ["nothing found", "What was recorded was examined as it was written, and nothing wrong was found."]
    : [
        "not examined",
        "Nothing was recorded that could be examined; so nothing is known, not even that all is well. Record gradients, or let scope.watch(optimizer) do it.",
      ];
}

export function FindingsBadge({ store }: { readonly store: Store }): JSX.Element | null {
  const listing = store.findings.value.data;
  if (listing === null) return null;
  const found = store.found.value;
  if (found.length === 0) {
    const [short, sentence] = nothingFound(listing.examined);
    return (
      <span class="findings-badge quiet" title={sentence} data-testid="findings-badge">
        <NothingGlyph examined={listing.examined} />
        {short}
      </span>
    );
  }
  const number = counts(found);
  const open = store.findingsOpen.value;
  const words = countWords(number);
  return (
    <button
      type="button"
      class="findings-badge"
      aria-pressed={open}
      aria-label={`Findings: ${words}`}
      title={`${words} (!)`}
      data-testid="findings-badge"
      onClick={() => store.choose({ findings: !open })}
    >
      {(["error", "warning"] as const).map((severity) => (
        <Count key={severity} severity={severity} number={number[severity]} />
      ))}
    </button>
  );
}

function Count({ severity, number }: { readonly severity: Severity; readonly number: number }): JSX.Element | null {
  if (number === 0) return null;
  return (
    <span class={`findings-count ${severity} number`}>
      <FlagGlyph flag={{ severity, own: true, reached: true }} />
      {number}
    </span>
  );
}

/** A tick in a circle for what was examined, a dashed circle for what was not. */
function NothingGlyph({ examined }: { readonly examined: boolean }): JSX.Element {
  return (
    <svg class="findings-nothing" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      <circle cx="6" cy="6" r="5" stroke-dasharray={examined ? undefined : "2 2"} />
      {examined && <path d="M3.6 6.2 5.3 8l3.2-3.6" />}
    </svg>
  );
}
