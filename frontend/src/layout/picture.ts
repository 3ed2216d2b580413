// The picture: every visible box and edge in absolute coordinates, composed from one layout per container, inside out.

import type { ModelGraph } from "../graph";
import { arrange, WRAPPINGS, type Wrapping } from "./arrange";
import { hierarchyOf, visibleBox } from "./hierarchy";
import { type Level, type Levels, readLevels } from "./levels";
import { ANYWHERE, type Problem, type ProblemEdge, problemKey, type Solution, WALL } from "./problem";

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

/** A tensor that is pulled aside, at one of the boxes that take it. */
export interface PlacedStub {
  /** The box that takes it. */
  box: string;
  /** The box that makes it, or that stands for the one that does. */
  from: string;
  /** The line that is drawn on demand. */
  points: number[];
  /** Indices into `graph.edges`. */
  tensors: number[];
}

export interface Picture extends Size {
  /** Containers stand before what they enclose. */
  boxes: PlacedBox[];
  edges: PlacedEdge[];
  /** Tensors with many takers beside the main flow, in place of their edges. */
  stubs: PlacedStub[];
  /** Containers that were drawn as a plain column because Graphviz took too long; null is the top. */
  approximate: (string | null)[];
  /** How long chains were wrapped. */
  wrapping: Wrapping;
}

export type Solve = (problem: Problem) => Promise<Solution>;

/** Where the tag of a stub stands on the top of its box, from the left. */
export const STUB_X = 16;
const SIDE = 12; // between a container's wall and its content
const BOTTOM = 12; // below the content of a container that no tensor leaves
/**
 * Lay out what is visible of `graph` when `expanded` is open (see hierarchy.ts). `aspect` is the width of the pane over
 * its height: what is much taller wraps into columns.
 */
export async function layOut(
  graph: ModelGraph,
  expanded: ReadonlySet<string>,
  sizes: Sizes,
  solve: Solve,
  aspect = 1.6,
  wrapping: Wrapping = WRAPPINGS[0],
): Promise<Picture> {
  const levels = readLevels(graph, expanded);
  return compose(graph, expanded, { levels, sizes, solve, aspect, wrapping, arranged: new Map() });
}

async function compose(graph: ModelGraph, expanded: ReadonlySet<string>, job: Job): Promise<Picture> {
  const { width, height, ...top } = await placeLevel(null, job);
  const { wrapping, levels } = job;
  const picture: Picture = { width, height, boxes: [], edges: [], stubs: [], approximate: [], wrapping };
  flatten({ width, height, ...top }, 0, 0, 0, picture);
  placeStubs(graph, expanded, levels, picture);
  return picture;
}

/** Up to so many boxes it is worth trying which wrapping shows them largest. */
const FEW = 120;

/** The picture in the wrapping in which `pane` shows it largest, if it is not too large for that. */
export async function layOutToFit(
  graph: ModelGraph,
  expanded: ReadonlySet<string>,
  sizes: Sizes,
  solve: Solve,
  pane: Size,
): Promise<Picture> {
  const aspect = pane.width / pane.height;
  const scale = ({ width, height }: Size) => Math.min(1, pane.width / width, pane.height / height);
  const job = { levels: readLevels(graph, expanded), sizes, solve, aspect };
  let best = await compose(graph, expanded, { ...job, wrapping: WRAPPINGS[0], arranged: new Map() });
  for (const wrapping of WRAPPINGS.slice(1)) {
    if (scale(best) === 1 || best.boxes.length > FEW) break;
    const other = await compose(graph, expanded, { ...job, wrapping, arranged: new Map() });
    if (scale(other) > 1.03 * scale(best)) best = other;
  }
  return best;
}

interface Job {
  /** Containers that are alike, in this wrapping, are arranged once. */
  arranged: Map<string, Promise<Solution>>;
  levels: Levels;
  sizes: Sizes;
  solve: Solve;
  aspect: number;
  wrapping: Wrapping;
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

async function placeLevel(id: string | null, job: Job): Promise<Placed> {
  const { levels, sizes, solve, aspect, wrapping, arranged } = job;
  const level = levels.get(id) as Level;
  const inside = await Promise.all(level.boxes.map((box) => (levels.has(box) ? placeLevel(box, job) : null)));
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
  const shape = { aspect: id === null ? aspect : wrapping.inner, tall: wrapping.tall };
  const key = `${shape.aspect} ${problemKey(problem)}`;
  const arranging = arranged.get(key) ?? arrange(problem, shape, solve);
  arranged.set(key, arranging);
  const solution = await arranging;
  const header = id === null ? { width: 0, height: 0 } : sizes.header(id);
  const side = id === null ? 0 : SIDE;
  const width = Math.max(even(solution.width) + 2 * side, header.width);
  const contentX = (width - solution.width) / 2;
  const air = id !== null && problem.inPorts === 0 ? BOTTOM : 0;
  const bottom = id !== null && problem.outPorts === 0 ? BOTTOM : 0;
  const entering: number[][] = Array.from({ length: problem.inPorts }, () => []);
  for (const { from, tensor, edge } of level.flows)
    if (from === null) entering[level.inPorts.of(tensor) ?? -1]?.push(edge);
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
function joinFlows(level: Level, levels: Levels) {
  const edges: ProblemEdge[] = [];
  const info: { arrow: boolean; tensors: number[] }[] = [];
  const known = new Map<string, number>();
  for (const { from, to, tensor, edge } of level.flows) {
    const tail = (from === null ? level.inPorts : levels.get(from)?.outPorts)?.of(tensor);
    const head = (to === null ? level.outPorts : levels.get(to)?.inPorts)?.of(tensor);
    const ends: ProblemEdge = [
      from === null ? WALL : (level.index.get(from) ?? 0),
      tail ?? ANYWHERE,
      to === null ? WALL : (level.index.get(to) ?? 0),
      head ?? ANYWHERE,
    ];
    const key = ends.join();
    const index = known.get(key) ?? edges.length;
    if (index === edges.length) {
      known.set(key, index);
      edges.push(ends);
      info.push({ arrow: to !== null && head === undefined, tensors: [] });
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

/** The lines of what is pulled aside, from the box that makes it down to the top of the box that takes it. */
function placeStubs(graph: ModelGraph, expanded: ReadonlySet<string>, levels: Levels, picture: Picture): void {
  const byId = new Map(picture.boxes.map((box) => [box.id, box]));
  const hierarchy = hierarchyOf(graph);
  for (const level of levels.values())
    for (const { box, tensor, edges } of level.stubs) {
      const from = visibleBox(hierarchy, expanded, tensor) ?? tensor;
      const [tail, head] = [byId.get(from), byId.get(box)];
      if (!tail || !head) continue;
      const [x, y] = [tail.x + tail.width / 2, tail.y + tail.height];
      const [toX, toY] = [head.x + STUB_X, head.y];
      const bend = Math.max(40, Math.abs(toY - y) / 2);
      picture.stubs.push({ box, from, points: [x, y, x, y + bend, toX, toY - bend, toX, toY], tensors: edges });
    }
}
