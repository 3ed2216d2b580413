import { expect, test } from "vitest";
import { type Region, showsEdge } from "../src/views/structure_region";

const FAR: Region = { x: 0, y: 0, width: 1000, height: 1000, fine: false, k: 0.1 };
const NEAR: Region = { ...FAR, fine: true, k: 1 };
const down = (from: number, to: number) => [50, from, 50, from, 50, to, 50, to];

test("far away, edges of a few pixels are left out, along either side", () => {
  expect(showsEdge(FAR, down(100, 130))).toBe(false); // 3 pixels
  expect(showsEdge(FAR, down(100, 140))).toBe(true);
  expect(showsEdge(FAR, [100, 50, 100, 50, 140, 50, 140, 50])).toBe(true);
});

test("near by, the same edges are drawn", () => {
  expect(showsEdge(NEAR, down(100, 130))).toBe(true);
});

test("edges outside of the region are never drawn, those that reach into it are", () => {
  expect(showsEdge(NEAR, down(1100, 1500))).toBe(false);
  expect(showsEdge(FAR, down(1100, 1500))).toBe(false);
  expect(showsEdge(FAR, down(900, 1500))).toBe(true);
});
