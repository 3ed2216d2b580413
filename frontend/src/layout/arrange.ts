// How one container is laid out: in how many columns, and by whom.

import { cutsOf, inColumns } from "./columns";
import { type Problem, type Solution, spread, WALL } from "./problem";
import { solveInRows, suitsRows } from "./rows";
import { rounded } from "./spline";

/** How tall a chain may become before it is wrapped, and into what shape. */
export interface Wrapping {
  /** Up to this height a chain is left in one column. */
  tall: number;
  /** Width over height that a container inside the model aims at. */
  inner: number;
}

/** Wrappings to choose from for a picture that is to be seen as a whole; the first where it cannot be. */
export const WRAPPINGS: readonly [Wrapping, ...Wrapping[]] = [
  { tall: 620, inner: 1.3 },
  { tall: 480, inner: 1.6 },
  { tall: 480, inner: 1 },
  { tall: 800, inner: 1 },
  { tall: 1100, inner: 1 },
];

/** The solution of a container's problem, wrapped into columns where it is much taller than its place. */
export async function arrange(
  problem: Problem,
  shape: { aspect: number; tall: number },
  solve: (problem: Problem) => Promise<Solution>,
): Promise<Solution> {
  if (problem.boxes.length === 1) return around(problem);
  const cuts = cutsOf(problem, shape);
  const one = async (part: Problem) => (suitsRows(part) ? solveInRows(part) : solve(part));
  return cuts.length > 1 ? inColumns(problem, cuts, one) : one(problem);
}

/** Between the walls of a container and the only box in it. */
const NEAR = 12;

/** A single box: the walls' ports stand where its own are, and the edges run straight. */
function around(problem: Problem): Solution {
  const [box = { width: 0, height: 0, inPorts: [], outPorts: [] }] = problem.boxes;
  const [air, bottom] = [problem.inPorts > 0 ? NEAR : 0, problem.outPorts > 0 ? NEAR : 0];
  const height = air + box.height + bottom;
  const ports = (count: number, side: "in" | "out") => {
    const places = spread(count, box.width);
    for (const [from, fromPort, to, toPort] of problem.edges) {
      const own = side === "in" ? box.inPorts[toPort] : box.outPorts[fromPort];
      const meets = side === "in" ? from === WALL && to !== WALL : to === WALL && from !== WALL;
      if (meets && own !== undefined) places[side === "in" ? fromPort : toPort] = own;
    }
    return places;
  };
  const [inPorts, outPorts] = [ports(problem.inPorts, "in"), ports(problem.outPorts, "out")];
  const edges = problem.edges.map(([from, fromPort, to, toPort]) => {
    const start = from === WALL ? (inPorts[fromPort] ?? 0) : (box.outPorts[fromPort] ?? box.width / 2);
    const end = to === WALL ? (outPorts[toPort] ?? 0) : (box.inPorts[toPort] ?? box.width / 2);
    if (from !== WALL && to !== WALL) {
      const [below, above, side] = [air + box.height + LOOP, air - LOOP, box.width + LOOP];
      return rounded([start, air + box.height, start, below, side, below, side, above, end, above, end, air]);
    }
    if (from === WALL && to === WALL) return rounded([start, 0, -LOOP, 0, -LOOP, height, end, height]);
    const [top, floor] = from === WALL ? [0, air] : [air + box.height, height];
    // Where there is no port of its own, an edge meets the box straight below or above.
    const [x, toX] = from === WALL ? [start, box.inPorts[toPort] ?? start] : [box.outPorts[fromPort] ?? end, end];
    return rounded([x, top, x, (top + floor) / 2, toX, (top + floor) / 2, toX, floor]);
  });
  const boxes = [{ x: 0, y: air }];
  return { width: box.width, height, boxes, inPorts, outPorts, edges, approximate: false };
}

const LOOP = 8;
