// The layout for when Graphviz does not end in time: ranks by longest path, each rank a centred row. Linear in size.

import { BOX_GAP, type Problem, type ProblemEdge, RANK_GAP, type Solution, WALL } from "./problem";

/** Boxes in rows by their longest path from a source, in the given order; edges are plain curves. */
export function solveAsColumn(problem: Problem): Solution {
  const ranks = rankByLongestPath(problem);
  const rows: number[][] = [];
  ranks.forEach((rank, box) => {
    rows[rank] ??= [];
    rows[rank]?.push(box);
  });
  const rowWidth = (row: number[]) => row.reduce((sum, i) => sum + (problem.boxes[i]?.width ?? 0) + BOX_GAP, -BOX_GAP);
  const wallWidth = Math.max(problem.inPorts, problem.outPorts) * BOX_GAP;
  const widest = Math.max(wallWidth, ...rows.map(rowWidth), 0);
  // The walls are ranks of their own, before the first row and after the last.
  const rankOf = (box: number, wall: number) => (box === WALL ? wall : (ranks[box] ?? 0));
  const steps = problem.edges.map(([from, , to]) => rankOf(to, rows.length) - rankOf(from, -1));
  const lanes = steps.some((count) => count !== 1) ? BOX_GAP * 2 : 0;
  const width = widest + 2 * lanes; // long edges pass beside the rows
  const boxes: Solution["boxes"] = problem.boxes.map(() => ({ x: 0, y: 0 }));
  let y = problem.inPorts > 0 ? RANK_GAP : 0;
  for (const row of rows) {
    let x = (width - rowWidth(row)) / 2;
    const tallest = Math.max(...row.map((i) => problem.boxes[i]?.height ?? 0));
    for (const i of row) {
      const { width: w = 0, height: h = 0 } = problem.boxes[i] ?? {};
      boxes[i] = { x, y: y + (tallest - h) / 2 };
      x += w + BOX_GAP;
    }
    y += tallest + RANK_GAP;
  }
  const height = rows.length === 0 ? 0 : y - (problem.outPorts > 0 ? 0 : RANK_GAP);
  const spread = (count: number) =>
    Array.from({ length: count }, (_, i) => width / 2 + (i - (count - 1) / 2) * Math.min(BOX_GAP, width / (count + 1)));
  const solution: Solution = {
    width,
    height,
    boxes,
    inPorts: spread(problem.inPorts),
    outPorts: spread(problem.outPorts),
    edges: [],
    approximate: true,
  };
  solution.edges = problem.edges.map((edge, i) => curve(problem, solution, edge, steps[i] ?? 1));
  return solution;
}

/** Rank of each box. Edges back to a box that is still open in the depth-first walk (cycles) do not count. */
function rankByLongestPath(problem: Problem): number[] {
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
  return rank;
}

/** One segment; an edge that passes more than one rank swings out to the nearer side. */
function curve(problem: Problem, solution: Solution, edge: ProblemEdge, steps: number): number[] {
  const [from, fromPort, to, toPort] = edge;
  const tail = endOf(problem, solution, from, fromPort, "out");
  const head = endOf(problem, solution, to, toPort, "in");
  const bend = Math.max(RANK_GAP, Math.abs(head.y - tail.y) / 3);
  const side = steps === 1 ? null : tail.x + head.x > solution.width ? solution.width : 0;
  const straight = (x: number, toX: number) => (side === null ? x : side + (toX - side) * 0.1);
  return [
    tail.x,
    tail.y,
    straight(tail.x, tail.x),
    tail.y + bend,
    straight(head.x, head.x),
    head.y - bend,
    head.x,
    head.y,
  ];
}

function endOf(problem: Problem, solution: Solution, box: number, port: number, side: "in" | "out") {
  if (box === WALL) {
    const x = (side === "out" ? solution.inPorts : solution.outPorts)[port] ?? 0;
    return { x, y: side === "out" ? 0 : solution.height };
  }
  const corner = solution.boxes[box] ?? { x: 0, y: 0 };
  const size = problem.boxes[box] ?? { width: 0, height: 0, inPorts: [], outPorts: [] };
  const offset = (side === "out" ? size.outPorts : size.inPorts)[port] ?? size.width / 2;
  return { x: corner.x + offset, y: corner.y + (side === "out" ? size.height : 0) };
}
