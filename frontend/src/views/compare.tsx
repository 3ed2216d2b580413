/** What is compared with, and how: two runs, or two steps of one run; which side is which is told by letter and by form. */

import { type ComponentChildren, createContext, type JSX } from "preact";
import { useContext } from "preact/hooks";
import { formatStep } from "../format";
import type { Store } from "../store";
import "./compare.css";
import { useHeldKeys, useShortcuts } from "./shortcuts";

/** The letter of a side: what is shown, and what it is compared with. */
export function Side({ of }: { readonly of: "A" | "B" }): JSX.Element {
  return <span class={`side side-${of.toLowerCase()}`}>{of}</span>;
}

const SideAround = createContext<"A" | "B" | null>(null);

/** The name of a landmark, with the side that it is of where both sides have it. */
export function useSideName(name: string): string {
  const side = useContext(SideAround);
  return side === null ? name : `${name}, ${side}`;
}

interface TitledProps {
  readonly side: "A" | "B";
  readonly store: Store;
  readonly children: ComponentChildren;
}

/** The id of a landmark, which side B has under another one. */
export function useSideId(id: string): string {
  return useContext(SideAround) === "B" ? `${id}-b` : id;
}

/** The side beside or below which a section stands, which shares its scale; null where it stands alone. */
export function useTwin(store: Store): Store | null {
  const side = useContext(SideAround);
  return side === null ? null : (store.main ?? store.other.value);
}

/** Where a run had ended before the step that is asked of it. */
export function Ended({ store }: { readonly store: Store }): JSX.Element | null {
  const last = store.steps.value.at(-1);
  if (last === undefined || store.step.value <= last) return null;
  return <span class="number"> (it ended at {formatStep(last)})</span>;
}

/** A picture of one side, with what it is of above it. */
export function Titled({ side, store, children }: TitledProps): JSX.Element {
  return (
    <div data-testid={`side-${side.toLowerCase()}`}>
      <div class="side-title">
        <Side of={side} />
        <bdi>{store.run.value}</bdi>
        <span class="number">step {formatStep(store.step.value)}</span>
        <Ended store={store} />
      </div>
      <SideAround.Provider value={side}>{children}</SideAround.Provider>
    </div>
  );
}

/** While A or B is held down, that side alone is shown where the difference stands, so that a change is seen to move. */
export function useHeldSide(store: Store): void {
  const hold = (side: "A" | "B" | null) => {
    const { comparison } = store;
    if (comparison !== null) comparison.held.value = comparison.active.peek() ? side : null;
  };
  const press = (key: string) => {
    if (key === "a" || key === "b") hold(key === "a" ? "A" : "B");
  };
  useHeldKeys(press, () => hold(null));
}

const STEP = "step";
const RUN = "run:";

/** Picks the run or step to compare with, how both are shown, and swaps them. */
export function ComparePicker({ store }: { readonly store: Store }): JSX.Element | null {
  useShortcuts({ c: () => toggleComparison(store), x: () => swapSides(store) });
  useHeldSide(store);
  const runs = store.runs.value.data ?? [];
  const other = store.other.value;
  const steps = store.steps.value.length > 1;
  if (runs.length < 2 && !steps && other === null) return null;
  const chosen = other === null ? "" : other.run.value === store.run.value ? STEP : `${RUN}${other.run.value}`;
  const choose = (value: string) => {
    if (value === "") stopComparing(store);
    else if (value === STEP) store.choose({ compareRun: null, compareStep: store.steps.peek()[0] ?? null });
    else store.choose({ compareRun: value.slice(RUN.length), compareStep: null });
  };
  return (
    <fieldset class="compare" aria-label="Comparison">
      <label class="field">
        <span>{other === null ? "Compare" : <Side of="B" />}</span>
        <select
          data-testid="compare-picker"
          aria-label="Compare with"
          title="Compare with another run, or another step of this one (c)"
          value={chosen}
          onChange={(event) => choose(event.currentTarget.value)}
        >
          <option value="">nothing</option>
          {steps && <option value={STEP}>another step of this run</option>}
          {runs
            .filter((run) => run !== store.run.value)
            .map((run) => (
              <option key={run} value={`${RUN}${run}`}>
                {run}
              </option>
            ))}
        </select>
      </label>
      {other !== null && <Ways store={store} />}
      {store.comparison?.problem.value && (
        <span class="problem" role="status">
          Layers are paired by name alone. {store.comparison.problem.value}
        </span>
      )}
    </fieldset>
  );
}

function Ways({ store }: { readonly store: Store }): JSX.Element {
  const side = store.comparison?.sideBySide.value ?? false;
  return (
    <>
      <span class="segments">
        <button
          type="button"
          data-testid="compare-difference"
          aria-pressed={!side}
          title="What A has more or less than B"
          onClick={() => store.choose({ compareAs: null })}
        >
          A − B
        </button>
        <button
          type="button"
          data-testid="compare-side"
          aria-pressed={side}
          title="Both, on one scale"
          onClick={() => store.choose({ compareAs: "side" })}
        >
          A | B
        </button>
      </span>
      <button
        type="button"
        class="way"
        data-testid="compare-swap"
        aria-label="Exchange A and B (x)"
        title="Exchange A and B (x)"
        onClick={() => swapSides(store)}
      >
        <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
          <path d="M3 5.5h9M9.5 3 12 5.5 9.5 8M13 10.5H4M6.5 8 4 10.5 6.5 13" />
        </svg>
      </button>
    </>
  );
}

/** Compare with the next run, where there is only one with its first step; or no longer. */
export function toggleComparison(store: Store): void {
  if (store.other.peek() !== null) {
    stopComparing(store);
    return;
  }
  const runs = store.runs.peek().data ?? [];
  const [run, first] = [store.run.peek(), store.steps.peek()[0]];
  const next = runs[(runs.indexOf(run ?? "") + 1) % Math.max(1, runs.length)];
  if (next !== undefined && next !== run) store.choose({ compareRun: next, compareStep: null });
  else if (first !== undefined) store.choose({ compareStep: first });
}

function stopComparing(store: Store): void {
  store.choose({ compareRun: null, compareStep: null });
}

/** What was shown is compared with, and the other way round. */
export function swapSides(store: Store): void {
  const other = store.other.peek();
  if (other === null) return;
  const [run, otherRun] = [store.run.peek(), other.run.peek()];
  const fixed = store.chosen("compareStep");
  store.choose({
    ...(run !== otherRun && { run: otherRun, compareRun: run }),
    ...(fixed !== null && { step: fixed, compareStep: store.step.peek() }),
    layer: other.layer.peek(),
    row: null,
  });
}
