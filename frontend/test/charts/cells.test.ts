import { describe, expect, test } from "vitest";
import type { Inks } from "../../src/charts/canvas";
import { type Cell, drawCells, worst } from "../../src/charts/cells";

const number = (value: number): Cell => ({ value, mark: "" });
const NAN: Cell = { value: Number.NaN, mark: "nan" };
const NONE: Cell = { value: Number.NaN, mark: "none" };
const column = (first: number, last: number) => ({ x0: 0, x1: 1, first, last });

describe("the cell that stands for several steps", () => {
  test.each<[string, Cell[], Cell]>([
    ["the greatest", [number(1), number(3), number(2)], number(3)],
    ["the greatest in size", [number(1), number(-3), number(2)], number(-3)],
    ["not a number, if any is not", [number(1), NAN, number(1e9)], NAN],
    ["what was measured, if anything was", [NONE, number(0), NONE], number(0)],
    ["nothing, if nothing was", [NONE, NONE], NONE],
  ])("is %s", (_, cells, expected) => {
    expect(worst(column(0, cells.length - 1), (step) => cells[step] as Cell)).toEqual(expected);
  });

  test("looks at its own steps only", () => {
    const cells = [number(9), number(1), number(2), NAN];
    expect(worst(column(1, 2), (step) => cells[step] as Cell)).toEqual(number(2));
  });
});

test("cells are filled where they lie; blank where nothing was measured, in the ink of NaN where it is not finite", () => {
  const inks: Inks = { surface: "#ffffff", none: "#eeeeee", nan: "#ff0000", data: "#0000ff" };
  const filled: unknown[] = [];
  const context = {
    fillStyle: "",
    createPattern: () => null,
    fillRect: (...rect: number[]) => filled.push([context.fillStyle, ...rect]),
  };
  const table = [
    [number(1), number(2), NONE],
    [number(3), NAN, number(4)],
  ];
  drawCells(context as unknown as CanvasRenderingContext2D, inks, {
    columns: [
      { x0: 0, x1: 10, first: 0, last: 0 },
      { x0: 10, x1: 30, first: 1, last: 2 },
    ],
    rows: 2,
    y: (row) => row * 5,
    cell: (step, row) => table[row]?.[step] as Cell,
    colour: (value) => `colour of ${value}`,
  });
  expect(filled).toEqual([
    ["colour of 1", 0, 0, 10, 5],
    ["colour of 2", 10, 0, 20, 5],
    ["colour of 3", 0, 5, 10, 5],
    ["#ff0000", 10, 5, 20, 5],
  ]);
});
