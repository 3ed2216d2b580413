// The picture: every visible box and edge in absolute coordinates, composed from one layout per container, inside out.

import type { ModelGraph } from "../graph";
import { type Hierarchy, hierarchyOf, pathTo } from "./hierarchy";
import { ANYWHERE, type Problem, type ProblemEdge, type Solution, WALL } from "./problem";

export interface Size {
  width: number;
  height: number;
}

/** How large boxes are drawn, in pixels; widths are even numbers, so that a box has a whole centre. */
export interface Sizes {
  /** A leaf or a closed container. */
  box: (id: string) => Size;
  /** The header bar of an open container: its height, and the least width of the container. */
  header: (id: string) => Size;
}

export interface PlacedBox extends Size {
  id: string;
  x: number;
  y: number;
  /** 0 at the top of the model. */
  depth: number;
  expanded: boolean;
}

export interface PlacedEdge {
  key: string;
  /** Cubic spline: x0 y0, then six numbers a segment. */
  points: number[];
  /** True where it ends at the box that takes the tensor; false where it goes on through a wall. */
  arrow: boolean;
  /** Indices into `graph.edges` of the tensors that flow through this piece. */
  tensors: number[];
}

export interface Picture extends Size {
  /** Containers stand before what they enclose. */
  boxes: PlacedBox[];
  edges: PlacedEdge[];
  /** Containers that were drawn as a plain column because Graphviz took too long; null is the top. */
  approximate: (string | null)[];
}

export type Solve = (problem: Problem) => Promise<Solution>;

const SIDE = 18; // between a container's wall and its content
const BOTTOM = 18; // below the content of a container that no tensor leaves
/** A container with more tensors than this through one wall draws them through one shared port. */
export const MAX_PORTS = 8;

/** One visible container as read from the graph: its boxes, and the tensors between them and through its walls. */
interface Level {
  id: string | null;
  boxes: readonly string[];
  index: Map<string, number>;
  /** Tensors, known by the box that makes them, in the order of their ports. */
  inPorts: Ports;
  outPorts: Ports;
  /** [child or null for the wall, child or null, producing box, edge index] */
  flows: [from: string | null, to: string | null, tensor: string, edge: number][];
}

class Ports {
  readonly #index = new Map<string, number>();
  add(tensor: string): void {
    if (!this.#index.has(tensor)) this.#index.set(tensor, this.#index.size);
  }
  get count(): number {
    return this.#index.size > MAX_PORTS ? 1 : this.#index.size;
  }
  of(tensor: string): number {
    return this.#index.size > MAX_PORTS ? 0 : (this.#index.get(tensor) ?? 0);
  }
}

/** Lay out what is visible of `graph` when the containers in `expanded` are open. */
export async function layOut(
  graph: ModelGraph,
  expanded: ReadonlySet<string>,
  sizes: Sizes,
  solve: Solve,
): Promise<Picture> {
  const levels = readLevels(graph, expanded);
  const top = await placeLevel(null, levels, sizes, solve);
  const picture: Picture = { width: top.width, height: top.height, boxes: [], edges: [], approximate: [] };
  flatten(top, 0, 0, 0, picture);
  return picture;
}

function readLevels(graph: ModelGraph, expanded: ReadonlySet<string>): Map<string | null, Level> {
  const hierarchy = hierarchyOf(graph);
  const levels = new Map<string | null, Level>();
  const open = (id: string | null) => {
    const boxes = hierarchy.children.get(id);
    if (!boxes || (id !== null && !expanded.has(id))) return;
    const index = new Map(boxes.map((box, i) => [box, i]));
    levels.set(id, { id, boxes, index, inPorts: new Ports(), outPorts: new Ports(), flows: [] });
    for (const box of boxes) open(box);
  };
  open(null);
  graph.edges.forEach((edge, i) => {
    readEdge(hierarchy, levels, edge.source, edge.target, i);
  });
  return levels;
}

/** Spread one edge over the levels it is visible on: out through walls, across, and in through walls. */
function readEdge(
  hierarchy: Hierarchy,
  levels: Map<string | null, Level>,
  source: string,
  target: string,
  edge: number,
): void {
  const from = pathTo(hierarchy, source);
  const to = pathTo(hierarchy, target);
  if (from.length === 0 || to.length === 0) return; // an end that is no node
  let common = 0;
  while (common < from.length - 1 && common < to.length - 1 && from[common] === to[common]) common++;
  if (from[common] === to[common] && from.length !== to.length) return; // a container and its own content
  levels.get(from[common - 1] ?? null)?.flows.push([from[common] ?? "", to[common] ?? "", source, edge]);
  for (let depth = common + 1; depth < from.length; depth++) {
    const level = levels.get(from[depth - 1] ?? null);
    level?.outPorts.add(source);
    level?.flows.push([from[depth] ?? "", null, source, edge]);
  }
  for (let depth = common + 1; depth < to.length; depth++) {
    const level = levels.get(to[depth - 1] ?? null);
    level?.inPorts.add(source);
    level?.flows.push([null, to[depth] ?? "", source, edge]);
  }
}

/** A laid-out container in its own coordinates. */
interface Placed extends Size {
  id: string | null;
  contentX: number;
  contentY: number;
  boxes: { id: string; size: Size; inside: Placed | null }[];
  solution: Solution;
  /** Positions of the wall's ports, from the left edge of the container. */
  inPorts: number[];
  outPorts: number[];
  edges: { arrow: boolean; tensors: number[] }[];
  /** Tensors through each port of the top wall. */
  entering: number[][];
}

async function placeLevel(
  id: string | null,
  levels: Map<string | null, Level>,
  sizes: Sizes,
  solve: Solve,
): Promise<Placed> {
  const level = levels.get(id) as Level;
  const inside = await Promise.all(
    level.boxes.map((box) => (levels.has(box) ? placeLevel(box, levels, sizes, solve) : null)),
  );
  const boxes = level.boxes.map((box, i) => ({
    id: box,
    size: inside[i] ?? sizes.box(box),
    inside: inside[i] ?? null,
  }));
  const { edges, info } = joinFlows(level, levels);
  const problem: Problem = {
    boxes: boxes.map((box) => ({
      width: box.size.width,
      height: box.size.height,
      inPorts: box.inside?.inPorts ?? [],
      outPorts: box.inside?.outPorts ?? [],
    })),
    inPorts: level.inPorts.count,
    outPorts: level.outPorts.count,
    edges,
  };
  const solution = await solve(problem);
  const header = id === null ? { width: 0, height: 0 } : sizes.header(id);
  const side = id === null ? 0 : SIDE;
  const width = Math.max(even(solution.width) + 2 * side, header.width);
  const contentX = (width - solution.width) / 2;
  const air = id !== null && problem.inPorts === 0 ? BOTTOM : 0;
  const bottom = id !== null && problem.outPorts === 0 ? BOTTOM : 0;
  const entering: number[][] = Array.from({ length: problem.inPorts }, () => []);
  for (const [from, , tensor, edge] of level.flows) if (from === null) entering[level.inPorts.of(tensor)]?.push(edge);
  const height = even(header.height + air + solution.height + bottom);
  return {
    id,
    width,
    height,
    contentX,
    contentY: height - bottom - solution.height, // what rounding adds goes above, so that leaving edges meet the wall
    boxes,
    solution,
    inPorts: solution.inPorts.map((x) => Math.round(x + contentX)),
    outPorts: solution.outPorts.map((x) => Math.round(x + contentX)),
    edges: info,
    entering,
  };
}

const even = (length: number) => 2 * Math.ceil(length / 2);

/** Flows with the same two ends become one edge. */
function joinFlows(level: Level, levels: Map<string | null, Level>) {
  const edges: ProblemEdge[] = [];
  const info: { arrow: boolean; tensors: number[] }[] = [];
  const known = new Map<string, number>();
  for (const [from, to, tensor, edge] of level.flows) {
    const tail = from === null ? level.inPorts : levels.get(from)?.outPorts;
    const head = to === null ? level.outPorts : levels.get(to)?.inPorts;
    const ends: ProblemEdge = [
      from === null ? WALL : (level.index.get(from) ?? 0),
      tail?.of(tensor) ?? ANYWHERE,
      to === null ? WALL : (level.index.get(to) ?? 0),
      head?.of(tensor) ?? ANYWHERE,
    ];
    const key = ends.join();
    const index = known.get(key) ?? edges.length;
    if (index === edges.length) {
      known.set(key, index);
      edges.push(ends);
      info.push({ arrow: !head, tensors: [] });
    }
    info[index]?.tensors.push(edge);
  }
  return { edges, info };
}

/** Move a container's content to where the container stands, and all within it. */
function flatten(placed: Placed, x: number, y: number, depth: number, picture: Picture): void {
  const { solution, contentX, contentY } = placed;
  const name = placed.id ?? "";
  if (solution.approximate) picture.approximate.push(placed.id);
  placed.inPorts.forEach((port, i) => {
    // From the wall down behind the header, where the content's own edges take over.
    const inner = x + contentX + (solution.inPorts[i] ?? 0);
    const points = [x + port, y, x + port, y + contentY / 2, inner, y + contentY / 2, inner, y + contentY];
    picture.edges.push({ key: `${name} in ${i}`, points, arrow: false, tensors: placed.entering[i] ?? [] });
  });
  placed.edges.forEach(({ arrow, tensors }, i) => {
    const points = (solution.edges[i] ?? []).map((value, k) => value + (k % 2 === 0 ? x + contentX : y + contentY));
    picture.edges.push({ key: `${name} ${i}`, points, arrow, tensors });
  });
  placed.boxes.forEach(({ id, size, inside }, i) => {
    const corner = solution.boxes[i] ?? { x: 0, y: 0 };
    const [left, top] = [x + contentX + corner.x, y + contentY + corner.y];
    picture.boxes.push({
      id,
      x: left,
      y: top,
      width: size.width,
      height: size.height,
      depth,
      expanded: inside !== null,
    });
    if (inside) flatten(inside, left, top, depth + 1, picture);
  });
}
