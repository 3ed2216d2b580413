// @vitest-environment node
// Long chains in columns, thickets in rows with buses, and shapes beside edges.

import { describe, expect, test } from "vitest";
import { blocks, chain, dense, fan } from "../gallery/structure.cases";
import { cutsOf } from "../src/layout/columns";
import { placeLabels } from "../src/layout/labels";
import type { PlacedBox, PlacedEdge } from "../src/layout/picture";
import { ANYWHERE, type Problem, type ProblemEdge } from "../src/layout/problem";
import { solveInRows, suitsRows } from "../src/layout/rows";
import { rounded } from "../src/layout/spline";
import { drawn, everything, expectBoxesInOrder, expectEdgesToJoin } from "./layout.geometry";

const boxes = (count: number) =>
  Array.from({ length: count }, () => ({ width: 160, height: 68, inPorts: [], outPorts: [] }));
const row = (count: number): Problem => ({
  boxes: boxes(count),
  edges: boxes(count - 1).map((_, i): ProblemEdge => [i, ANYWHERE, i + 1, ANYWHERE]),
  ...{ inPorts: 0, outPorts: 0 },
});

describe("columns", () => {
  test.each([50, 400, 1000])("a chain of %d is as wide as it is high", async (count) => {
    const graph = chain(count);
    const { picture } = await drawn(graph, everything(graph));
    expectBoxesInOrder(graph, everything(graph), picture);
    expect(picture.width / picture.height).toBeGreaterThan(1);
    expect(picture.width / picture.height).toBeLessThan(2.6);
  });

  test("50 blocks with all open too, and their edges can be followed from end to end", async () => {
    const graph = blocks(50);
    const { picture } = await drawn(graph, everything(graph));
    expectBoxesInOrder(graph, everything(graph), picture);
    expectEdgesToJoin(graph, everything(graph), picture);
    expect(picture.width / picture.height).toBeGreaterThan(0.7);
    expect(picture.width / picture.height).toBeLessThan(2.6);
  });

  test("what is short stays one column", () => {
    expect(cutsOf(row(6), { aspect: 1.6, tall: 620 })).toEqual([0]);
    expect(cutsOf(row(30), { aspect: 1.6, tall: 620 }).length).toBeGreaterThan(2);
  });

  test("they are read in order: down each, and from left to right", async () => {
    const graph = chain(30);
    const { picture } = await drawn(graph, new Set());
    picture.boxes.slice(1).forEach((box, i) => {
      const before = picture.boxes[i] as PlacedBox;
      expect(box.y > before.y || box.x > before.x).toBe(true);
    });
  });

  test("cuts go where the fewest tensors cross", () => {
    const problem = row(12);
    // Boxes 4, 5 and 6 pass two tensors each over the middle.
    problem.edges.push([3, ANYWHERE, 8, ANYWHERE], [4, ANYWHERE, 8, ANYWHERE]);
    for (const cut of cutsOf(problem, { aspect: 1, tall: 300 })) expect([5, 6, 7, 8]).not.toContain(cut);
  });

  test("the same problem gives the same picture", async () => {
    const graph = blocks(50);
    const once = await drawn(graph, everything(graph));
    const again = await drawn(graph, everything(graph));
    expect(again.picture).toEqual(once.picture);
  });
});

describe("rows", () => {
  test("a dense block: boxes lie apart, edges join, no edge runs through a box", async () => {
    const graph = dense(24);
    const { picture, problems } = await drawn(graph, everything(graph));
    expect(problems).toEqual([]); // nothing for Graphviz
    expectBoxesInOrder(graph, everything(graph), picture);
    expectEdgesToJoin(graph, everything(graph), picture);
  });

  test("no edge of a dense block in rows runs through a box", () => {
    const count = 16;
    const edges = boxes(count).flatMap((_, i) =>
      boxes(count - i - 1).map((__, k): ProblemEdge => [i, ANYWHERE, i + k + 1, ANYWHERE]),
    );
    const problem = { boxes: boxes(count), edges, inPorts: 0, outPorts: 0 };
    const solution = solveInRows(problem);
    const inside = ([x = 0, y = 0]: number[]) =>
      solution.boxes.some((box) => x > box.x + 1 && x < box.x + 159 && y > box.y + 1 && y < box.y + 67);
    const through = solution.edges.filter((points) => {
      const middles = Array.from({ length: (points.length - 2) / 6 }, (_, s) => {
        const [ax = 0, ay = 0] = points.slice(6 * s, 6 * s + 2);
        const [bx = 0, by = 0] = points.slice(6 * s + 6, 6 * s + 8);
        return Array.from({ length: 9 }, (__, k) => [ax + ((bx - ax) * (k + 1)) / 10, ay + ((by - ay) * (k + 1)) / 10]);
      });
      return middles.flat().some(inside);
    });
    expect(through).toEqual([]);
  });

  test("a thousand siblings stand in rows of their own, about as wide as high", () => {
    const count = 1000;
    const edges = boxes(count).flatMap((_, i): ProblemEdge[] => [
      [0, ANYWHERE, i + 1, ANYWHERE],
      [i + 1, ANYWHERE, count + 1, ANYWHERE],
    ]);
    const problem = { boxes: boxes(count + 2), edges, inPorts: 0, outPorts: 0 };
    const start = performance.now();
    const { width, height } = solveInRows(problem);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(width / height).toBeGreaterThan(0.5);
    expect(width / height).toBeLessThan(3);
  });

  test("they suit chains, thickets, wide ranks and what is large, and nothing else", () => {
    const diamond: Problem = {
      ...row(4),
      edges: [
        [0, -1, 1, -1],
        [0, -1, 2, -1],
        [1, -1, 3, -1],
        [2, -1, 3, -1],
      ],
    };
    expect([row(1), row(300), diamond].map(suitsRows)).toEqual([true, true, false]);
    const { nodes, edges } = fan(60);
    const ids = [...nodes.keys()];
    const ends = edges.map(({ source, target }): ProblemEdge => [ids.indexOf(source), -1, ids.indexOf(target), -1]);
    expect(suitsRows({ ...row(1), boxes: boxes(62), edges: ends })).toBe(true);
  });
});

describe("shapes beside edges", () => {
  const box = (id: string, x: number, y: number): PlacedBox => ({
    ...{ id, x, y, width: 100, height: 40, depth: 0, expanded: false },
  });
  const down = (x: number, from: number, to: number): PlacedEdge => ({
    ...{ key: `${x} ${from}`, arrow: true, tensors: [0] },
    points: rounded([x, from, x, to]),
  });
  const wide = (text: string) => 7 * text.length;

  test("stand right of the line, half way", () => {
    const edges = [{ edge: down(50, 40, 80), text: "1×64" }];
    expect(placeLabels([box("a", 0, 0), box("b", 0, 80)], edges, 34, wide)).toEqual([{ text: "1×64", x: 54, y: 64 }]);
  });

  test("go to the other side of a box, and are left out where there is no room", () => {
    const beside = box("c", 52, 44);
    const edges = [{ edge: down(50, 40, 90), text: "1×64" }];
    expect(placeLabels([beside], edges, 34, wide)[0]?.x).toBe(50 - 28 - 4);
    expect(placeLabels([beside, box("d", -52, 44)], edges, 34, wide)).toEqual([]);
  });

  test("do not touch one another", () => {
    const edges = [down(50, 0, 20), down(55, 0, 20)].map((edge) => ({ edge, text: "1×64" }));
    const [one, other] = placeLabels([], edges, 34, wide);
    expect(one?.x).toBe(54);
    expect(other === undefined || Math.abs(other.x - 54) >= 28 || Math.abs(other.y - (one?.y ?? 0)) >= 12).toBe(true);
  });
});
