// A problem solved by Graphviz's dot. It sees synthetic ids and measured sizes only, and gives coordinates back.

import type { Format, Graphviz } from "@hpcc-js/wasm-graphviz";
import {
  ANYWHERE,
  BOX_GAP,
  type Problem,
  type ProblemBox,
  type ProblemEdge,
  RANK_GAP,
  type Solution,
  WALL,
} from "./problem";

const POINTS_PER_INCH = 72; // one point is drawn as one pixel
const PORT = 4; // width of the table cell that an edge is tied to
const THIN = 2; // height of the rows that hold such cells

const inches = (pixels: number) => (pixels / POINTS_PER_INCH).toFixed(4);

/** DOT of a problem: boxes `n0…`, ports of the top wall `i0…`, of the bottom wall `o0…`, edges `e0…`. */
export function toDot(problem: Problem): string {
  const lines = [
    "digraph{",
    `graph[rankdir=TB nodesep=${inches(BOX_GAP)} ranksep=${inches(RANK_GAP)} nslimit=1 nslimit1=1]`,
    'node[shape=box fixedsize=true label="" margin=0]',
    "edge[dir=none]",
  ];
  const wall = (rank: string, letter: string, count: number) => {
    const ports = Array.from({ length: count }, (_, i) => `${letter}${i}[width=0.01 height=0.01]`);
    if (count > 0) lines.push(`{rank=${rank};${ports.join(";")}}`);
  };
  wall("source", "i", problem.inPorts);
  problem.boxes.forEach((box, i) => {
    const label = box.inPorts.length + box.outPorts.length > 0 ? ` label=<${portTable(box)}>` : "";
    lines.push(`n${i}[width=${inches(box.width)} height=${inches(box.height)}${label}]`);
  });
  wall("sink", "o", problem.outPorts);
  const weight = weights(problem);
  problem.edges.forEach(([from, fromPort, to, toPort], i) => {
    const tail = from === WALL ? `i${fromPort}:s` : `n${from}${fromPort === ANYWHERE ? "" : `:o${fromPort}:s`}`;
    const head = to === WALL ? `o${toPort}:n` : `n${to}${toPort === ANYWHERE ? "" : `:i${toPort}:n`}`;
    lines.push(`${tail}->${head}[id=e${i} weight=${weight[i]}]`);
  });
  lines.push("}");
  return lines.join("\n");
}

/**
 * How much Graphviz is to keep each edge straight. A tensor with one or two takers is the main flow. One with many that
 * joins the main flow at a box (a mask, a position bias) is beside it and counts nothing: a traced encoder of 12 layers
 * with one mask slanted at weight 1, even against 2000 for its chain. One with many that is all that its takers get
 * (branches) centres them.
 */
function weights(problem: Problem): number[] {
  const source = ([from, fromPort]: ProblemEdge) => `${from} ${fromPort}`;
  const takers = new Map<string, number>();
  for (const edge of problem.edges) takers.set(source(edge), (takers.get(source(edge)) ?? 0) + 1);
  const count = (edge: ProblemEdge) => takers.get(source(edge)) ?? 0;
  const fed = new Set(problem.edges.filter((edge) => count(edge) <= 2).map(([, , to]) => to));
  return problem.edges.map((edge) => {
    if (count(edge) <= 2) return count(edge) === 1 ? 20 : 8;
    return fed.has(edge[2]) ? 0 : 1;
  });
}

/** Graphviz knows no port at a given distance, but the cells of a table of fixed widths are such ports. */
function portTable(box: ProblemBox): string {
  const fixed = (width: number, height: number, port = "") =>
    `<td${port} fixedsize="true" width="${width}" height="${height}"></td>`;
  const row = (ports: number[], letter: string) => {
    const order = ports.map((x, i) => ({ x, i })).sort((a, b) => a.x - b.x);
    let left = 0;
    let cells = "";
    for (const { x, i } of order) {
      const start = Math.round(x - PORT / 2);
      if (start > left) cells += fixed(start - left, THIN);
      cells += fixed(PORT, THIN, ` port="${letter}${i}"`);
      left = start + PORT;
    }
    if (left < box.width) cells += fixed(box.width - left, THIN);
    return `<table border="0" cellborder="0" cellspacing="0" cellpadding="0"><tr>${cells}</tr></table>`;
  };
  const middle = `<tr>${fixed(box.width, box.height - 2 * THIN)}</tr>`;
  const wrap = (inner: string) => `<tr><td>${inner}</td></tr>`;
  return `<table border="0" cellborder="0" cellspacing="0" cellpadding="0">${wrap(row(box.inPorts, "i"))}${middle}${wrap(row(box.outPorts, "o"))}</table>`;
}

/** Coordinates without drawing operations: half of "json". The list of formats in the types leaves it out. */
const JSON0 = "json0" as string as Format;

interface Json0 {
  bb: string;
  objects?: { name: string; pos?: string }[];
  edges?: { id: string; pos: string }[];
}

/** Lay out one container; throws what Graphviz throws. */
export function solveWithGraphviz(graphviz: Graphviz, problem: Problem): Solution {
  if (problem.boxes.length === 0) return { ...EMPTY };
  const json = JSON.parse(graphviz.layout(toDot(problem), JSON0, "dot")) as Json0;
  const [, , width = 0, top = 0] = json.bb.split(",").map(Number);
  const centre = new Map<string, { x: number; y: number }>();
  for (const { name, pos } of json.objects ?? []) {
    const [x = 0, y = 0] = (pos ?? "").split(",").map(Number);
    if (pos) centre.set(name, { x, y: top - y }); // Graphviz's y grows upwards
  }
  const at = (name: string) => {
    const point = centre.get(name);
    if (!point) throw new Error(`Graphviz gave no position for ${name}`);
    return point;
  };
  const splines = new Map((json.edges ?? []).map((edge) => [edge.id, edge.pos]));
  // The rows of wall ports have next to no height: the walls are drawn through their centres.
  const ceiling = problem.inPorts > 0 ? at("i0").y : 0;
  const floor = problem.outPorts > 0 ? at("o0").y : top;
  const solution: Solution = {
    width,
    height: floor - ceiling,
    boxes: problem.boxes.map((box, i) => {
      const { x, y } = at(`n${i}`);
      return { x: x - box.width / 2, y: y - box.height / 2 - ceiling };
    }),
    inPorts: Array.from({ length: problem.inPorts }, (_, i) => at(`i${i}`).x),
    outPorts: Array.from({ length: problem.outPorts }, (_, i) => at(`o${i}`).x),
    edges: [],
    approximate: false,
  };
  solution.edges = problem.edges.map((_, i) => {
    const pos = splines.get(`e${i}`);
    if (!pos) throw new Error(`Graphviz gave no spline for edge ${i}`);
    const points = pos
      .split(" ")
      .flatMap((pair) => pair.split(",").map(Number))
      .map((value, k) => (k % 2 === 0 ? value : top - value - ceiling));
    return tie(problem, solution, i, points);
  });
  return solution;
}

const EMPTY: Solution = { width: 0, height: 0, boxes: [], inPorts: [], outPorts: [], edges: [], approximate: false };

/** Graphviz clips an edge a fraction of a pixel beside its port: move the end, and its handle with it, onto the port. */
function tie(problem: Problem, solution: Solution, index: number, points: number[]): number[] {
  const [from, fromPort, to, toPort] = problem.edges[index] as [number, number, number, number];
  const move = (end: number, handle: number, x: number, y: number) => {
    const [dx, dy] = [x - (points[end] ?? 0), y - (points[end + 1] ?? 0)];
    points[end] = x;
    points[end + 1] = y;
    points[handle] = (points[handle] ?? 0) + dx;
    points[handle + 1] = (points[handle + 1] ?? 0) + dy;
  };
  const tail = portOf(problem, solution, from, fromPort, "outPorts", "inPorts", 0);
  const head = portOf(problem, solution, to, toPort, "inPorts", "outPorts", solution.height);
  if (tail) move(0, 2, tail.x, tail.y);
  if (head) move(points.length - 2, points.length - 4, head.x, head.y);
  return points;
}

/** Where a port is: on a box's `own` side, or on the wall (`wall` side, at height `wallY`); null for "anywhere". */
export function portOf(
  problem: Problem,
  solution: Solution,
  box: number,
  port: number,
  own: "inPorts" | "outPorts",
  wall: "inPorts" | "outPorts",
  wallY: number,
): { x: number; y: number } | null {
  if (box === WALL) return { x: solution[wall][port] ?? 0, y: wallY };
  if (port === ANYWHERE) return null;
  const corner = solution.boxes[box];
  const size = problem.boxes[box];
  if (!corner || !size) return null;
  return { x: corner.x + (size[own][port] ?? 0), y: corner.y + (own === "inPorts" ? 0 : size.height) };
}
