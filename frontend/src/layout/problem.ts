// One container as a layout problem: boxes of known size and edges by local index, free of names and of the model.
// Two blocks with the same problem have the same solution, which is what the cache relies on. Lengths are CSS pixels.

export interface ProblemBox {
  width: number;
  height: number;
  /** Where edges enter an expanded child, as distances from its left edge; empty: anywhere on its border. */
  inPorts: number[];
  /** Where edges leave it, likewise. */
  outPorts: number[];
}

/** The container's own wall, in the place of a box index. */
export const WALL = -1;
/** No particular port: the edge meets the box's border where it likes. */
export const ANYWHERE = -1;

/** [from box or WALL, its port or ANYWHERE, to box or WALL, its port or ANYWHERE] */
export type ProblemEdge = [from: number, fromPort: number, to: number, toPort: number];

export interface Problem {
  boxes: ProblemBox[];
  /** How many tensors enter through the container's top wall and leave through its bottom wall. */
  inPorts: number;
  outPorts: number;
  edges: ProblemEdge[];
}

export interface Solution {
  width: number;
  height: number;
  /** Top left corner of each box. */
  boxes: { x: number; y: number }[];
  /** Positions along the top wall (y = 0) and the bottom wall (y = height). */
  inPorts: number[];
  outPorts: number[];
  /** For each edge a cubic spline: x0 y0, then six numbers a segment. */
  edges: number[][];
  /** True if Graphviz did not end in time and this is the plain ranked column. */
  approximate: boolean;
}

export function problemKey(problem: Problem): string {
  return JSON.stringify(problem);
}

/** Space between boxes of one rank and between ranks. */
export const BOX_GAP = 24;
export const RANK_GAP = 24;

/** Places for `count` ports around the middle of a wall. */
export function spread(count: number, width: number): number[] {
  const step = Math.min(BOX_GAP, width / (count + 1));
  return Array.from({ length: count }, (_, i) => width / 2 + (i - (count - 1) / 2) * step);
}
