import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Legend } from "../charts/legend";
import { copied } from "../clipboard";
import { scaleKind } from "../colour";
import { formatName, formatStep } from "../format";
import { nearest } from "../series";
import type { Store } from "../store";
import { visible } from "../token_text";
import { SERIES } from "../wire";
import { ComparePicker, Side } from "./compare";
import { FindingsBadge } from "./findings_badge";
import { Search } from "./search";
import { useShortcuts } from "./shortcuts";

/** Wordmark, what is looked at (run, colour by), search, and the link to this very view. */
export function Header({ store }: { readonly store: Store }): JSX.Element {
  const runs = store.runs.value.data ?? [];
  const measures = store.measures.value;
  useShortcuts({
    "!": () => store.choose({ findings: !store.findingsOpen.peek() }),
    n: () => store.nextFinding(1),
    p: () => store.nextFinding(-1),
    l: () => spaceColours(store),
  });
  const comparing = store.other.value !== null;
  const groups = [...new Set(measures.map(({ series }) => series))];
  return (
    <header class={comparing ? "header comparing" : "header"}>
      <h1 class="wordmark">
        <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
          <path d="M8 1.5 14.5 5 8 8.5 1.5 5Z" />
          <path d="M1.5 8 8 11.5 14.5 8M1.5 11 8 14.5 14.5 11" />
        </svg>
        <span>Layerscope</span>
      </h1>
      <Field label={comparing ? <Side of="A" /> : "Run"}>
        <select
          aria-label="Run"
          data-testid="run-picker"
          value={store.run.value ?? ""}
          disabled={runs.length === 0}
          onChange={(event) => store.choose({ run: event.currentTarget.value })}
        >
          {runs.length === 0 && <option value="">none</option>}
          {runs.map((run) => (
            <option key={run} value={run}>
              {run}
            </option>
          ))}
        </select>
      </Field>
      <ComparePicker store={store} />
      <Field label="Colour by">
        <select
          aria-label="Colour by"
          data-testid="measure-picker"
          value={store.measure.value?.id ?? ""}
          disabled={measures.length === 0}
          onChange={(event) => store.choose({ measure: event.currentTarget.value })}
        >
          {measures.length === 0 && <option value="">nothing measured</option>}
          {groups.map((group) => (
            <optgroup key={group} label={formatName(group)} title={SERIES.get(group)}>
              {measures
                .filter(({ series }) => series === group)
                .map(({ id, statistic }) => (
                  <option key={id} value={id}>
                    {`${formatName(group)} · ${formatName(statistic.name)}`}
                  </option>
                ))}
            </optgroup>
          ))}
        </select>
      </Field>
      <MeasureLegend store={store} />
      <Missing store={store} />
      <span class="spacer" />
      <FindingsBadge store={store} />
      <Search store={store} />
      <CopyLink store={store} />
    </header>
  );
}

/** That a link names a run which is not there. */
function Missing({ store }: { readonly store: Store }): JSX.Element | null {
  const runs = store.runs.value.data;
  const gone = [store.chosen("run"), store.chosen("compareRun")].find((run) => run !== null && !runs?.includes(run));
  if (runs === null || gone === undefined) return null;
  return (
    <span class="problem" role="status">
      There is no run <bdi>{visible(gone ?? "")}</bdi> here.
    </span>
  );
}

function spaceColours(store: Store): void {
  store.choose({ colours: store.chosen("colours") === null ? "linear" : null });
}

/** What the colours of structure and layers × steps stand for. */
function MeasureLegend({ store }: { readonly store: Store }): JSX.Element | null {
  const measure = store.measure.value;
  if (measure === null || store.measured.value === null) return null;
  const held = store.comparison?.held.value ?? null;
  const differs = store.other.value !== null && !store.comparison?.sideBySide.value && held === null;
  const scale = differs ? (store.comparison?.difference.value?.scale ?? null) : store.scale.value;
  const frozen = !differs && measure.statistic.name === "trainable";
  const shown = nearest(store.measured.value.steps, store.step.value);
  return (
    <>
      <Legend
        scale={scale}
        title={differs ? (scale?.kind === "ratio" ? "A / B" : "A − B") : held === null ? "" : `${held} alone`}
        help={measure.statistic.help}
        frozen={frozen}
      />
      {scaleKind(measure.statistic) === "log" && (
        <button
          type="button"
          class="plain"
          data-testid="linear-colours"
          aria-pressed={store.chosen("colours") === "linear"}
          title="Colours evenly spaced, and differences instead of ratios, or by orders of magnitude (l)"
          onClick={() => spaceColours(store)}
        >
          linear
        </button>
      )}
      {shown !== null && shown !== store.step.value && (
        <span class="number away" title="The colours are of the saved step that is nearest">
          of step {formatStep(shown)}
        </span>
      )}
    </>
  );
}

interface FieldProps {
  readonly label: JSX.Element | string;
  readonly children: JSX.Element;
}

function Field({ label, children }: FieldProps): JSX.Element {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label class="field">
      <span>{label}</span>
      {children}
    </label>
  );
}

const SAID_MS = 2000;

function CopyLink({ store }: { readonly store: Store }): JSX.Element {
  const [said, setSaid] = useState("");
  useEffect(() => {
    if (said === "") return;
    const timer = setTimeout(() => setSaid(""), SAID_MS);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => setSaid((await copied(store.link())) ? "Copied" : "Not allowed; copy the address bar");
  return (
    <button type="button" data-testid="copy-link" title="Copy the address of exactly this view" onClick={copy}>
      <span aria-live="polite">{said || "Copy link"}</span>
    </button>
  );
}
