import { describe, expect, test } from "vitest";
import { blocks, chain } from "../../gallery/structure.cases";
import { hierarchyOf } from "../../src/layout/hierarchy";
import { around, rowsOf, startingWith } from "../../src/views/outline_tree";
import type { Fold } from "../../src/wire";

const members = ["body.0", "body.1", "body.2"].map((id) => [id]);
const fold: Fold = { id: "fold:0", parent: "body", members, label: "0…2 (3)", shared: false, uniform: true };
const FOLDED = { ...blocks(3), folds: [fold] };

describe("rows", () => {
  test("a fold is one row that opens to its members", () => {
    const ids = (open: string[]) => rowsOf(hierarchyOf(FOLDED), new Set(open)).map(({ id }) => id);
    expect(ids([])).toEqual(["body"]);
    expect(ids(["body"])).toEqual(["body", "fold:0"]);
    expect(ids(["body", "fold:0", "body.1"])).toEqual([
      "body",
      "fold:0",
      "body.0",
      "body.1",
      "body.1.norm",
      "body.1.linear",
      "body.1.act",
      "body.2",
    ]);
    expect(ids(["fold:0"])).toEqual(["body"]);
  });

  test("each knows its place among its siblings and how many it holds", () => {
    const rows = rowsOf(hierarchyOf(FOLDED), new Set(["body", "fold:0"]));
    expect(
      rows.map(({ level, position, siblings, inside, parent }) => [level, position, siblings, inside, parent]),
    ).toEqual([
      [1, 1, 1, 1, null],
      [2, 1, 1, 3, "body"],
      [3, 1, 3, 3, "fold:0"],
      [3, 2, 3, 3, "fold:0"],
      [3, 3, 3, 3, "fold:0"],
    ]);
  });

  test("what is around a row, outermost first", () => {
    expect(around(FOLDED, "body.1.norm")).toEqual(["body", "fold:0", "body.1"]);
    expect(around(FOLDED, "body")).toEqual([]);
    expect(around(FOLDED, "gone")).toEqual([]);
  });
});

test("typing goes on from here and round the end, in any case of letters", () => {
  const graph = chain(3);
  const rows = rowsOf(hierarchyOf(graph), new Set());
  expect(rows.map(({ id }) => id)).toEqual(["cell", "cell#1", "cell#2"]);
  expect(startingWith(graph, rows, "CELL", 1)).toBe(1);
  expect(startingWith(graph, rows, "cell#", 0)).toBe(1);
  expect(startingWith(graph, rows, "cell#1", 2)).toBe(1);
  expect(startingWith(graph, rows, "x", 0)).toBe(-1);
});
