// How one container is laid out: in how many columns, and by whom.

import { cutsOf, inColumns } from "./columns";
import type { Problem, Solution } from "./problem";

export interface Place {
  /** Width over height of the pane. */
  aspect: number;
  /** True for a container inside the model, false for the top of it. */
  inner: boolean;
}

/** Up to this height a chain is left in one column. */
const TALL = 620;

/** The solution of a container's problem, wrapped into columns where it is much taller than its place. */
export async function arrange(
  problem: Problem,
  { aspect, inner }: Place,
  solve: (problem: Problem) => Promise<Solution>,
): Promise<Solution> {
  const cuts = cutsOf(problem, { aspect: inner ? Math.min(aspect, 1.3) : aspect, tall: TALL });
  return cuts.length > 1 ? inColumns(problem, cuts, solve) : solve(problem);
}
