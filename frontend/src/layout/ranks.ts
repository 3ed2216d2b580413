// Ranks by longest path: how far down a box stands.

import { type Problem, WALL } from "./problem";

/** Rank of each box by longest path. Edges back to a box that is still open in the depth-first walk (cycles) do not count. */
export function rankByLongestPath(problem: Problem): number[] {
  const next: number[][] = problem.boxes.map(() => []);
  for (const [from, , to] of problem.edges) if (from !== WALL && to !== WALL && from !== to) next[from]?.push(to);
  const done: number[] = []; // boxes after everything that follows them
  const open = new Set<number>();
  const seen = new Set<number>();
  const back = new Set<string>();
  for (let root = 0; root < next.length; root++) {
    const stack = seen.has(root) ? [] : [{ box: root, follow: 0 }]; // an explicit stack: chains may be thousands long
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      seen.add(top.box);
      open.add(top.box);
      const to = next[top.box]?.[top.follow++];
      if (to === undefined) {
        open.delete(top.box);
        done.push(top.box);
        stack.pop();
      } else if (open.has(to)) back.add(`${top.box} ${to}`);
      else if (!seen.has(to)) stack.push({ box: to, follow: 0 });
    }
  }
  const rank = problem.boxes.map(() => 0);
  for (const box of done.reverse())
    for (const to of next[box] ?? [])
      if (!back.has(`${box} ${to}`)) rank[to] = Math.max(rank[to] ?? 0, (rank[box] ?? 0) + 1);
  // What nothing in here feeds stands right above what it feeds, not far up at the beginning.
  const fed = new Set(next.flat());
  next.forEach((takers, box) => {
    if (fed.has(box) || takers.length === 0) return;
    rank[box] = Math.max(0, Math.min(...takers.map((to) => rank[to] ?? 0)) - 1);
  });
  return rank;
}
