// @vitest-environment node
// The part of a decision tree that is shown: what is asked, what is said, and where it stands by the real Graphviz.

import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { describe, expect, test } from "vitest";
import { mockTree, SURROGATES } from "../gallery/mock_surrogates";
import {
  ANSWER_ROOM,
  answerOf,
  branchesOf,
  CLOSER,
  MOST_ABREAST,
  neighbour,
  openingPaths,
  problemOf,
  sayingOf,
  sentenceOf,
} from "../src/decision_tree";
import { solveWithGraphviz } from "../src/layout/graphviz";
import type { Surrogate, TreeNode } from "../src/wire";

const leaf = (samples: number, ...value: number[]): TreeNode => ({
  ...{ samples, value, feature: -1, threshold: 0, left: -1, right: -1 },
});
const surrogate = (changes: Partial<Surrogate> = {}): Surrogate => ({
  ...(SURROGATES["inputs/decision_tree"]?.(0) as Surrogate),
  ...{ feature_names: ["age", "\u202Esize"], output_names: ["no", "<b>yes</b>"] },
  tree: [
    { ...leaf(10, 0.4, 0.6), feature: 0, threshold: 14.23, left: 1, right: 4 },
    { ...leaf(7, 0.2, 0.8), feature: 1, threshold: -0.5, left: 2, right: 3 },
    leaf(6, 0, 1),
    leaf(1, 1, 0),
    leaf(3, 0.9, 0.1),
  ],
  ...changes,
});
const small = surrogate();
const shares = sayingOf(small, 0);

test("nodes are known by the way to them, yes before no; what is closed says how much it hides", () => {
  const told = (open: string[]) => branchesOf(small, new Set(open)).map(({ path, open, below }) => [path, open, below]);
  expect(told([])).toEqual([[".", false, 4]]);
  expect(told(["."])).toEqual([
    [".", true, 4],
    [".y", false, 2],
    [".n", false, 0],
  ]);
  expect(told([".", ".y", ".n", ".yyy"]).map(([path]) => path)).toEqual([".", ".y", ".yy", ".yn", ".n"]);
  expect(told([".y"])).toEqual([[".", false, 4]]);
});

test("questions name the feature, with what would turn it round spelled out", () => {
  const questions = branchesOf(small, new Set(["."])).map(({ question }) => question);
  expect(questions).toEqual([
    { feature: "age", threshold: "14.2" },
    { feature: "\u2039U+202E\u203Asize", threshold: "-0.5" },
    null,
  ]);
});

test("at first whole levels are open, as wide as there is room for, and at least the first question", () => {
  expect([...openingPaths(small, 1)]).toEqual(["."]);
  expect([...openingPaths(small, 2)]).toEqual([".", ".y"]);
  expect([...openingPaths(surrogate({ tree: [leaf(3, 1, 0)] }), 9)]).toEqual([]);
  expect([...openingPaths(surrogate({ tree: [] }), 9)]).toEqual([]);
});

test("a tree of two thousand questions on end is walked, not climbed", () => {
  const chain = Array.from({ length: 4001 }, (_, at) =>
    at % 2 || at === 4000 ? leaf(1, 1, 0) : { ...leaf(4001 - at, 1, 0), feature: 0, left: at + 1, right: at + 2 },
  );
  const deep = surrogate({ tree: chain });
  expect(branchesOf(deep, openingPaths(deep, MOST_ABREAST))).toHaveLength(4001);
  expect(branchesOf(deep, new Set(["."]))[2]?.below).toBe(3998);
});

test("the arrow keys walk up, down by yes, and along a level", () => {
  const shown = branchesOf(small, new Set([".", ".y"]));
  const to = (path: string, key: string) => neighbour(shown, path, key);
  expect([to(".", "ArrowDown"), to(".yn", "ArrowUp"), to(".", "ArrowUp"), to(".n", "ArrowDown")]).toEqual([
    ...[".y", ".y", null, null],
  ]);
  expect([to(".yy", "ArrowRight"), to(".y", "ArrowRight"), to(".n", "ArrowLeft"), to(".", "ArrowRight")]).toEqual([
    ...[".yn", ".n", ".y", null],
  ]);
  expect([to(".yn", "Home"), to(".yn", "x")]).toEqual([".", null]);
});

describe("what a tree says", () => {
  test("is the largest share where the numbers of every node are shares", () => {
    expect(shares).toEqual({ kind: "shares", names: ["no", "<b>yes</b>"] });
    expect(answerOf(shares, leaf(1, 0.25, 0.75))).toEqual({ name: "<b>yes</b>", number: "75 %" });
    expect(answerOf(shares, leaf(1, 0.5, 0.5)).name).toBe("no");
  });

  test("is a number of one output where they are not", () => {
    const numbers = surrogate({ tree: [leaf(2, 3, -1), leaf(2, 5, -7)] });
    expect(sayingOf(numbers, 1)).toEqual({ kind: "number", name: "<b>yes</b>", output: 1, span: [-7, -1] });
    expect(sayingOf(numbers, 9)).toMatchObject({ output: 1 });
    expect(sayingOf(surrogate({ tree: [leaf(2, 1)], output_names: ["p"] }), 0)).toMatchObject({ kind: "number" });
    expect(answerOf(sayingOf(numbers, 0), leaf(2, 5, -7))).toEqual({ name: "no:", number: "5" });
  });

  test("of a node is a sentence with the way to it", () => {
    const shown = branchesOf(small, new Set([".", ".y"]));
    expect(sentenceOf(shown, ".", shares)).toBe("all: 10 samples, <b>yes</b> 60 %");
    expect(sentenceOf(shown, ".yn", shares)).toBe("age ≤ 14.2, \u2039U+202E\u203Asize > -0.5: 1 sample, no 100 %");
    expect(sentenceOf(shown, ".gone", shares)).toBe("");
  });
});

describe("laid out by Graphviz", async () => {
  const graphviz = await Graphviz.load();

  test.each([
    [3, 8],
    [5, 3],
    [7, 12],
  ])("a tree of %i levels: yes left of no, a level in a row, no box on another", (depth, seed) => {
    const tall = surrogate({ tree: mockTree(depth, 2, seed), feature_names: Array(17).fill("x") });
    const branches = branchesOf(tall, openingPaths(tall, MOST_ABREAST));
    const sizes = branches.map(({ question }, index) => ({ width: 90 + (index % 5) * 17, height: question ? 76 : 50 }));
    const problem = problemOf(branches, sizes);
    const { boxes, edges, approximate } = solveWithGraphviz(graphviz, problem);
    expect(approximate).toBe(false);
    expect(branches.length).toBeGreaterThan(6);
    const drawn = branches.map(({ path }, index) => {
      const { x, y } = boxes[index] as { x: number; y: number };
      const { width, height } = sizes[index] as { width: number; height: number };
      return { path, left: x - CLOSER / 2, right: x - CLOSER / 2 + width, top: y, bottom: y + height };
    });
    const at = new Map(drawn.map((box) => [box.path, box]));
    for (const { path, left, top, bottom } of drawn) {
      const level = drawn.filter((box) => box.path.length === path.length);
      expect(level.every((box) => Math.abs(box.top - top) < 1)).toBe(true);
      const before = level[level.findIndex((box) => box.path === path) - 1];
      if (before) expect(left).toBeGreaterThan(before.right);
      const [yes, no] = [at.get(`${path}y`), at.get(`${path}n`)];
      if (!yes || !no) continue;
      expect(yes.right).toBeLessThan(no.left);
      expect(yes.top).toBeGreaterThan(bottom + ANSWER_ROOM);
    }
    branches.slice(1).forEach(({ path }, index) => {
      const spline = edges[index] as number[];
      const [from, to] = [at.get(path.slice(0, -1)), at.get(path)];
      const [x = 0, y = 0] = spline;
      expect(Math.abs(y - ANSWER_ROOM - (from?.bottom ?? 0))).toBeLessThan(1);
      expect(x > (from?.left ?? 0) && x < (from?.right ?? 0)).toBe(true);
      expect(Math.abs((spline.at(-1) ?? 0) - (to?.top ?? 0))).toBeLessThan(1);
    });
  });

  test("Graphviz sees sizes only", () => {
    const problem = problemOf(branchesOf(small, new Set(["."])), Array(3).fill({ width: 100, height: 70 }));
    expect(JSON.stringify(problem)).not.toMatch(/age|yes/);
    expect(problem.edges).toEqual([
      [0, 0, 1, 0],
      [0, 1, 2, 0],
    ]);
  });
});
