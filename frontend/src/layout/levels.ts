// What is on view as read from the graph: one level per open container, with the tensors across it and its walls.

import type { ModelGraph } from "../graph";
import { foldState, type Hierarchy, hierarchyOf, isOpen, pathTo, shownChildren } from "./hierarchy";
import { pullAside, type Stub } from "./stubs";

/** A container with more tensors than this through one wall draws them through one shared port. */
export const MAX_PORTS = 8;

/** A tensor, known by the box that makes it, on its way across one level; null stands for the level's wall. */
export interface Flow {
  from: string | null;
  to: string | null;
  tensor: string;
  /** Index into `graph.edges`. */
  edge: number;
}

/** One visible container: its boxes, and the tensors between them and through its walls. */
export interface Level {
  id: string | null;
  boxes: readonly string[];
  index: ReadonlyMap<string, number>;
  inPorts: Ports;
  outPorts: Ports;
  flows: Flow[];
  /** Tensors with many takers beside the main flow: a tag at each taker instead of a line. */
  stubs: Stub[];
}

/** Places on a wall, one per tensor in the order of the edges, or a single one for too many. */
export class Ports {
  readonly #index = new Map<string, number>();
  add(tensor: string): void {
    if (!this.#index.has(tensor)) this.#index.set(tensor, this.#index.size);
  }
  sort(compare: (a: string, b: string) => number): void {
    const sorted = [...this.#index.keys()].sort(compare);
    this.#index.clear();
    for (const tensor of sorted) this.add(tensor);
  }
  keepOnly(tensors: ReadonlySet<string>): void {
    const kept = [...this.#index.keys()].filter((tensor) => tensors.has(tensor));
    this.#index.clear();
    for (const tensor of kept) this.add(tensor);
  }
  get count(): number {
    return this.#index.size > MAX_PORTS ? 1 : this.#index.size;
  }
  of(tensor: string): number | undefined {
    const index = this.#index.get(tensor);
    return index !== undefined && this.#index.size > MAX_PORTS ? 0 : index;
  }
}

export type Levels = ReadonlyMap<string | null, Level>;

/** The levels of what is open in `expanded`, the container before what it holds. */
export function readLevels(graph: ModelGraph, expanded: ReadonlySet<string>): Levels {
  const hierarchy = hierarchyOf(graph);
  const levels = new Map<string | null, Level>();
  const open = (id: string | null) => {
    if (id !== null && !isOpen(hierarchy, expanded, id)) return;
    const boxes = shownChildren(hierarchy, expanded, id);
    const index = new Map(boxes.map((box, i) => [box, i]));
    levels.set(id, { id, boxes, index, inPorts: new Ports(), outPorts: new Ports(), flows: [], stubs: [] });
    for (const box of boxes) open(box);
  };
  open(null);
  readEdges(graph, hierarchy, expanded, levels);
  const orders = new Map([...graph.nodes.keys()].map((id, i) => [id, i]));
  for (const level of levels.values()) {
    pullAside(level);
    inOrder(level, (tensor) => orders.get(tensor) ?? 0);
  }
  return levels;
}

/**
 * Flows in order of execution, and ports in the order of the boxes that they lead to or come from: every repetition of
 * a fold is the same problem then.
 */
function inOrder(level: Level, order: (tensor: string) => number): void {
  const start = ({ from }: Flow) => (from === null ? -1 : (level.index.get(from) ?? 0));
  const end = ({ to }: Flow) => (to === null ? level.boxes.length : (level.index.get(to) ?? 0));
  level.flows.sort((a, b) => start(a) - start(b) || end(a) - end(b) || order(a.tensor) - order(b.tensor));
  const [taker, maker] = [new Map<string, number>(), new Map<string, number>()];
  for (const flow of level.flows) {
    if (flow.from === null && !taker.has(flow.tensor)) taker.set(flow.tensor, end(flow));
    if (flow.to === null && !maker.has(flow.tensor)) maker.set(flow.tensor, start(flow));
  }
  const by = (boxes: ReadonlyMap<string, number>) => (a: string, b: string) =>
    (boxes.get(a) ?? 0) - (boxes.get(b) ?? 0) || order(a) - order(b);
  level.inPorts.sort(by(taker));
  level.outPorts.sort(by(maker));
}

/** The way down to a node. */
interface Way {
  /** As the call tree has it. */
  own: string[];
  /** As it is drawn. */
  path: string[];
  /** Depth of the first fold of which another repetition is drawn than the one that the node is part of; else null. */
  stranger: number | null;
}

/**
 * Every edge goes onto the levels on which it is visible. A fold that shows one repetition shows it wired as the whole
 * is: what enters any repetition enters the shown one in the same place, what leaves leaves it. Only if the shown one
 * has a tensor of its own in that place does a stranger's end at the frame; and what the shown one passes to its
 * neighbours goes through the wall if nothing else does in that place.
 */
function readEdges(
  graph: ModelGraph,
  hierarchy: Hierarchy,
  expanded: ReadonlySet<string>,
  levels: Map<string | null, Level>,
): void {
  const ways = new Map<string, Way>();
  const wayTo = (id: string) => {
    const known = ways.get(id);
    if (known) return known;
    const own = pathTo(hierarchy, id);
    const way = { own, ...drawnWay(hierarchy, expanded, own) };
    ways.set(id, way);
    return way;
  };
  const boxOf = standIns(hierarchy, levels);
  const entered = new Set<string>();
  const left = new Set<string>();
  const strangers: Crossing[] = [];
  const carried: Crossing[] = [];
  graph.edges.forEach(({ source, target }, edge) => {
    if (source !== target && boxOf(source) === boxOf(target)) return; // inside a closed box
    const [start, end] = [wayTo(source), wayTo(target)];
    const [from, to] = [start.own, end.own];
    if (from.length === 0 || to.length === 0) return;
    let common = 0;
    while (common < from.length - 1 && common < to.length - 1 && from[common] === to[common]) common++;
    if (from[common] === to[common] && from.length !== to.length) return; // a container and its own content
    const crossing = { from: start, to: end, common, edge };
    const hidden = ({ stranger }: Way) => stranger !== null && stranger < common;
    if (hidden(crossing.from) || hidden(crossing.to)) {
      const within =
        (crossing.from.stranger ?? common) === common - 1 || (crossing.to.stranger ?? common) === common - 1;
      if (within && !(hidden(crossing.from) && hidden(crossing.to))) carried.push(crossing);
    } else if (crossing.from.stranger !== null || crossing.to.stranger !== null) strangers.push(crossing);
    else {
      for (const key of gates(hierarchy, crossing.to.path, common)) entered.add(key);
      for (const key of gates(hierarchy, crossing.from.path, common)) left.add(key);
      spread(levels, crossing, crossing.from.path, crossing.to.path);
    }
  });
  for (const crossing of strangers) welcome(hierarchy, levels, crossing, entered, left);
  for (const crossing of carried) carry(hierarchy, levels, crossing, entered, left);
}

/** For each id the box that stands for it on the screen (as `visibleBox` says), each container looked at once. */
function standIns(hierarchy: Hierarchy, levels: Levels): (id: string) => string | null {
  const known = new Map<string, string | null>();
  const boxOf = (id: string): string | null => {
    const before = known.get(id);
    if (before !== undefined) return before;
    const parent = hierarchy.parent.get(id);
    let box: string | null = parent === undefined ? null : id;
    if (parent) {
      const around = boxOf(parent);
      if (around !== parent) box = around;
      else if (!levels.get(parent)?.index.has(id)) box = parent;
    }
    known.set(id, box);
    return box;
  };
  return boxOf;
}

interface Crossing {
  from: Way;
  to: Way;
  /** How many containers both ends share. */
  common: number;
  edge: number;
}

/** The way to a node with every hidden repetition replaced by the shown one, step by step in the same places. */
function drawnWay(hierarchy: Hierarchy, expanded: ReadonlySet<string>, path: readonly string[]) {
  const drawn: string[] = [];
  let stranger: number | null = null;
  for (const [depth, step] of path.entries()) {
    const container = drawn.at(-1) ?? null;
    const place = hierarchy.position.get(step) ?? 0;
    let here = stranger === null ? step : hierarchy.children.get(container)?.[place];
    const fold = container === null ? undefined : hierarchy.folds.get(container);
    const shown = fold ? foldState(hierarchy, expanded, fold.id) : null;
    if (fold && typeof shown === "number") {
      const period = fold.members[0]?.length ?? 1;
      if (Math.floor(place / period) !== shown) {
        stranger ??= depth - 1;
        here = fold.members[shown]?.[place % period];
      }
    }
    if (here === undefined) break;
    drawn.push(here);
  }
  return { path: drawn, stranger };
}

/** The folds on a way below the first `common` steps, each with the box that an edge meets in it. */
function gates(hierarchy: Hierarchy, path: readonly string[], common: number): string[] {
  const end = path.at(-1) ?? "";
  return path.slice(common).flatMap((step) => (hierarchy.folds.has(step) ? [`${step}\n${end}`] : []));
}

function welcome(
  hierarchy: Hierarchy,
  levels: Map<string | null, Level>,
  crossing: Crossing,
  entered: Set<string>,
  left: Set<string>,
): void {
  const shorten = (way: Way, taken: Set<string>) => {
    if (way.stranger === null) return way.path;
    const key = `${way.path[way.stranger]}\n${way.path.at(-1)}`;
    if (taken.has(key)) return way.path.slice(0, way.stranger + 1);
    return way.path;
  };
  const [from, to] = [shorten(crossing.from, left), shorten(crossing.to, entered)];
  for (const key of gates(hierarchy, to, crossing.common)) entered.add(key);
  spread(levels, crossing, from, to);
}

/** A tensor between the shown repetition and a hidden one: through the wall of the fold, if the place is free. */
function carry(
  hierarchy: Hierarchy,
  levels: Map<string | null, Level>,
  { from, to, common, edge }: Crossing,
  entered: Set<string>,
  left: Set<string>,
): void {
  const fold = to.path[common - 1] ?? "";
  if (!hierarchy.folds.has(fold)) return;
  const shownEnd = to.stranger === null || to.stranger >= common ? to : from;
  const key = `${fold}\n${shownEnd.path.at(-1)}`;
  if (shownEnd === to && !entered.has(key)) enter(levels, to.path, common, from.path.at(-1) ?? "", edge);
  if (shownEnd === from && !left.has(key)) leave(levels, from.path, common, from.path.at(-1) ?? "", edge);
}

/** Out through the walls around `from`, across the container of both, and in through the walls around `to`. */
function spread(levels: Map<string | null, Level>, { common, edge }: Crossing, from: string[], to: string[]): void {
  const tensor = from.at(-1) ?? "";
  const level = levels.get(from[common - 1] ?? null);
  level?.flows.push({ from: from[common] ?? "", to: to[common] ?? "", tensor, edge });
  leave(levels, from, common + 1, tensor, edge);
  enter(levels, to, common + 1, tensor, edge);
}

function leave(levels: Levels, path: string[], depth: number, tensor: string, edge: number): void {
  for (let at = depth; at < path.length; at++) {
    const level = levels.get(path[at - 1] ?? null);
    level?.outPorts.add(tensor);
    level?.flows.push({ from: path[at] ?? "", to: null, tensor, edge });
  }
}

function enter(levels: Levels, path: string[], depth: number, tensor: string, edge: number): void {
  for (let at = depth; at < path.length; at++) {
    const level = levels.get(path[at - 1] ?? null);
    level?.inPorts.add(tensor);
    level?.flows.push({ from: null, to: path[at] ?? "", tensor, edge });
  }
}
