/**
 * Two runs, or two steps of one run. What is compared with is a store of its own, which shares every choice but run and
 * step; so each view can show either side. What follows from both is here: who is who, and the difference.
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { Backend } from "./backend";
import type { Cell } from "./charts/cells";
import { type ColourScale, fitScale, type ScaleKind, scaleKind } from "./colour";
import { type Counterpart, counterpartOf, reversed, SAME_NAMES } from "./counterpart";
import { nodeOf } from "./graph";
import { type Resource, resource } from "./resource";
import type { Series } from "./series";
import type { Store } from "./store";
import type { ComparisonListing } from "./wire";

export interface Comparison {
  /** What is compared with; it holds nothing as long as nothing is compared. */
  readonly other: Store;
  readonly active: ReadonlySignal<boolean>;
  /** Whether both sides are shown rather than their difference. */
  readonly sideBySide: ReadonlySignal<boolean>;
  readonly counterpart: ReadonlySignal<Counterpart>;
  /** The same as the other side sees it. */
  readonly back: ReadonlySignal<Counterpart>;
  /** Why it is not known who is who, in words; "" if it is. */
  readonly problem: ReadonlySignal<string>;
  readonly difference: ReadonlySignal<Difference | null>;
  /** The side that is shown alone while its key is held down, in the place of both. */
  readonly held: Signal<"A" | "B" | null>;
}

/** The measure here less the measure there, of each row at each step; of magnitudes the ratio. */
export interface Difference {
  readonly kind: ScaleKind;
  readonly scale: ColourScale | null;
  /** At a step index of this side's series, in a row by its name. */
  cell(step: number, row: string): Cell;
  /** At any step of this side. */
  at(row: string, step: number): Cell;
}

const NONE: Cell = { value: Number.NaN, mark: "none" };

/** Follow the choices of the store. */
export function comparisonOf(store: Store, other: Store, backend: Backend, end: AbortSignal): Comparison {
  const active = computed(() => other.run.value !== null);
  const listing = resource<ComparisonListing>(end, () => {
    const [run, against] = [store.run.value, other.run.value];
    if (run === null || against === null || run === against) return null;
    const [here, there] = [store.tags.value.graph.at(-1), other.tags.value.graph.at(-1)];
    if (here === undefined || there === undefined) return null;
    return {
      key: JSON.stringify([run, against]),
      version: JSON.stringify([here.tag, here.last, there.tag, there.last]),
      look: store.look.value,
      load: (signal) => backend.comparison(run, against, signal),
    };
  });
  const counterpart = computed(() => {
    const { data } = listing.value;
    return data === null ? SAME_NAMES : counterpartOf(data);
  });
  return {
    other,
    active,
    sideBySide: computed(() => active.value && store.chosen("compareAs") === "side"),
    counterpart,
    back: computed(() => reversed(counterpart.value)),
    problem: computed(() => (listing as ReadonlySignal<Resource<unknown>>).value.error),
    held: signal(null),
    difference: computed(() => (active.value ? differenceOf(store, other, counterpart.value) : null)),
  };
}

function differenceOf(store: Store, other: Store, counterpart: Counterpart): Difference | null {
  const [here, there, measure] = [store.measured.value, other.measured.value, store.measure.value];
  if (here === null || there === null || measure === null || here.name !== there.name) return null;
  const [column, otherColumn] = [store.column.value, other.column.value];
  const fixed = store.chosen("compareStep");
  const kind = differenceKind(scaleKind(measure.statistic));
  const [graph, otherGraph] = [store.graph.value.data, other.graph.value.data];
  const find = (series: Series, row: string | null, module: string | undefined): number =>
    (row === null ? undefined : series.row(row)) ?? (module === undefined ? undefined : series.row(module)) ?? -1;
  const rows = new Map<string, readonly [number, number]>();
  /** Where a row stands here and there; -1 for nowhere. A repeated call without numbers has those of its module. */
  const rowsOf = (row: string): readonly [number, number] => {
    const known = rows.get(row);
    if (known !== undefined) return known;
    const name = counterpart.of(row);
    const pair = [
      find(here, row, nodeOf(graph, row)?.module),
      find(there, name, nodeOf(otherGraph, name)?.module),
    ] as const;
    rows.set(row, pair);
    return pair;
  };
  const between = (step: number, row: number, at: number, otherStep: number): Cell => {
    const reached = at < 0 ? -1 : there.at(at, otherStep);
    if (step < 0 || row < 0 || reached < 0) return NONE;
    const marks = [here.mark(step, row, column), there.mark(reached, at, otherColumn)];
    if (marks.includes("none")) return NONE;
    const value = subtracted(kind, here.value(step, row, column), there.value(reached, at, otherColumn));
    return { value, mark: Number.isNaN(value) || marks.includes("nan") ? "nan" : "" };
  };
  const cell = (step: number, row: string): Cell => {
    const [index, at] = rowsOf(row);
    return between(step, index, at, fixed ?? here.steps[step] ?? 0);
  };
  const all = store.rows.value.flatMap((row) => here.steps.map((_, step) => cell(step, row).value));
  return {
    kind,
    scale: fitScale(kind, all),
    cell,
    at: (row, step) => {
      const [index, at] = rowsOf(row);
      return between(index < 0 ? -1 : here.at(index, step), index, at, fixed ?? step);
    },
  };
}

/** Magnitudes are compared by their ratio, everything else by what one has more than the other. */
function differenceKind(kind: ScaleKind): ScaleKind {
  return kind === "log" ? "ratio" : kind === "fraction" ? "points" : "difference";
}

/** A ratio beyond this many powers of two is as good as none: one of both is 0. */
export const ALL = 1000;

function subtracted(kind: ScaleKind, value: number, other: number): number {
  if (kind !== "ratio") return value - other;
  if (value === other) return 0;
  return Math.min(ALL, Math.max(-ALL, Math.log2(value / other)));
}
