import { beforeEach, describe, expect, test } from "vitest";
import { mockBackend } from "../gallery/mock";
import { later, numbers } from "../gallery/mock_numbers";
import type { Backend, Numbers, Wanted } from "../src/backend";
import type { Tag } from "../src/data";
import { allRows, type LoadedSeries, loadHistograms, loadSeries } from "../src/loading";
import type { Series } from "../src/series";
import type { HistogramsMetadata, SeriesMetadata } from "../src/wire";
import { TYPICAL } from "./fakes";
import { NORM } from "./parts";

const { signal } = new AbortController();

/** What stands in the log directory, tag by tag; a test lets it grow. */
let written: Map<string, Numbers>;
let asked: [tag: string, wanted: Wanted][];
const rowsOf = new Map([
  ["one", ["a", "a.weight"]],
  ["two", ["b"]],
]);

const backend: Backend = {
  ...mockBackend(TYPICAL),
  array: async (_run, tag, wanted) => {
    asked.push([tag, wanted]);
    const all = written.get(tag);
    if (all === undefined) throw new Error("gone.");
    const kept = (rowsOf.get(tag) ?? []).flatMap((row, index) => (wanted.rows?.includes(row) === false ? [] : [index]));
    const of = (step: number, row: number, column: number) =>
      all.values[(step * all.rows + row) * all.columns + column] ?? Number.NaN;
    return later({ ...numbers(all.steps, kept, all.columns, of), wallTimes: all.wallTimes }, wanted.after);
  },
};

/** A tag whose values tell step, row and session. */
function write(tag: string, steps: readonly number[], session = 0, wallTimes = steps): void {
  const rows = rowsOf.get(tag)?.map((_, index) => index) ?? [];
  const value = (step: number, row: number) => (steps[step] ?? 0) * 10 + row + session * 1000;
  written.set(tag, { ...numbers(steps, rows, 1, value), wallTimes });
}

function listed(): Tag<SeriesMetadata>[] {
  return [...written].map(([tag, all]) => ({
    ...{ tag, steps: [], last: { step: Math.max(...all.steps), wallTime: Math.max(...all.wallTimes) } },
    metadata: {
      ...{ kind: "series", name: "gradients", statistics: [NORM], version: 1 },
      ...{ layers: rowsOf.get(tag) ?? [], owners: ["a", "a"].slice(0, rowsOf.get(tag)?.length) },
    } as SeriesMetadata,
  }));
}

const load = (known: LoadedSeries | null = null, tags = listed(), rows = allRows) => {
  asked = [];
  return loadSeries(backend, "r", tags, rows, signal, known);
};
const norms = (loaded: LoadedSeries) => {
  const series = loaded.series as Series;
  return series.steps.map((step, index) => [step, ...series.rows.map((_, row) => series.value(index, row, 0))]);
};

beforeEach(() => {
  written = new Map();
});

describe("a series", () => {
  test("is asked for once; without news, not at all, and it stays what it was", async () => {
    write("one", [0, 1, 2]);
    const first = await load();
    expect(asked).toEqual([["one", {}]]);
    expect(norms(first)).toEqual([
      [0, 0, 1],
      [1, 10, 11],
      [2, 20, 21],
    ]);
    expect(await load(first)).toBe(first);
    expect(asked).toEqual([]);
  });

  test("that grew is asked for from the last known step on", async () => {
    write("one", [0, 1, 2]);
    const first = await load();
    write("one", [0, 1, 2, 3, 4]);
    const grown = await load(first);
    expect(asked).toEqual([["one", { after: 1 }]]);
    expect(norms(grown).slice(2)).toEqual([
      [2, 20, 21],
      [3, 30, 31],
      [4, 40, 41],
    ]);
    write("one", [0, 1, 2, 3, 4, 5]);
    expect(norms(await load(grown)).at(-1)).toEqual([5, 50, 51]);
    expect(asked).toEqual([["one", { after: 3 }]]);
  });

  test("of several optimizers is asked for only where it grew", async () => {
    write("one", [0, 1]);
    write("two", [0, 1]);
    const first = await load();
    write("two", [0, 1, 2]);
    const grown = await load(first);
    expect(asked).toEqual([["two", { after: 0 }]]);
    expect(norms(grown)).toEqual([
      [0, 0, 1, 0],
      [1, 10, 11, 10],
      [2, Number.NaN, Number.NaN, 20],
    ]);
  });

  test("whose run was restarted is asked for anew, whether it came as far again or not", async () => {
    write("one", [0, 1, 2, 3], 0, [100, 101, 102, 103]);
    const first = await load();
    write("one", [0, 1, 2, 3], 5, [100, 201, 202, 103]); // as far as step 2
    expect(norms(await load(first)).map(([, norm]) => norm)).toEqual([5000, 5010, 5020, 5030]);
    expect(asked).toEqual([["one", {}]]);
    write("one", [0, 1, 2, 3, 4], 6, [100, 201, 202, 203, 204]); // beyond the last known
    expect(norms(await load(first)).map(([, norm]) => norm)).toEqual([6000, 6010, 6020, 6030, 6040]);
    expect(asked).toEqual([
      ["one", { after: 2 }],
      ["one", {}],
    ]);
  });

  test("of which only some rows are wanted", async () => {
    write("one", [0, 1, 2]);
    write("two", [0, 1, 2]);
    const wanted = ({ layers }: SeriesMetadata) => layers.filter((row) => row === "a.weight");
    const loaded = await load(null, listed(), wanted);
    expect(asked).toEqual([["one", { rows: ["a.weight"] }]]);
    expect([loaded.series?.rows, loaded.series?.owners, norms(loaded).at(-1)]).toEqual([["a.weight"], ["a"], [2, 21]]);
    write("one", [0, 1, 2, 3]);
    expect(norms(await load(loaded, listed(), wanted)).at(-1)).toEqual([3, 31]);
    expect(asked).toEqual([["one", { after: 1, rows: ["a.weight"] }]]);
  });

  test("of which one tag cannot be read: the others are there, why is said, and it is asked again", async () => {
    write("one", [0, 1]);
    write("two", [0, 1]);
    const tags = listed();
    const two = written.get("two") as Numbers;
    written.delete("two");
    const first = await load(null, tags);
    expect([first.series?.rows, first.problems]).toEqual([["a", "a.weight"], ["two: gone."]]);
    expect(await load(first, tags)).toBe(first);
    expect(asked).toEqual([["two", {}]]);
    written.set("two", two);
    const mended = await load(first, tags);
    expect([mended.series?.rows, mended.problems]).toEqual([["a", "a.weight", "b"], []]);
  });

  test("that hardly hold anything are not joined: it is said, and asked for again", async () => {
    const many = Array.from({ length: 9000 }, (_, index) => index);
    rowsOf.set(
      "wide",
      many.map((row) => `row ${row}`),
    );
    write("one", many);
    write("wide", [0]);
    const refused = await load();
    expect([refused.series, refused.reached.size]).toEqual([null, 0]);
    expect(refused.problems).toEqual([
      "Of gradients, only 27000 of 81018000 numbers are there; of one so large it must be one in 8.",
    ]);
    expect(await load(refused)).toBe(refused);
    written.delete("wide");
    const mended = await load(refused);
    expect([mended.series?.rows, mended.problems]).toEqual([["a", "a.weight"], []]);
  });
});

describe("histograms", () => {
  const EDGES = [0, 1, 2];
  const tag = (name: string, layers: string[], edges = EDGES): Tag<HistogramsMetadata> => ({
    ...{ tag: name, steps: [], last: { step: written.get(name)?.steps.at(-1) ?? 0, wallTime: 0 } },
    metadata: { kind: "histograms", name: "gradients", layers, owners: layers, edges, version: 1 },
  });
  const put = (name: string, steps: number[], wallTimes: number[], values: number[]) =>
    written.set(name, { steps, wallTimes, rows: 1, columns: 2, values: Float32Array.from(values) });
  const plain: Backend = {
    ...backend,
    array: async (_run, name, wanted) => {
      asked.push([name, wanted]);
      return later(written.get(name) as Numbers, wanted.after);
    },
  };
  const rowOf = ({ layers }: HistogramsMetadata) => (layers.includes("a") ? "a" : null);

  beforeEach(() => {
    asked = [];
  });

  test("of tags with equal bins are one, of which the last writer of a step counts; other bins stand apart", async () => {
    put("new", [5, 10], [9, 10], [50, 51, 52, 53]);
    put("old", [0, 5], [1, 2], [1, 2, 3, 4]);
    put("wide", [5], [5], [7, 8]);
    const tags = [tag("new", ["a"]), tag("old", ["a"]), tag("wide", ["a"], [0, 10, 20]), tag("other", ["b"])];
    const { all } = await loadHistograms(plain, "r", tags, rowOf, signal, null);
    expect(all).toEqual([
      { name: "gradients", row: "a", steps: [0, 5, 10], edges: EDGES, counts: Float32Array.of(1, 2, 50, 51, 52, 53) },
      { name: "gradients", row: "a", steps: [5], edges: [0, 10, 20], counts: Float32Array.of(7, 8) },
    ]);
    expect(asked.map(([name]) => name)).toEqual(["new", "old", "wide"]);
  });

  test("that grew are asked for from the last known step on; without news, not at all", async () => {
    put("h", [0, 1], [0, 0], [1, 2, 3, 4]);
    const first = await loadHistograms(plain, "r", [tag("h", ["a"])], rowOf, signal, null);
    expect(await loadHistograms(plain, "r", [tag("h", ["a"])], rowOf, signal, first)).toBe(first);
    put("h", [0, 1, 2], [0, 0, 0], [1, 2, 3, 4, 5, 6]);
    const grown = await loadHistograms(plain, "r", [tag("h", ["a"])], rowOf, signal, first);
    expect([...(grown.all[0]?.counts ?? [])]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(asked).toEqual([
      ["h", { rows: ["a"] }],
      ["h", { after: 0, rows: ["a"] }],
    ]);
  });

  test("that cannot be read are named; the others are shown, and what was known of them stays", async () => {
    put("h", [0, 1], [0, 0], [1, 2, 3, 4]);
    put("bad", [0, 1], [0, 0], [5, 6, 7, 8]);
    const tags = () => [tag("h", ["a"]), tag("bad", ["a"], [0, 10, 20])];
    const broken: Backend = {
      ...plain,
      array: (run, name, wanted, end) =>
        name === "bad" ? Promise.reject(new Error("malformed.")) : plain.array(run, name, wanted, end),
    };
    const first = await loadHistograms(broken, "r", tags(), rowOf, signal, null);
    expect(first.problems).toEqual(["bad: malformed."]);
    expect(first.all.map(({ edges, counts }) => [edges, [...counts]])).toEqual([[EDGES, [1, 2, 3, 4]]]);
    expect(await loadHistograms(broken, "r", tags(), rowOf, signal, first)).toBe(first);
    const mended = await loadHistograms(plain, "r", tags(), rowOf, signal, first);
    expect([mended.problems, mended.all.length]).toEqual([[], 2]);
    put("bad", [0, 1, 2], [0, 0, 0], [5, 6, 7, 8, 9, 9]);
    const kept = await loadHistograms(broken, "r", tags(), rowOf, signal, mended);
    expect([kept.problems, [...(kept.all[1]?.counts ?? [])]]).toEqual([["bad: malformed."], [5, 6, 7, 8]]);
  });
});
