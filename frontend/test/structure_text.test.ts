// What is written in the boxes, and where the viewport goes: plain functions.

import { zoomIdentity } from "d3-zoom";
import { describe, expect, test } from "vitest";
import { countText, fitText, shapeText, textWidth } from "../src/views/structure_text";
import { brought, fitLegibly, fitWhole, keptInPlace, LEGIBLE } from "../src/views/structure_viewport";

describe("text", () => {
  test.each([
    [0, "0"],
    [9408, "9,408"],
    [9999, "9,999"],
    [36_864, "36.9k"],
    [999_499, "999k"],
    [999_600, "1.00M"],
    [25_557_032, "25.6M"],
    [1_500_000_000, "1.50B"],
  ])("%d parameters are %s", (count, text) => {
    expect(countText(count)).toBe(text);
  });

  test.each([
    [[[1, 64, 8, 8]], "1×64×8×8"],
    [[[]], "scalar"],
    [[[2], [3], [4]], "2 +2"],
    [[], ""],
  ])("shapes %j are %s", (shapes, text) => {
    expect(shapeText(shapes)).toBe(text);
  });

  test("text that does not fit keeps its beginning and its end", () => {
    const name = "a_name_that_goes_on_and_on_version_two";
    const room = textWidth("x".repeat(12), "name");
    expect(fitText(name, "name", room)).toBe("a_name_…_two");
    expect(fitText(name, "name", 1000)).toBe(name);
    expect(fitText("🔬".repeat(50), "name", room)).toMatch(/^(🔬)+…(🔬)+$/u); // never half a letter
    expect(fitText("x".repeat(100_000), "name", room).length).toBe(12);
  });
});

describe("viewport", () => {
  const pane = { width: 700, height: 500 };
  const scaleOf = ({ k, x, y }: { k: number; x: number; y: number }) => ({ k, x, y });

  test("a small picture stands whole in the middle, never enlarged", () => {
    const at = fitWhole({ width: 100, height: 100 }, pane);
    expect(scaleOf(at)).toEqual({ k: 1, x: 300, y: 200 });
  });

  test("no box lies under the zoom buttons", () => {
    const box = { x: 600, y: 440, width: 70, height: 30 };
    const at = fitWhole({ width: 676, height: 476, boxes: [box] }, pane);
    expect(at.applyY(box.y + box.height)).toBeLessThanOrEqual(pane.height - 52);
    const elsewhere = { ...box, x: 0 };
    expect(fitWhole({ width: 676, height: 476, boxes: [elsewhere] }, pane).k).toBe(1);
  });

  test("a picture too large to be legible as a whole begins where the flow does", () => {
    const start = { x: 4000, y: 0, width: 100, height: 46 };
    const at = fitLegibly({ width: 8000, height: 6000 }, pane, start);
    expect(at.k).toBe(LEGIBLE);
    expect(at.applyX(4050)).toBeCloseTo(350, 9);
    expect(at.applyY(0)).toBeCloseTo(12, 9);
    expect(fitLegibly({ width: 8000, height: 6000 }, pane, { ...start, x: 40 }).applyX(0)).toBe(12);
  });

  test("bringing moves as little as it must", () => {
    const at = zoomIdentity.scale(0.5);
    const here = { x: 200, y: 200, width: 100, height: 60 };
    expect(scaleOf(brought(at, here, pane))).toEqual({ k: 0.5, x: 0, y: 0 });
    const below = { ...here, y: 2000 };
    expect(scaleOf(brought(at, below, pane))).toEqual({ k: 0.5, x: 0, y: 500 - 52 - 2060 * 0.5 }); // above the zoom buttons
    const corner = { ...below, x: 1200 };
    expect(scaleOf(brought(at, corner, pane))).toEqual({ k: 0.5, x: 0, y: 500 - 196 - 2060 * 0.5 }); // and the minimap
    const left = { ...here, x: -1000 };
    expect(scaleOf(brought(at, left, pane))).toEqual({ k: 0.5, x: 12 + 500, y: 0 });
  });

  test("of what is larger than the pane, its top and its middle", () => {
    const at = brought(zoomIdentity, { x: 1000, y: 1000, width: 2000, height: 2000 }, pane);
    expect(at.applyX(2000)).toBe(350);
    expect(at.applyY(1000)).toBe(36);
  });

  test("what grows keeps the middle of its top", () => {
    const at = zoomIdentity.translate(10, 20).scale(2);
    const [before, after] = [
      { x: 100, y: 50, width: 100, height: 68 },
      { x: 40, y: 90, width: 400, height: 300 },
    ];
    const kept = keptInPlace(at, before, after);
    expect(kept.applyX(240)).toBe(at.applyX(150));
    expect(kept.applyY(90)).toBe(at.applyY(50));
  });
});
