// A long chain in several columns, read from top to bottom and from left to right: where to cut it, and the columns
// put together. Each column is a problem of its own, so equal columns are laid out once.

import { BOX_GAP, type Problem, type ProblemEdge, RANK_GAP, type Solution, spread, WALL } from "./problem";
import { rankByLongestPath } from "./ranks";
import { joined, moved, rounded } from "./spline";

/** Tensors that a cut may cross. */
const MOST_CROSSING = 40;
/** Width that a tensor takes between two columns, and height above and below them. */
const LANE = 6;
const BAND = 9;
const GAP = 22;
/** By how much a picture must become smaller for twice as many columns. */
const WORTH = 0.06;

/** A container much taller than its share of a pane is worth wrapping. */
export interface Shape {
  /** Width over height to aim at. */
  aspect: number;
  /** Height up to which nothing is wrapped. */
  tall: number;
}

/** Where columns begin, the first at box 0; one column if it is well as it is. */
export function cutsOf(problem: Problem, { aspect, tall }: Shape): number[] {
  const crossing = crossings(problem);
  if (problem.boxes.length < 2 || crossing === null) return [0];
  const ranks = rankByLongestPath(problem);
  const whole = measure(problem, ranks, 0, problem.boxes.length);
  if (whole.height <= tall) return [0];
  const score = (cuts: readonly number[]) => {
    let [width, height] = [0, 0];
    cuts.forEach((start, i) => {
      const size = measure(problem, ranks, start, cuts[i + 1] ?? problem.boxes.length);
      width += size.width + (i > 0 ? GAP + LANE * (crossing[start] ?? 0) : 0);
      height = Math.max(height, size.height);
    });
    return Math.max(height, width / aspect);
  };
  let best = { cuts: [0], score: Math.max(whole.height, whole.width / aspect) };
  for (let limit = whole.height / 2; limit > 120; limit *= 0.9) {
    const cuts = fill(problem, ranks, crossing, limit);
    const reached = score(cuts) * (1 + WORTH * Math.log2(cuts.length));
    if (reached < best.score) best = { cuts, score: reached };
    if (cuts.length > 3 * best.cuts.length + 3) break;
  }
  return best.cuts;
}

/** How many tensors cross the cut before each box; null where an edge runs through from wall to wall or backwards. */
function crossings(problem: Problem): number[] | null {
  const last = new Map<string, { from: number; to: number }>();
  for (const [from, fromPort, to] of problem.edges) {
    if ((from === WALL && to === WALL) || (from !== WALL && to !== WALL && to < from)) return null;
    if (from === WALL || to === WALL) continue; // a column meets the walls by itself
    const key = `${from} ${fromPort}`;
    const span = last.get(key);
    if (span) span.to = Math.max(span.to, to);
    else last.set(key, { from, to });
  }
  const change = new Array<number>(problem.boxes.length + 1).fill(0);
  for (const { from, to } of last.values()) {
    change[from + 1] = (change[from + 1] ?? 0) + 1;
    change[to + 1] = (change[to + 1] ?? 0) - 1;
  }
  let open = 0;
  return problem.boxes.map((_, i) => {
    open += change[i] ?? 0;
    return open;
  });
}

/** Size of boxes `start` to `end` with each rank as a row. */
function measure(problem: Problem, ranks: readonly number[], start: number, end: number) {
  const rows = new Map<number, { width: number; height: number }>();
  for (let i = start; i < end; i++) {
    const box = problem.boxes[i];
    const row = rows.get(ranks[i] ?? 0);
    if (!box) continue;
    if (row) {
      row.width += box.width + BOX_GAP;
      row.height = Math.max(row.height, box.height);
    } else rows.set(ranks[i] ?? 0, { width: box.width, height: box.height });
  }
  let [width, height] = [0, -RANK_GAP];
  for (const row of rows.values()) {
    width = Math.max(width, row.width);
    height += row.height + RANK_GAP;
  }
  return { width, height };
}

/** Columns of about `limit` in height, cut where the fewest tensors cross in the last third of each. */
function fill(problem: Problem, ranks: readonly number[], crossing: readonly number[], limit: number): number[] {
  const cuts = [0];
  let rows = new Map<number, number>();
  let height = 0;
  let best: number | null = null;
  for (let i = 0; i < problem.boxes.length; i++) {
    const start = cuts.at(-1) ?? 0;
    const [rank, tall] = [ranks[i] ?? 0, problem.boxes[i]?.height ?? 0];
    const known = rows.get(rank);
    const grown = height + (known === undefined ? tall + RANK_GAP : Math.max(0, tall - known));
    if (i > start && (crossing[i] ?? 0) <= MOST_CROSSING && (height > limit * 0.67 || grown > limit))
      if (best === null || (crossing[i] ?? 0) <= (crossing[best] ?? 0)) best = i;
    if (grown - RANK_GAP > limit && best !== null) {
      cuts.push(best);
      i = best - 1; // goes on with the first box of the new column
      [rows, height, best] = [new Map(), 0, null];
      continue;
    }
    rows.set(rank, Math.max(tall, known ?? 0));
    height = grown;
  }
  return cuts;
}

/** One column: its problem, and which of its walls' ports stand for which tensor. */
interface Column {
  start: number;
  problem: Problem;
  ins: Map<string, number>;
  outs: Map<string, number>;
  /** Local edge of each key that `inKey` and `outKey` make, and of each edge inside. */
  edges: Map<string, number>;
}

const tensorOf = ([from, port]: ProblemEdge) => `${from} ${port}`;
const exitOf = (edge: ProblemEdge) => (edge[2] === WALL ? `wall ${edge[3]}` : tensorOf(edge));

function columnsOf(problem: Problem, cuts: readonly number[]): { columns: Column[]; columnOf: number[] } {
  const columnOf: number[] = [];
  const columns = cuts.map((start, c): Column => {
    const boxes = problem.boxes.slice(start, cuts[c + 1]);
    for (let i = 0; i < boxes.length; i++) columnOf[start + i] = c;
    const own = { boxes, inPorts: 0, outPorts: 0, edges: [] };
    return { start, problem: own, ins: new Map(), outs: new Map(), edges: new Map() };
  });
  const add = (column: Column | undefined, key: string, edge: ProblemEdge) => {
    if (!column || column.edges.has(key)) return;
    column.edges.set(key, column.problem.edges.length);
    column.problem.edges.push(edge);
  };
  const port = (ports: Map<string, number>, key: string) => {
    const index = ports.get(key) ?? ports.size;
    ports.set(key, index);
    return index;
  };
  for (const edge of problem.edges) {
    const [from, fromPort, to, toPort] = edge;
    const [a, b] = [columnOf[from], columnOf[to]];
    const [left, right] = [columns[a ?? -1], columns[b ?? -1]];
    if (left && left === right) {
      add(left, edge.join(), [from - left.start, fromPort, to - left.start, toPort]);
      continue;
    }
    const exit = left && port(left.outs, exitOf(edge));
    if (left) add(left, outKey(edge), [from - left.start, fromPort, WALL, exit ?? 0]);
    const entry = right && port(right.ins, tensorOf(edge));
    if (right) add(right, inKey(edge), [WALL, entry ?? 0, to - right.start, toPort]);
  }
  for (const column of columns) [column.problem.inPorts, column.problem.outPorts] = [column.ins.size, column.outs.size];
  return { columns, columnOf };
}

const outKey = (edge: ProblemEdge) => `out ${tensorOf(edge)} ${exitOf(edge)}`;
const inKey = (edge: ProblemEdge) => `in ${edge.join()}`;

/** The problem in columns that begin at `cuts`. */
export async function inColumns(
  problem: Problem,
  cuts: readonly number[],
  solve: (problem: Problem) => Promise<Solution>,
): Promise<Solution> {
  const { columns, columnOf } = columnsOf(problem, cuts);
  const solved = await Promise.all(columns.map((column) => solve(column.problem)));
  return compose(problem, columns, columnOf, solved);
}

function compose(problem: Problem, columns: Column[], columnOf: number[], solved: Solution[]): Solution {
  const tracks = tracksOf(problem, columns.length, columnOf);
  const top = tracks.height > 0 ? BAND + tracks.height * LANE : 0;
  const ends = solved.map(({ height }) => top + height);
  const under = (c: number) => (tracks.lanes[c]?.size ? BAND + (tracks.lanes[c]?.size ?? 0) * LANE : 0);
  const floor = Math.max(...ends.map((end, c) => end + under(c)));
  const xs: number[] = [];
  let width = 0;
  solved.forEach((column, c) => {
    xs.push(width);
    width += column.width + (c < solved.length - 1 ? GAP + LANE * (tracks.lanes[c]?.size ?? 0) : 0);
  });
  const solution: Solution = {
    width,
    height: floor + (tracks.below.size > 0 ? BAND + tracks.below.size * LANE : 0),
    boxes: problem.boxes.map((_, i) => {
      const c = columnOf[i] ?? 0;
      const corner = solved[c]?.boxes[i - (columns[c]?.start ?? 0)] ?? { x: 0, y: 0 };
      return { x: corner.x + (xs[c] ?? 0), y: corner.y + top };
    }),
    inPorts: spread(problem.inPorts, width),
    outPorts: spread(problem.outPorts, width),
    edges: [],
    approximate: solved.some(({ approximate }) => approximate),
  };
  const put = { columns, columnOf, solved, tracks, solution, xs, ends, top, floor };
  solution.edges = problem.edges.map((edge) => wayOf(put, edge));
  return solution;
}

interface Tracks {
  /** Right of each column: what goes on further right. */
  lanes: Map<string, number>[];
  /** Above and below all columns: what comes from a wall or another column, and what goes to a wall. */
  above: Map<string, number>;
  below: Map<string, number>;
  /** How many tracks there are above. */
  height: number;
}

function tracksOf(problem: Problem, count: number, columnOf: readonly number[]): Tracks {
  const lanes = Array.from({ length: count }, () => new Map<string, number>());
  const spans = new Map<string, { from: number; to: number }>();
  const below = new Map<string, number>();
  const take = (track: Map<string, number> | undefined, key: string) => track?.has(key) || track?.set(key, track.size);
  for (const edge of problem.edges) {
    const [a, b] = [columnOf[edge[0]], columnOf[edge[2]]];
    if (b === undefined) take(below, exitOf(edge));
    else if (a !== b) {
      if (a !== undefined) take(lanes[a], tensorOf(edge));
      const span = spans.get(tensorOf(edge));
      if (span) span.to = Math.max(span.to, b);
      else spans.set(tensorOf(edge), { from: a ?? -1, to: b });
    }
  }
  return { lanes, below, ...abovesOf(spans) };
}

/**
 * Tracks above the columns, counted from the columns up: what goes between columns shares a track with what it does
 * not meet; what comes from the wall, each from the middle to its column, runs over all of them.
 */
function abovesOf(spans: ReadonlyMap<string, { from: number; to: number }>) {
  const above = new Map<string, number>();
  const ends: number[] = [];
  const between = [...spans].filter(([, { from }]) => from >= 0).sort(([, a], [, b]) => a.from - b.from || a.to - b.to);
  for (const [key, { from, to }] of between) {
    const free = ends.findIndex((end) => end <= from);
    const track = free < 0 ? ends.length : free;
    ends[track] = to;
    above.set(key, track);
  }
  let height = ends.length;
  for (const [key, { from }] of spans) if (from < 0) above.set(key, height++);
  return { above, height };
}

interface Put {
  columns: Column[];
  columnOf: number[];
  solved: Solution[];
  tracks: Tracks;
  solution: Solution;
  /** Left edge and bottom of each column; top of all of them, and bottom of the longest with what leaves it. */
  xs: number[];
  ends: number[];
  top: number;
  floor: number;
}

/** One edge: what it runs inside its columns, and between them along the tracks. */
function wayOf(
  { columns, columnOf, solved, tracks, solution, xs, ends, top, floor }: Put,
  edge: ProblemEdge,
): number[] {
  const [a, b] = [columnOf[edge[0]], columnOf[edge[2]]];
  const piece = (c: number, key: string) =>
    moved(solved[c]?.edges[columns[c]?.edges.get(key) ?? -1] ?? [], xs[c] ?? 0, top);
  if (a !== undefined && a === b) return piece(a, edge.join());
  const port = (c: number, side: "in" | "out", key: string) => {
    const index = columns[c]?.[side === "in" ? "ins" : "outs"].get(key) ?? 0;
    return (xs[c] ?? 0) + (solved[c]?.[side === "in" ? "inPorts" : "outPorts"][index] ?? 0);
  };
  const over = top - BAND - (tracks.above.get(tensorOf(edge)) ?? 0) * LANE;
  const down = (c: number, from: number) => {
    const to = port(c, "in", tensorOf(edge));
    return [from, over, to, over, to, top];
  };
  if (a === undefined) {
    const from = solution.inPorts[edge[1]] ?? 0;
    return joined(rounded([from, 0, ...down(b ?? 0, from)]), piece(b ?? 0, inKey(edge)));
  }
  const from = port(a, "out", exitOf(edge));
  const end = ends[a] ?? 0;
  if (b === undefined) {
    const [to, y] = [solution.outPorts[edge[3]] ?? 0, floor + BAND + (tracks.below.get(exitOf(edge)) ?? 0) * LANE];
    return joined(piece(a, outKey(edge)), rounded([from, end, from, y, to, y, to, solution.height]));
  }
  const lane = (tracks.lanes[a]?.get(tensorOf(edge)) ?? 0) * LANE;
  const beside = (xs[a] ?? 0) + (solved[a]?.width ?? 0) + GAP / 2 + lane;
  const across = [from, end, from, end + BAND + lane, beside, end + BAND + lane, beside, over];
  return joined(piece(a, outKey(edge)), rounded([...across, ...down(b, beside)]), piece(b, inKey(edge)));
}
