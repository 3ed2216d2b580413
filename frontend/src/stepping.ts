/** From step to step: which are saved, and what is told of one between. */

import type { StepScale } from "./charts/columns";
import { formatStep } from "./format";
import { nearest, nearestIndex } from "./series";
import type { Store } from "./store";

const SNAP_PX = 5;

/** What of the data is shown at a step, in words. */
export function nearness(step: number, steps: readonly number[], following: boolean): string {
  const saved = nearest(steps, step);
  if (saved === null) return "nothing saved yet";
  if (saved !== step) return `nearest saved ${formatStep(saved)}`;
  return following ? "latest, followed" : `${nearestIndex(steps, step) + 1} of ${steps.length} saved`;
}

/** Go `by` saved steps on; the handle first goes to a saved step if it stands between two. */
export function move(store: Store, by: number): void {
  const steps = store.steps.peek();
  const step = store.step.peek();
  const here = by > 0 ? steps.findLastIndex((saved) => saved <= step) : steps.findIndex((saved) => saved >= step);
  const from = here < 0 ? (by > 0 ? -1 : steps.length) : here;
  const to = steps[Math.min(steps.length - 1, Math.max(0, from + by))];
  if (to !== undefined) store.goTo(to);
}

/** The step under the pointer: a saved one if one is near, else any whole step. */
export function snapped(at: number, x: StepScale, steps: readonly number[]): number {
  const under = Math.min(x.last, Math.max(x.first, Math.round(x.step(at))));
  const saved = nearest(steps, under);
  return saved !== null && Math.abs(x.x(saved) - at) <= SNAP_PX ? saved : under;
}
