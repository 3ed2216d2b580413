// @vitest-environment node
// The picture of a structure, by the real Graphviz and by the plain column that stands in for it.

import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { describe, expect, test } from "vitest";
import { blocks, CASES, fan, graphOf, node } from "../gallery/structure.cases";
import type { ModelGraph } from "../src/graph";
import { solveWithGraphviz, toDot } from "../src/layout/graphviz";
import { MAX_PORTS } from "../src/layout/levels";
import { layOut } from "../src/layout/picture";
import {
  ANYWHERE,
  BOX_GAP,
  type Problem,
  type ProblemEdge,
  problemKey,
  RANK_GAP,
  type Solution,
  WALL,
} from "../src/layout/problem";
import { solveInRows } from "../src/layout/rows";
import { drawn, everything, expectBoxesInOrder, expectEdgesToJoin, sizesOf } from "./layout.geometry";

const graphNamed = (name: string) => CASES.get(name) as ModelGraph;

/** The same graph, every id replaced by one that says nothing and is as long as it likes. */
function renamed(graph: ModelGraph): ModelGraph {
  const ids = [...graph.nodes.keys()];
  const fresh = new Map(ids.map((id, i) => [id, `"};${"x".repeat(i)}`]));
  const name = (id: string) => fresh.get(id) ?? id;
  const nodes = [...graph.nodes.values()].map((each) => ({
    ...each,
    id: name(each.id),
    parent: each.parent === null ? null : name(each.parent),
  }));
  return graphOf(
    "Renamed",
    nodes,
    graph.edges.map(({ source, target }) => [name(source), name(target)]),
    graph.folds
      .map((fold) => ({ ...fold, members: fold.members.map((ids) => ids.map(name)) }))
      .map((fold) => ({
        ...fold,
        parent: fold.parent === null ? null : name(fold.parent),
      })),
  );
}

describe.each([...CASES.keys()])("%s", (name) => {
  const graph = graphNamed(name);

  test("by Graphviz, all open: boxes lie apart and inside, edges join", async () => {
    const { picture } = await drawn(graph, everything(graph));
    expectBoxesInOrder(graph, everything(graph), picture);
    expectEdgesToJoin(graph, everything(graph), picture);
    expect(picture.approximate).toEqual([]);
  });

  test("by Graphviz, all closed", async () => {
    const { picture } = await drawn(graph, new Set());
    expectBoxesInOrder(graph, new Set(), picture);
    expectEdgesToJoin(graph, new Set(), picture);
  });

  test("by rows, all open", async () => {
    let asked = 0;
    const solve = async (problem: Problem) => {
      asked += 1;
      return solveInRows(problem, true);
    };
    const picture = await layOut(graph, everything(graph), sizesOf(graph), solve);
    expectBoxesInOrder(graph, everything(graph), picture);
    expectEdgesToJoin(graph, everything(graph), picture);
    expect(picture.approximate.length > 0).toBe(asked > 0);
  });

  test("what Graphviz is asked does not depend on names", async () => {
    const other = renamed(graph);
    const keys = async (each: ModelGraph) => (await drawn(each, everything(each))).problems.map(problemKey);
    expect(await keys(other)).toEqual(await keys(graph));
  });
});

/** `count` equal blocks of three layers with a shortcut in each. */
function residual(count: number): ModelGraph {
  const { nodes, edges } = blocks(count);
  const plain = edges.map(({ source, target }): [string, string] => [source, target]);
  const skips = Array.from({ length: count }, (_, i): [string, string] => [`body.${i}.norm`, `body.${i}.act`]);
  return graphOf("Residual", [...nodes.values()], [...plain, ...skips]);
}

describe("equal blocks", () => {
  test("24 blocks are three problems for Graphviz: the first, one of those between, the last", async () => {
    const graph = residual(24);
    const { problems } = await drawn(graph, everything(graph));
    const walls = problems.map(({ inPorts, outPorts }) => [inPorts, outPorts]);
    expect(walls.sort()).toEqual([
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
  });

  test("a plain chain is none", async () => {
    const graph = blocks(24);
    expect((await drawn(graph, everything(graph))).problems).toEqual([]);
  });

  test("all blocks of one kind have the same shape inside", async () => {
    const graph = blocks(24);
    const { picture } = await drawn(graph, everything(graph));
    const shapes = Array.from({ length: 22 }, (_, i) => {
      const block = picture.boxes.find(({ id }) => id === `body.${i + 1}`);
      const inside = picture.boxes.filter(({ id }) => id.startsWith(`body.${i + 1}.`));
      return inside.map(({ x, y }) => [x - (block?.x ?? 0), y - (block?.y ?? 0)].map((value) => value.toFixed(3)));
    });
    expect(shapes[0]?.length).toBe(3);
    for (const shape of shapes) expect(shape).toEqual(shapes[0]);
  });

  test("twelve transformer layers: one layout each for a layer and for its attention", async () => {
    const graph = graphNamed("transformer");
    const { problems, picture } = await drawn(graph, everything(graph));
    const layers = picture.boxes.filter(({ id, expanded }) => expanded && /^encoder\.layers\.\d+$/.test(id));
    expect(layers.length).toBe(12);
    expect(problems.length).toBeLessThanOrEqual(6); // a layer, its attention, and what is above, below and around them
  });
});

describe("size", () => {
  test("300 boxes in one container", async () => {
    const { nodes, edges } = fan(298);
    const inside = [...nodes.values()].map((each) => ({ ...each, parent: "all" }));
    const graph = graphOf(
      "Full",
      [node("all"), ...inside],
      edges.map(({ source, target }) => [source, target]),
    );
    const { picture } = await drawn(graph, everything(graph));
    expect(picture.boxes.length).toBe(301);
    expectBoxesInOrder(graph, everything(graph), picture);
    expectEdgesToJoin(graph, everything(graph), picture);
  }, 60_000);

  test.each([MAX_PORTS, MAX_PORTS + 1])("%d tensors through one wall", async (count) => {
    const sources = Array.from({ length: count }, (_, i) => node(`source${i}`));
    const takers = sources.map(({ id }) => node(`${id}.taker`, { parent: "box" }));
    const graph = graphOf(
      "Ports",
      [...sources, node("box"), ...takers],
      sources.map(({ id }) => [id, `${id}.taker`]),
    );
    const { picture, problems } = await drawn(graph, everything(graph));
    expectEdgesToJoin(graph, everything(graph), picture);
    expect(problems[0]?.inPorts).toBe(count > MAX_PORTS ? 1 : count);
  });

  test("a column of 20,000 boxes in a row does not overflow the stack", () => {
    const boxes = Array.from({ length: 20_000 }, () => ({ width: 100, height: 50, inPorts: [], outPorts: [] }));
    const edges = boxes.slice(1).map((_, i): [number, number, number, number] => [i, ANYWHERE, i + 1, ANYWHERE]);
    const { height } = solveInRows({ boxes, edges, inPorts: 0, outPorts: 0 });
    expect(height).toBe(20_000 * 50 + 19_999 * RANK_GAP);
  });
});

describe("one problem", () => {
  const leaf = (width: number, height: number) => ({ width, height, inPorts: [], outPorts: [] });
  const diamond: Problem = {
    boxes: [leaf(100, 40), leaf(60, 40), leaf(80, 40), leaf(100, 40)],
    inPorts: 1,
    outPorts: 1,
    edges: [
      [WALL, 0, 0, ANYWHERE],
      [0, ANYWHERE, 1, ANYWHERE],
      [0, ANYWHERE, 2, ANYWHERE],
      [1, ANYWHERE, 3, ANYWHERE],
      [2, ANYWHERE, 3, ANYWHERE],
      [3, ANYWHERE, WALL, 0],
    ],
  };

  test("the column puts a diamond in three centred rows", () => {
    const { boxes, width, height, inPorts, outPorts } = solveInRows(diamond);
    expect(width).toBe(60 + BOX_GAP + 80);
    expect(height).toBe(3 * 40 + 4 * RANK_GAP);
    expect(boxes).toEqual([
      { x: 32, y: 24 },
      { x: 0, y: 88 },
      { x: 84, y: 88 },
      { x: 32, y: 152 },
    ]);
    expect([inPorts, outPorts]).toEqual([[82], [82]]);
  });

  test("Graphviz puts it in the same rows", async () => {
    const { boxes, height } = solveWithGraphviz(await Graphviz.load(), diamond);
    const rows = boxes.map(({ y }) => y);
    expect(rows[1]).toBeCloseTo(rows[2] ?? Number.NaN, 1);
    expect((rows[1] ?? 0) - (rows[0] ?? 0)).toBeCloseTo(40 + RANK_GAP, 0);
    expect((rows[3] ?? 0) - (rows[1] ?? 0)).toBeCloseTo(40 + RANK_GAP, 0);
    expect(height).toBeGreaterThanOrEqual(3 * 40 + 4 * RANK_GAP);
  });

  test("edges meet an open child at its ports", async () => {
    const child = { width: 200, height: 90, inPorts: [30, 170], outPorts: [50] };
    const problem: Problem = {
      boxes: [leaf(60, 40), child, leaf(60, 40)],
      inPorts: 0,
      outPorts: 0,
      edges: [
        [0, ANYWHERE, 1, 0],
        [0, ANYWHERE, 1, 1],
        [1, 0, 2, ANYWHERE],
      ],
    };
    for (const solution of [solveWithGraphviz(await Graphviz.load(), problem), solveInRows(problem)]) {
      const { x, y } = solution.boxes[1] ?? { x: 0, y: 0 };
      expect(solution.edges[0]?.slice(-2)).toEqual([x + 30, y]);
      expect(solution.edges[1]?.slice(-2)).toEqual([x + 170, y]);
      expect(solution.edges[2]?.slice(0, 2)).toEqual([x + 50, y + 90]);
    }
  });

  const middle = (solution: Solution, problem: Problem, box: number) =>
    (solution.boxes[box]?.x ?? Number.NaN) + (problem.boxes[box]?.width ?? Number.NaN) / 2;

  test("branches stand centred under what feeds them", async () => {
    const problem: Problem = {
      boxes: Array.from({ length: 9 }, () => leaf(100, 68)),
      inPorts: 0,
      outPorts: 0,
      edges: Array.from({ length: 8 }, (_, i) => [0, ANYWHERE, i + 1, ANYWHERE] satisfies ProblemEdge),
    };
    const solution = solveWithGraphviz(await Graphviz.load(), problem);
    expect(Math.abs(middle(solution, problem, 0) - solution.width / 2)).toBeLessThan(1);
  });

  test("edges go straight in and out through the wall, also to boxes beside it", async () => {
    const problem: Problem = {
      boxes: [leaf(200, 68), leaf(60, 68)],
      inPorts: 1,
      outPorts: 1,
      edges: [
        [WALL, 0, 0, ANYWHERE],
        [WALL, 0, 1, ANYWHERE],
        [0, ANYWHERE, WALL, 0],
        [1, ANYWHERE, WALL, 0],
      ],
    };
    const { edges } = solveWithGraphviz(await Graphviz.load(), problem);
    for (const [x, , handle] of edges.slice(0, 2)) expect(Math.abs((handle ?? Number.NaN) - (x ?? 0))).toBeLessThan(1);
    for (const points of edges.slice(2))
      expect(Math.abs((points.at(-4) ?? Number.NaN) - (points.at(-2) ?? 0))).toBeLessThan(1);
  });

  test("DOT holds numbers and synthetic ids only", () => {
    expect(toDot(diamond)).toBe(
      [
        "digraph{",
        "graph[rankdir=TB nodesep=0.3333 ranksep=0.3333 nslimit=1 nslimit1=1]",
        'node[shape=box fixedsize=true label="" margin=0]',
        "edge[dir=none]",
        "{rank=source;i0[width=0.01 height=0.01]}",
        "n0[width=1.3889 height=0.5556]",
        "n1[width=0.8333 height=0.5556]",
        "n2[width=1.1111 height=0.5556]",
        "n3[width=1.3889 height=0.5556]",
        "{rank=sink;o0[width=0.01 height=0.01]}",
        "i0:s->n0[id=e0 weight=20]",
        "n0->n1[id=e1 weight=8]",
        "n0->n2[id=e2 weight=8]",
        "n1->n3[id=e3 weight=20]",
        "n2->n3[id=e4 weight=20]",
        "n3->o0:n[id=e5 weight=20]",
        "}",
      ].join("\n"),
    );
  });

  test("a problem without boxes is empty", async () => {
    const nothing: Problem = { boxes: [], inPorts: 0, outPorts: 0, edges: [] };
    const { width, height, boxes, edges } = solveWithGraphviz(await Graphviz.load(), nothing);
    expect({ width, height, boxes, edges }).toEqual({ width: 0, height: 0, boxes: [], edges: [] });
  });
});
