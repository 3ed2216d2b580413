/** What a person chose: kept in the address; and the same of the other side of a comparison. */

import { batch, effect, type Signal, signal } from "@preact/signals";
import type { Host } from "./host";
import type { Store } from "./store";
import { decodeSelection, encodeSelection, NOTHING, type Selection } from "./url";

export interface Choices {
  /** What was chosen; null for nothing. Reading it follows it. */
  chosen<K extends keyof Selection>(key: K): Selection[K];
  choose(changes: Partial<Selection>): void;
  /** Everything that was chosen. */
  selection(): Selection;
}

const WRITE_DELAY_MS = 150;

/** What is worth a way back; a step that is dragged or a word that is typed is not. */
const ENTRIES: readonly (keyof Selection)[] = [
  ...(["run", "compareRun", "compareAs", "layer", "measure", "method", "finding", "surrogate"] as const),
  ...(["tree", "wide", "order", "folded", "zoom", "sample", "unit", "parameter", "probeSet"] as const),
];

/** Whether the way from one selection to another is worth a way back. */
function apart(one: Selection, other: Selection): boolean {
  const stepwise = (one.compareStep === null) !== (other.compareStep === null);
  return stepwise || ENTRIES.some((key) => one[key] !== other[key]);
}

/** Choices that stand in the address, so that opening it elsewhere shows the same. */
export class AddressChoices implements Choices {
  private readonly signals: { readonly [K in keyof Selection]: Signal<Selection[K]> };

  constructor(
    private readonly host: Host,
    end: AbortSignal,
  ) {
    const chosen = Object.entries(decodeSelection(host.hash()));
    this.signals = Object.fromEntries(chosen.map(([key, value]) => [key, signal(value)])) as never;
    this.followAddress(end);
  }

  chosen<K extends keyof Selection>(key: K): Selection[K] {
    return this.signals[key].value;
  }

  choose(changes: Partial<Selection>): void {
    batch(() => {
      for (const [key, value] of Object.entries(changes)) {
        (this.signals[key as keyof Selection] as Signal<unknown>).value = value;
      }
    });
  }

  selection(): Selection {
    return Object.fromEntries(Object.entries(this.signals).map(([key, choice]) => [key, choice.value])) as never;
  }

  private followAddress(end: AbortSignal): void {
    this.host.onHashChange(() => this.choose({ ...NOTHING, ...decodeSelection(this.host.hash()) }));
    let timer: ReturnType<typeof setTimeout> | undefined;
    let last = this.selection();
    const write = () => {
      const selection = this.selection();
      const hash = encodeSelection(this.host.hash(), selection);
      const entry = apart(selection, last);
      last = selection;
      // After "back" the address says this already.
      if (hash !== this.host.hash()) this.host.writeHash(hash, entry);
    };
    const stop = effect(() => {
      this.selection();
      clearTimeout(timer);
      timer = setTimeout(write, WRITE_DELAY_MS);
    });
    end.addEventListener("abort", () => {
      stop();
      clearTimeout(timer);
    });
  }
}

/** The run that is compared with; null if nothing is. A run is not compared with itself, but one step with another. */
export function comparedRun(main: Store): string | null {
  const [run, here] = [main.chosen("compareRun"), main.run.value];
  const known = run !== null && run !== here && (main.runs.value.data ?? []).includes(run);
  return known ? run : main.chosen("compareStep") !== null ? here : null;
}

/**
 * The choices of what is compared with: its run and its step are `compareRun` and `compareStep`, its layer is the
 * counterpart of the selected one, what is open and which parameter is shown
 * are those of the main side under their names here, and all else is chosen once for both sides.
 */
export class ComparedChoices implements Choices {
  constructor(private readonly main: Store) {}

  chosen<K extends keyof Selection>(key: K): Selection[K] {
    const { main } = this;
    const own: Partial<Selection> = {
      get run() {
        return comparedRun(main);
      },
      get step() {
        return main.chosen("compareStep") ?? main.step.value;
      },
      get layer() {
        return main.comparison?.counterpart.value.of(main.layer.value) ?? null;
      },
      get row() {
        return main.comparison?.counterpart.value.of(main.row.value) ?? null;
      },
      get parameter() {
        return main.comparison?.counterpart.value.of(main.chosen("parameter")) ?? null;
      },
      get expanded() {
        const [open, counterpart] = [main.chosen("expanded"), main.comparison?.counterpart.value];
        return open?.flatMap((name) => counterpart?.of(name) ?? []) ?? null;
      },
      get measure() {
        return main.measure.value?.id ?? null;
      },
      get method() {
        return main.method.value?.name ?? null;
      },
      get scalar() {
        return main.scalar.value;
      },
      get input() {
        return main.input.value;
      },
    };
    return key in own ? (own[key] as Selection[K]) : main.chosen(key);
  }

  selection(): Selection {
    return this.main.selection();
  }

  choose(changes: Partial<Selection>): void {
    const { run, step, layer, row, parameter, expanded, ...others } = changes;
    const back = this.main.comparison?.counterpart.peek();
    const here = (name: string | null) => (name === null ? null : (back?.from(name) ?? name));
    // What only the main side has stays as open as it was.
    const own = (this.main.selection().expanded ?? []).filter((name) => back !== undefined && back.of(name) === null);
    this.main.choose({
      ...others,
      ...(run !== undefined && { compareRun: run }),
      ...(step !== undefined && { compareStep: step }),
      ...(layer !== undefined && { layer: here(layer) }),
      ...(row !== undefined && { row: here(row) }),
      ...(parameter !== undefined && { parameter: here(parameter) }),
      ...(expanded !== undefined && {
        expanded: expanded === null ? null : [...new Set([...own, ...expanded.map((name) => here(name) ?? name)])],
      }),
    });
  }
}
