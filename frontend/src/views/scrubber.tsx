import type { JSX } from "preact";
import type { Points } from "../charts/line";
import { useSize } from "../charts/size";
import { formatStep } from "../format";
import { move, nearness } from "../stepping";
import type { Store } from "../store";
import { scalarTable } from "../tables";
import { Side } from "./compare";
import { Downloads } from "./downloads";
import { Play } from "./play";
import { Track } from "./scrubber_track";
import { useShortcuts } from "./shortcuts";

/** The training curve with a handle on it: dragging the handle moves every view to that step. */
export function Scrubber({ store }: { readonly store: Store }): JSX.Element {
  const smooth = store.chosen("smooth") ?? false;
  const [ref, { width }] = useSize<HTMLDivElement>();
  const curve = store.scalarCurve.value;
  const raw: Points | null = curve.data;
  const step = store.step.value;
  const steps = store.steps.value;
  const other = store.other.value;
  useShortcuts({
    "[": () => move(store, -1),
    "]": () => move(store, 1),
    "{": () => other && move(other, -1),
    "}": () => other && move(other, 1),
  });
  return (
    <section class="scrubber" aria-label="Step">
      <div class="scrubber-side">
        <div class="scrubber-step">
          {other === null ? <span class="quiet">step</span> : <Side of="A" />}
          <b class="number">{formatStep(step)}</b>
          <Stepper store={store} />
        </div>
        {other !== null && <OtherStep store={store} other={other} />}
        <div class="scrubber-near">
          <span class="quiet number" aria-live="polite">
            {other === null ? "" : "A: "}
            {nearness(step, steps, store.following.value)}
          </span>
          <label class="check" title="Space steps by their order of magnitude, in every chart">
            <input
              type="checkbox"
              data-testid="log-steps"
              checked={store.axis.value === "log"}
              onChange={(event) => store.choose({ axis: event.currentTarget.checked ? "log" : null })}
            />
            log steps
          </label>
        </div>
        <div class="scrubber-curve">
          <select
            aria-label="Curve in the scrubber"
            data-testid="scalar-picker"
            value={store.scalar.value ?? ""}
            disabled={store.scalars.value.length === 0}
            onChange={(event) => store.choose({ scalar: event.currentTarget.value })}
          >
            {store.scalars.value.length === 0 && <option value="">no scalars</option>}
            {store.scalars.value.map((tag) => (
              <option key={tag} value={tag}>
                {tag}
              </option>
            ))}
          </select>
          <label class="check">
            <input
              type="checkbox"
              checked={smooth}
              onChange={(event) => store.choose({ smooth: event.currentTarget.checked || null })}
            />
            smooth
          </label>
          {raw !== null && (
            <Downloads store={store} name={store.scalar.value ?? "curve"} table={() => scalarTable(store)} />
          )}
        </div>
      </div>
      <div class="scrubber-plot" ref={ref}>
        {width > 0 && <Track store={store} raw={raw} smooth={smooth} width={width} />}
        {curve.error !== "" && <p class="problem">{curve.error}</p>}
      </div>
    </section>
  );
}

interface OtherStepProps {
  readonly store: Store;
  readonly other: Store;
}

/** The step that is compared with: the same, until it is moved. */
function OtherStep({ store, other }: OtherStepProps): JSX.Element {
  const fixed = store.chosen("compareStep") !== null;
  const ofRun = other.run.value !== store.run.value;
  return (
    <div class="scrubber-other">
      <Side of="B" />
      <b class="number">{formatStep(other.step.value)}</b>
      {fixed && ofRun ? (
        <button type="button" class="plain" onClick={() => store.choose({ compareStep: null })}>
          Same step
        </button>
      ) : (
        <span class="quiet number">{nearness(other.step.value, other.steps.value, false)}</span>
      )}
      {ofRun && other.listing.value.data !== null && other.scalar.value === null && (
        <span class="quiet">no {store.scalar.value}</span>
      )}
    </div>
  );
}

function Stepper({ store }: { readonly store: Store }): JSX.Element {
  const button = (label: string, path: string, by: number) => (
    <button type="button" class="icon" aria-label={label} title={label} onClick={() => move(store, by)}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        <path d={path} />
      </svg>
    </button>
  );
  return (
    <span class="stepper">
      <Play store={store} />
      {button("Previous saved step", "M8 2 4 6l4 4", -1)}
      {button("Next saved step", "M4 2l4 4-4 4", 1)}
      {button("Latest step, and follow it", "M3 2l4 4-4 4M9.5 2v8", Number.POSITIVE_INFINITY)}
    </span>
  );
}
