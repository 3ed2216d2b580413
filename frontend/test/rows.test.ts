import { describe, expect, test } from "vitest";
import { opened, TYPICAL } from "./fakes";

const OURS = "p.layerscope";

describe("folded with the structure", () => {
  test("rows of a closed module are one, the module's own, and open with it", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.folded=1&${OURS}.expanded=~`);
    expect(store.rows.value).toEqual(["stem", "blocks", "head"]);
    store.expand(new Set(["blocks"]));
    expect(store.rows.value).toEqual(["stem", "blocks.0", "blocks.1", "head"]);
    store.expand(new Set(["blocks", "blocks.1"]));
    expect(store.rows.value).toEqual(["stem", "blocks.0", "blocks.1.conv", "blocks.1.act", "head"]);
    expect(store.table.value).toHaveLength(5 * 11);
  });

  test("colours stay as they were", async () => {
    const plain = await opened(TYPICAL);
    const { store } = await opened(TYPICAL, `#&${OURS}.folded=1&${OURS}.expanded=~`);
    expect([store.scale.value?.low, store.scale.value?.high]).toEqual([
      plain.store.scale.value?.low,
      plain.store.scale.value?.high,
    ]);
  });
});

describe("ordered by their numbers", () => {
  const largest = (values: ArrayLike<number>) => Math.max(...Array.from(values));

  test.each(["largest", "smallest"])("%s first, by the largest number at the steps that are shown", async (order) => {
    const { store } = await opened(TYPICAL, `#&${OURS}.order=${order}&${OURS}.zoom=100..200`);
    const series = store.measured.value;
    const peak = (row: string) => largest([2, 3, 4].map((step) => series?.value(step, series.row(row) ?? -1, 0) ?? 0));
    const sign = order === "largest" ? -1 : 1;
    const peaks = store.rows.value.map(peak);
    expect(new Set(peaks).size).toBe(6);
    expect(peaks).toEqual([...peaks].sort((a, b) => sign * (a - b)));
  });

  test("what is not finite is the largest", async () => {
    const { store } = await opened({ ...TYPICAL, broken: 3 }, `#&${OURS}.order=largest`);
    expect(store.rows.value.slice(0, 3)).toEqual(["blocks.1.conv", "blocks.1.act", "head"]);
  });
});

describe("zoom", () => {
  test("shows half of the steps around the current one, within what is shown, and all again", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.step=100`);
    expect(store.span.value).toEqual([0, 540]);
    store.zoomIn(true);
    expect(store.span.value).toEqual([0, 235]);
    store.zoomIn(true);
    expect(store.span.value).toEqual([41, 159]);
    store.zoomIn(false);
    expect([store.span.value, store.chosen("zoom")]).toEqual([[0, 540], null]);
  });
});
