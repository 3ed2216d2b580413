/** In the header: how many findings there are, that there are none, or that nothing could be examined. */

import type { JSX } from "preact";
import { counts, countWords, type Severity } from "../findings";
import { formatName, plural } from "../format";
import type { Store } from "../store";
import type { FindingsListing } from "../wire";
import { Drop } from "./drop";
import { FlagGlyph } from "./flag";
import "./findings.css";

/** What there is to say of a run without findings: in short, and in a sentence. */
export function nothingFound({ examined, unjudged }: FindingsListing): readonly [short: string, sentence: string] {
  if (!examined) {
    return [
      "not examined",
      "Nothing was recorded that could be examined; so nothing is known, not even that all is well. Record gradients, or let scope.watch(optimizer) do it.",
    ];
  }
  return unjudged.length === 0
    ? ["nothing found", "What was recorded was examined as it was written, and nothing wrong was found."]
    : ["nothing found so far", "What was recorded was examined, and nothing wrong was found; not all could be judged."];
}

/** What could not be judged, and why: that nothing of it was found is not to be taken for health. */
export function Unjudged({ listing }: { readonly listing: FindingsListing }): JSX.Element | null {
  if (listing.unjudged.length === 0 || !listing.examined) return null; // nothing at all is known: that is told already
  return (
    <ul class="unjudged quiet" aria-label="Not judged">
      {listing.unjudged.map(({ detectors, reason }) => (
        <li key={reason}>
          not judged: {detectors.map(formatName).join(", ")} ({reason})
        </li>
      ))}
    </ul>
  );
}

export function FindingsBadge({ store }: { readonly store: Store }): JSX.Element | null {
  const listing = store.findings.value.data;
  if (listing === null) return null;
  const found = store.found.value;
  if (found.length === 0) {
    const [short, sentence] = nothingFound(listing);
    return (
      <span class="findings-badge quiet" data-testid="findings-badge">
        <Drop
          title={`${short}: ${sentence}`}
          tone="plain"
          label={
            <>
              <NothingGlyph judged={listing.examined && listing.unjudged.length === 0} />
              {short}
            </>
          }
        >
          <p>{sentence}</p>
          <Unjudged listing={listing} />
        </Drop>
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
      <Count severity="error" number={number.error} /> <Count severity="warning" number={number.warning} />
    </button>
  );
}

function Count({ severity, number }: { readonly severity: Severity; readonly number: number }): JSX.Element | null {
  if (number === 0) return null;
  return (
    <span class={`findings-count ${severity} number`}>
      <FlagGlyph flag={{ severity, own: true, reached: true }} />
      {plural(number, severity)}
    </span>
  );
}

/** A tick in a circle where all was judged, a dashed circle where not. */
function NothingGlyph({ judged }: { readonly judged: boolean }): JSX.Element {
  return (
    <svg class="findings-nothing" viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      <circle cx="6" cy="6" r="5" stroke-dasharray={judged ? undefined : "2 2"} />
      {judged && <path d="M3.6 6.2 5.3 8l3.2-3.6" />}
    </svg>
  );
}
