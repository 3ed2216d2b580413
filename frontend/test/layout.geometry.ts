// What must hold of every picture, stated apart from how it is made, and the solver that the tests make pictures with.

import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { expect } from "vitest";
import type { ModelGraph } from "../src/graph";
import { everythingOpen } from "../src/layout/expansion";
import { solveWithGraphviz } from "../src/layout/graphviz";
import { hierarchyOf, isOpen, shownChildren, visibleBox } from "../src/layout/hierarchy";
import { layOut, type Picture, type PlacedBox, type Sizes } from "../src/layout/picture";
import type { Problem } from "../src/layout/problem";
import { type LayoutWorker, type Reply, type Request, Solver } from "../src/layout/solver";

export const HEADER = 34;

/** Sizes by kind and class only: equal blocks must measure the same. */
export function sizesOf(graph: ModelGraph): Sizes {
  return {
    box: (id) => ({ width: 80 + 8 * (graph.nodes.get(id)?.class_name.length ?? 0), height: 68 }),
    header: () => ({ width: 240, height: HEADER }),
  };
}

/** Graphviz in this thread behind the messages of the worker; remembers every problem that it solved. */
export class ThreadWorker implements LayoutWorker {
  readonly solved: Problem[] = [];
  readonly #graphviz: Promise<Graphviz>;
  #listener: (event: { data: Reply }) => void = () => {};

  constructor(graphviz: Promise<Graphviz> = Graphviz.load()) {
    this.#graphviz = graphviz;
  }

  addEventListener(type: "message" | "error", listener: (event: { data: Reply }) => void): void {
    if (type !== "message") return;
    this.#listener = listener;
    this.#graphviz.then(() => listener({ data: { type: "ready" } }));
  }

  async postMessage({ id, problem }: Request): Promise<void> {
    const solution = solveWithGraphviz(await this.#graphviz, problem);
    this.solved.push(problem);
    this.#listener({ data: { type: "solved", id, solution } });
  }

  terminate(): void {}
}

/** The picture by the page's own solver on real Graphviz, and the problems that Graphviz was asked to solve. */
export async function drawn(graph: ModelGraph, expanded: ReadonlySet<string>) {
  const worker = new ThreadWorker();
  const solver = new Solver(() => worker, { deadline: 60_000 });
  const never = new AbortController().signal;
  const picture = await layOut(graph, expanded, sizesOf(graph), (problem) => solver.solve(problem, never));
  return { picture, problems: worker.solved };
}

export const everything = (graph: ModelGraph) => everythingOpen(graph, true);

/** Every box on view is in the picture once; siblings lie apart, and children inside their container. */
export function expectBoxesInOrder(graph: ModelGraph, expanded: ReadonlySet<string>, picture: Picture): void {
  const hierarchy = hierarchyOf(graph);
  const onView: string[] = [];
  const look = (container: string | null) => {
    for (const id of shownChildren(hierarchy, expanded, container)) {
      onView.push(id);
      if (isOpen(hierarchy, expanded, id)) look(id);
    }
  };
  look(null);
  expect(picture.boxes.map(({ id }) => id).sort()).toEqual(onView.sort());
  const containerOf = ({ id }: PlacedBox) => hierarchy.parent.get(id) ?? null;
  const byId = new Map(picture.boxes.map((box) => [box.id, box]));
  for (const container of new Set(picture.boxes.map(containerOf))) {
    const boxes = picture.boxes.filter((box) => containerOf(box) === container);
    expect(overlapping(boxes)).toEqual([]);
    const around = container === null ? undefined : byId.get(container);
    const top = { x: 0, y: -HEADER, width: picture.width, height: picture.height + HEADER };
    const outside = boxes.filter((box) => !isInside(box, around ?? top));
    expect(outside).toEqual([]);
  }
}

/** Pairs of boxes that share a pixel; those that lie beside each other must be 1 pixel apart at least. */
function overlapping(boxes: readonly PlacedBox[]): string[] {
  const sorted = [...boxes].sort((a, b) => a.y - b.y);
  const pairs: string[] = [];
  sorted.forEach((box, i) => {
    for (const below of sorted.slice(i + 1)) {
      if (below.y >= box.y + box.height + 1) break;
      if (below.x < box.x + box.width + 1 && box.x < below.x + below.width + 1) pairs.push(`${box.id} ${below.id}`);
    }
  });
  return pairs;
}

function isInside(box: PlacedBox, around: { x: number; y: number; width: number; height: number }): boolean {
  const [right, bottom] = [around.x + around.width, around.y + around.height];
  const across = box.x >= around.x - 0.5 && box.x + box.width <= right + 0.5;
  return across && box.y >= around.y + HEADER - 0.5 && box.y + box.height <= bottom + 0.5;
}

type Point = readonly [x: number, y: number];
const CLOSE = 1; // pixels; Graphviz clips at a border with some tenths to spare

/**
 * Every tensor between two boxes on view is one unbroken way of pieces from the border of the one to the border of the
 * other, with one arrowhead, at its end; a tensor inside a closed box is not drawn.
 */
export function expectEdgesToJoin(graph: ModelGraph, expanded: ReadonlySet<string>, picture: Picture): void {
  const hierarchy = hierarchyOf(graph);
  const byId = new Map(picture.boxes.map((box) => [box.id, box]));
  expect(picture.edges.flatMap(({ points }) => points).every(Number.isFinite)).toBe(true);
  expect(picture.edges.every(({ points }) => points.length >= 8 && points.length % 6 === 2)).toBe(true);
  const wrong: string[] = [];
  graph.edges.forEach(({ source, target }, tensor) => {
    const pieces = picture.edges.filter(({ tensors }) => tensors.includes(tensor));
    const [from, to] = [visibleBox(hierarchy, expanded, source), visibleBox(hierarchy, expanded, target)];
    const [tail, head] = [byId.get(from ?? ""), byId.get(to ?? "")];
    if (!tail || !head || (tail === head && (source !== target || tail.id !== source))) {
      if (pieces.length > 0) wrong.push(`${source} -> ${target} is drawn, but an end is not on view`);
      return;
    }
    const stub = picture.stubs.find(({ tensors }) => tensors.includes(tensor));
    if (stub) {
      const taker = byId.get(stub.box);
      if (!touches(firstOf(stub.points), tail)) wrong.push(`${source} -> ${target} is pulled aside from another box`);
      if (!taker || !touches(lastOf(stub.points), taker)) wrong.push(`${source} -> ${target} has its tag beside a box`);
      return;
    }
    const starting = pieces.filter(({ points }) => touches(firstOf(points), tail));
    if (starting.length !== 1) wrong.push(`${source} -> ${target} leaves its box ${starting.length} times`);
    let [at, left] = [starting[0], pieces.length - 1];
    while (at && !at.arrow) {
      const end = lastOf(at.points);
      at = pieces.find(({ points }) => near(firstOf(points), end));
      left -= 1;
    }
    if (!at || left !== 0) wrong.push(`${source} -> ${target} breaks off, ${left} of ${pieces.length} pieces left`);
    else if (!touches(lastOf(at.points), head)) wrong.push(`${source} -> ${target} ends beside its box`);
  });
  expect(wrong).toEqual([]);
}

const firstOf = (points: readonly number[]): Point => [points[0] ?? Number.NaN, points[1] ?? Number.NaN];
const lastOf = (points: readonly number[]): Point => [points.at(-2) ?? Number.NaN, points.at(-1) ?? Number.NaN];
const near = (a: Point, b: Point) => Math.hypot(a[0] - b[0], a[1] - b[1]) <= CLOSE;

/** True if `point` lies on the border of `box`. */
function touches([x, y]: Point, box: PlacedBox): boolean {
  const outside = Math.hypot(
    Math.max(box.x - x, 0, x - box.x - box.width),
    Math.max(box.y - y, 0, y - box.y - box.height),
  );
  const inside = Math.min(x - box.x, box.x + box.width - x, y - box.y, box.y + box.height - y);
  return outside <= CLOSE && inside <= CLOSE;
}
