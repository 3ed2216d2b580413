// A layout of our own that is linear in size: ranks as rows, long edges as buses beside them. It draws what Graphviz
// takes too long for: dense blocks, hundreds of siblings, chains of thousands.
//
// An edge to the next row is a curve in the gap between. Any other goes down to a track in the gap below its row, along
// it to a lane beside all rows, down the lane, and along a track in the gap above its target. Edges of one tensor share
// a lane (left of the rows); single edges into one box share a lane too (right of them), as they end together.

import { ANYWHERE, BOX_GAP, type Problem, type ProblemEdge, RANK_GAP, type Solution, spread, WALL } from "./problem";
import { rankByLongestPath } from "./ranks";
import { rounded } from "./spline";

/** A rank wider than this, and than a square of all boxes, continues in a further row. */
const WIDE = 1400;
const LANE = 7;
/** Least width of a wall for each of its ports. */
const PORT_GAP = 8;
const TRACK = 6;
/** Lanes on each side; more bundles than this share them. */
const MOST_LANES = 60;
/** Direct edges of one tensor to the next row while others of it are long; more of them take the bus as well. */
const FEW = 2;

interface Bus {
  left: boolean;
  lane: number;
  first: number;
  last: number;
}

interface Route {
  /** Row of the box that it leaves and of the one that it enters; the walls are −1 and the number of rows. */
  from: number;
  to: number;
  bundle: string | null;
}

/** Boxes in rows by their longest path from a source, in the given order. */
export function solveInRows(problem: Problem, approximate = false): Solution {
  const rows = rowsOf(problem);
  const rowOf: number[] = [];
  rows.forEach((row, r) => {
    for (const box of row) rowOf[box] = r;
  });
  const routes = routesOf(problem, rowOf, rows.length);
  const buses = busesOf(routes);
  const tracks = tracksOf(problem, routes, rows.length);
  const count = (left: boolean) =>
    [...buses.values()].reduce((most, bus) => (bus.left === left ? Math.max(most, bus.lane + 1) : most), 0);
  const margin = (left: boolean) => (count(left) > 0 ? count(left) * LANE + BOX_GAP : 0);
  const rowWidth = (row: number[]) => row.reduce((sum, i) => sum + (problem.boxes[i]?.width ?? 0) + BOX_GAP, -BOX_GAP);
  const wall = Math.max(problem.inPorts, problem.outPorts) * PORT_GAP;
  const inner = Math.max(wall, ...rows.map(rowWidth), 0);
  const width = margin(true) + inner + margin(false);
  const ports = (count: number) => spread(count, inner).map((x) => x + margin(true));
  const solution: Solution = {
    width,
    height: 0,
    boxes: problem.boxes.map(() => ({ x: 0, y: 0 })),
    inPorts: ports(problem.inPorts),
    outPorts: ports(problem.outPorts),
    edges: [],
    approximate,
  };
  const tops: number[] = []; // top of each gap: below the row before
  let y = 0;
  rows.forEach((row, r) => {
    tops.push(y);
    y += r === 0 && problem.inPorts === 0 && (tracks[0]?.size ?? 0) === 0 ? 0 : gapHeight(tracks[r]);
    const tallest = Math.max(...row.map((i) => problem.boxes[i]?.height ?? 0));
    let x = margin(true) + (inner - rowWidth(row)) / 2;
    for (const i of row) {
      const { width: w = 0, height: h = 0 } = problem.boxes[i] ?? {};
      solution.boxes[i] = { x, y: y + (tallest - h) / 2 };
      x += w + BOX_GAP;
    }
    y += tallest;
  });
  tops.push(y);
  const after = tracks[rows.length];
  solution.height = y + (problem.outPorts > 0 || (after?.size ?? 0) > 0 ? gapHeight(after) : 0);
  const laneX = ({ left, lane }: Bus) =>
    left ? margin(true) - BOX_GAP - lane * LANE : width - margin(false) + BOX_GAP + lane * LANE;
  const draw = { problem, solution, tops, tracks, rows };
  solution.edges = problem.edges.map((edge, i) => {
    const route = routes[i] as Route;
    const bus = route.bundle === null ? undefined : buses.get(route.bundle);
    return bus ? byBus(draw, edge, route, laneX(bus)) : direct(draw, edge, route);
  });
  return solution;
}

function rowsOf(problem: Problem): number[][] {
  const { ranks, widths, widest } = ranksOf(problem);
  return ranks.flatMap((rank, r) => {
    const total = widths[r] ?? 0;
    const perRow = Math.ceil(rank.length / Math.ceil(total / widest));
    return Array.from({ length: Math.ceil(rank.length / perRow) }, (_, r) => rank.slice(r * perRow, (r + 1) * perRow));
  });
}

/** The boxes of each rank, how wide each rank is, and how wide a row may be. */
function ranksOf(problem: Problem) {
  const area = problem.boxes.reduce((sum, box) => sum + (box.width + BOX_GAP) * (box.height + RANK_GAP), 0);
  const ranks: number[][] = [];
  rankByLongestPath(problem).forEach((rank, box) => {
    ranks[rank] ??= [];
    ranks[rank]?.push(box);
  });
  const widths = ranks.map((rank) => rank.reduce((sum, i) => sum + (problem.boxes[i]?.width ?? 0) + BOX_GAP, 0));
  return { ranks, widths, widest: Math.max(WIDE, 1.3 * Math.sqrt(area)) };
}

const tensorOf = ([from, port]: ProblemEdge) => `${from} ${port}`;

function routesOf(problem: Problem, rowOf: readonly number[], rows: number): Route[] {
  const ends = problem.edges.map((edge) => ({
    from: edge[0] === WALL ? -1 : (rowOf[edge[0]] ?? 0),
    to: edge[2] === WALL ? rows : (rowOf[edge[2]] ?? 0),
  }));
  const long = new Map<string, number>();
  const near = new Map<string, number>();
  problem.edges.forEach((edge, i) => {
    const counts = ends[i]?.to === (ends[i]?.from ?? 0) + 1 ? near : long;
    counts.set(tensorOf(edge), (counts.get(tensorOf(edge)) ?? 0) + 1);
  });
  const isDirect = (edge: ProblemEdge, { from, to }: { from: number; to: number }) =>
    to === from + 1 && ((near.get(tensorOf(edge)) ?? 0) <= FEW || !long.has(tensorOf(edge)));
  const bussed = new Map<string, number>();
  problem.edges.forEach((edge, i) => {
    const end = ends[i];
    if (end && !isDirect(edge, end)) bussed.set(tensorOf(edge), (bussed.get(tensorOf(edge)) ?? 0) + 1);
  });
  return problem.edges.map((edge, i) => {
    const end = ends[i] ?? { from: 0, to: 0 };
    if (isDirect(edge, end)) return { ...end, bundle: null };
    const alone = bussed.get(tensorOf(edge)) === 1;
    return { ...end, bundle: alone ? `to ${edge[2]} ${edge[3]}` : `from ${tensorOf(edge)}` };
  });
}

/** A lane for each bundle; bundles that do not meet share one. */
function busesOf(routes: readonly Route[]): Map<string, Bus> {
  const buses = new Map<string, Bus>();
  for (const { from, to, bundle } of routes) {
    if (bundle === null) continue;
    const [first, last] = [Math.min(from + 1, to), Math.max(from + 1, to)];
    const bus = buses.get(bundle);
    if (bus) [bus.first, bus.last] = [Math.min(bus.first, first), Math.max(bus.last, last)];
    else buses.set(bundle, { left: bundle.startsWith("from"), lane: 0, first, last });
  }
  for (const left of [true, false]) {
    const ends: number[] = []; // last gap of what is in each lane
    const own = [...buses.values()].filter((bus) => bus.left === left);
    // Short ones first where they begin together: they come to lie nearest to the rows.
    for (const bus of own.sort((a, b) => a.first - b.first || a.last - b.last)) {
      const free = ends.findIndex((end) => end < bus.first);
      bus.lane = (free < 0 ? ends.length : free) % MOST_LANES;
      ends[bus.lane] = bus.last;
    }
  }
  return buses;
}

const leaving = (bundle: string) => `out ${bundle}`;
const entering = (route: Route, edge: ProblemEdge, many: ReadonlyMap<number, number>) =>
  (many.get(edge[2]) ?? 0) > 1 ? `into ${edge[2]}` : `in ${route.bundle}`;

/** The tracks of each gap from top to bottom: first those of bundles that leave, then those of bundles that enter. */
function tracksOf(problem: Problem, routes: readonly Route[], rows: number): Map<string, number>[] {
  const names = Array.from({ length: rows + 1 }, () => ({ out: new Set<string>(), in: new Set<string>() }));
  const many = bundlesInto(problem, routes);
  problem.edges.forEach((edge, i) => {
    const route = routes[i];
    if (!route || route.bundle === null) return;
    names[route.from + 1]?.out.add(leaving(route.bundle));
    names[route.to]?.in.add(entering(route, edge, many));
  });
  return names.map((gap) => new Map([...gap.out, ...gap.in].map((name, i) => [name, i])));
}

function bundlesInto(problem: Problem, routes: readonly Route[]): Map<number, number> {
  const bundles = new Map<number, Set<string>>();
  problem.edges.forEach(([, , to], i) => {
    const bundle = routes[i]?.bundle ?? null;
    if (bundle === null) return;
    const into = bundles.get(to) ?? new Set();
    bundles.set(to, into.add(bundle));
  });
  return new Map([...bundles].map(([to, set]) => [to, set.size]));
}

const FIRST_TRACK = 10; // from the row above to the first track, and from the last to the row below

function gapHeight(tracks: ReadonlyMap<string, number> | undefined): number {
  return Math.max(RANK_GAP, 2 * FIRST_TRACK + Math.max(0, (tracks?.size ?? 0) - 1) * TRACK);
}

interface Draw {
  problem: Problem;
  solution: Solution;
  tops: readonly number[];
  tracks: readonly ReadonlyMap<string, number>[];
  rows: readonly number[][];
}

function byBus(draw: Draw, edge: ProblemEdge, route: Route, laneX: number): number[] {
  const { problem, solution, tops, tracks } = draw;
  const trackY = (gap: number, names: readonly string[]) => {
    const index = names.map((name) => tracks[gap]?.get(name)).find((found) => found !== undefined) ?? 0;
    return (tops[gap] ?? 0) + FIRST_TRACK + index * TRACK;
  };
  const [tail, head] = [tailOf(problem, solution, edge), headOf(problem, solution, edge)];
  const bundle = route.bundle ?? "";
  const out = trackY(route.from + 1, [leaving(bundle)]);
  const into = trackY(route.to, [`into ${edge[2]}`, `in ${bundle}`]);
  if (route.from + 1 === route.to) return rounded([tail.x, tail.y, tail.x, out, head.x, out, head.x, head.y]);
  return rounded([tail.x, tail.y, tail.x, out, laneX, out, laneX, into, head.x, into, head.x, head.y]);
}

/** Down to the end of the row, across the gap, down to the box. */
function direct({ problem, solution, tops, rows }: Draw, edge: ProblemEdge, route: Route): number[] {
  const [tail, head] = [tailOf(problem, solution, edge), headOf(problem, solution, edge)];
  const start = Math.max(tail.y, tops[route.to] ?? tail.y);
  const row = rows[route.to] ?? [];
  const end = Math.min(
    head.y,
    route.to === rows.length ? head.y : Math.min(...row.map((i) => solution.boxes[i]?.y ?? 0)),
  );
  const bend = (end - start) / 2;
  const line = (x: number, from: number, to: number) =>
    to - from > 0.01 ? [x, from + (to - from) / 3, x, to - (to - from) / 3, x, to] : [];
  return [
    ...[tail.x, tail.y, ...line(tail.x, tail.y, start)],
    ...[tail.x, start + bend, head.x, end - bend, head.x, end],
    ...line(head.x, end, head.y),
  ];
}

function tailOf(problem: Problem, solution: Solution, [from, port]: ProblemEdge) {
  if (from === WALL) return { x: solution.inPorts[port] ?? 0, y: 0 };
  const [box, corner] = [problem.boxes[from], solution.boxes[from]];
  const offset = (port === ANYWHERE ? undefined : box?.outPorts[port]) ?? (box?.width ?? 0) / 2;
  return { x: (corner?.x ?? 0) + offset, y: (corner?.y ?? 0) + (box?.height ?? 0) };
}

function headOf(problem: Problem, solution: Solution, [, , to, port]: ProblemEdge) {
  if (to === WALL) return { x: solution.outPorts[port] ?? 0, y: solution.height };
  const [box, corner] = [problem.boxes[to], solution.boxes[to]];
  const offset = (port === ANYWHERE ? undefined : box?.inPorts[port]) ?? (box?.width ?? 0) / 2;
  return { x: (corner?.x ?? 0) + offset, y: corner?.y ?? 0 };
}

/** Costs of Graphviz, in edges of one step: it grows with what it has to route past other boxes. */
const MOST = 400;

/**
 * True where this layout is the better one: for a plain chain, which needs no search; for a rank that Graphviz would
 * draw as one endless row; for what is so entangled that it would draw a thicket; and for what would take it more than
 * a tenth of a second, by measurement.
 */
export function suitsRows(problem: Problem): boolean {
  const { ranks, widths, widest } = ranksOf(problem);
  const rankOf: number[] = [];
  ranks.forEach((rank, r) => {
    for (const box of rank) rankOf[box] = r;
  });
  let passed = 0; // ranks that edges run past
  for (const [from, , to] of problem.edges) {
    const steps = (to === WALL ? ranks.length : (rankOf[to] ?? 0)) - (from === WALL ? -1 : (rankOf[from] ?? 0));
    passed += Math.abs(steps - 1);
  }
  const count = problem.boxes.length;
  const chain = ranks.length === count && passed === 0;
  const wide = widths.some((width) => width > widest);
  return chain || wide || passed > 2 * count + 4 || count + problem.edges.length + passed > MOST;
}
