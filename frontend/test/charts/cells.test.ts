import { describe, expect, test } from "vitest";
import type { Inks } from "../../src/charts/canvas";
import { type Cell, drawCells, inkPixel, pixel, worst } from "../../src/charts/cells";
import type { Column } from "../../src/charts/columns";

const number = (value: number): Cell => ({ value, mark: "" });
const NAN: Cell = { value: Number.NaN, mark: "nan" };
const NONE: Cell = { value: Number.NaN, mark: "none" };
const FROZEN_CELL: Cell = { value: 0, mark: "frozen" };
const column = (first: number, last: number) => ({ x0: 0, x1: 1, first, last });

const of = (range: Column, cells: readonly Cell[]) =>
  worst(
    range,
    (step) => cells[step]?.value as number,
    (step) => cells[step]?.mark as Cell["mark"],
  );

describe("the cell that stands for several steps", () => {
  test.each<[string, Cell[], Cell]>([
    ["the greatest", [number(1), number(3), number(2)], number(3)],
    ["the greatest in size", [number(1), number(-3), number(2)], number(-3)],
    ["not a number, if any is not", [number(1), NAN, number(1e9)], NAN],
    ["what was measured, if anything was", [NONE, number(0), NONE], number(0)],
    ["what trains, if anything does", [FROZEN_CELL, number(0.5), FROZEN_CELL], number(0.5)],
    ["nothing, if nothing was", [NONE, NONE], NONE],
  ])("is %s", (_, cells, expected) => {
    expect(of(column(0, cells.length - 1), cells)).toEqual(expected);
  });

  test("looks at its own steps only", () => {
    const cells = [number(9), number(1), number(2), NAN];
    expect(of(column(1, 2), cells)).toEqual(number(2));
  });
});

describe("the pixels of cells", () => {
  const inks: Inks = { surface: "#ffffff", none: "#cccccc", nan: "#ff0000", data: "#0000ff" };

  /** Colour of each pixel, row by row; "" where nothing was drawn. */
  function picture(table: readonly (readonly Cell[])[], columns: readonly Column[], row: number, dashes = false) {
    const width = columns.at(-1)?.x1 ?? 0;
    const pixels: string[][] = [];
    const context = {
      createImageData: (w: number, h: number) => ({ width: w, height: h, data: new Uint8ClampedArray(w * h * 4) }),
      putImageData: ({ data }: ImageData, x: number, y: number) => {
        expect([x, y]).toEqual([0, 0]);
        for (let at = 0; at < data.length; at += 4) {
          const line = Math.floor(at / 4 / width);
          pixels[line] ??= [];
          pixels[line].push(data[at + 3] === 0 ? "" : [...data.subarray(at, at + 3)].join());
        }
      },
    };
    drawCells(context as unknown as CanvasRenderingContext2D, inks, {
      columns: () => columns,
      rows: table.length,
      width,
      y: (index) => index * row,
      value: (step, index) => table[index]?.[step]?.value as number,
      mark: (step, index) => table[index]?.[step]?.mark as Cell["mark"],
      colour: (value) => pixel([value, 0, 0]),
      dashes,
    });
    return pixels;
  }

  test("are its colour where it lies, nothing where nothing was measured, and lines where it is not finite", () => {
    const table = [
      [number(1), number(2), NONE],
      [NONE, NONE, NAN],
      [FROZEN_CELL, FROZEN_CELL, number(4)],
    ];
    const columns = [
      { x0: 0, x1: 4, first: 0, last: 0 },
      { x0: 4, x1: 12, first: 1, last: 2 },
    ];
    const drawn = picture(table, columns, 2);
    const times = (count: number, colour: string) => Array.from({ length: count }, () => colour);
    expect(drawn.slice(0, 2)).toEqual([0, 1].map(() => [...times(4, "1,0,0"), ...times(8, "2,0,0")]));
    const [white, red, grey] = ["255,255,255", "255,0,0", "204,204,204"];
    const lines = [red, red, white, white, white, white];
    expect(drawn[2]).toEqual([...times(4, ""), ...lines, red, red]);
    expect(drawn[3]).toEqual([...times(4, ""), red, white, white, white, white, red, red, white]);
    expect(drawn[4]).toEqual([grey, grey, white, white, ...times(8, "4,0,0")]);
  });

  test("are a dash in the middle of a cell that was not measured, where there is room", () => {
    const drawn = picture([[NONE]], [{ x0: 0, x1: 8, first: 0, last: 0 }], 8, true);
    expect(drawn.flatMap((line, y) => line.flatMap((colour, x) => (colour ? [[x, y]] : [])))).toEqual([
      [2, 4],
      [3, 4],
      [4, 4],
      [5, 4],
    ]);
    const narrow = picture([[NONE]], [{ x0: 0, x1: 6, first: 0, last: 0 }], 8, true);
    expect(narrow.flat().filter(Boolean)).toEqual([]);
  });
});

test("inks are pixels: alpha, blue, green, red", () => {
  expect(inkPixel("#010203").toString(16)).toBe("ff030201");
  expect(inkPixel("#1bF")).toBe(inkPixel("#11bbFF"));
  expect(inkPixel("#ff8000", 128).toString(16)).toBe("800080ff");
  expect(pixel([255, 254, 253])).toBe(0xfffdfeff);
});
