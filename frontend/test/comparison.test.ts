import { describe, expect, test } from "vitest";
import { comparedBackend, OTHER, RENAMED } from "../gallery/mock_compared";
import { counterpartOf, reversed } from "../src/counterpart";
import { formatValue } from "../src/format";
import { painter } from "../src/paint";
import type { Store } from "../src/store";
import { opened, settled, TYPICAL } from "./fakes";

const OURS = "p.layerscope";
const AGAINST = `#&${OURS}.compareRun=${encodeURIComponent(OTHER)}`;

const compared = (hash = AGAINST) => opened(TYPICAL, hash, comparedBackend(TYPICAL));

function node(store: Store, id: string) {
  const found = store.graph.value.data?.nodes.get(id);
  if (found === undefined) throw new Error(`no node ${id}`);
  return found;
}

describe("who is who", () => {
  const counterpart = counterpartOf({
    run: "a",
    other: "b",
    version: 1,
    nodes: [
      { a: "backbone", b: "model.backbone", state: "renamed", changes: [] },
      { a: "backbone.conv", b: "model.backbone.conv", state: "changed", changes: ["settings"] },
      { a: "gone", b: null, state: "removed", changes: [] },
      { a: null, b: "new", state: "inserted", changes: [] },
    ],
  });

  test.each<[string, string | null]>([
    ["backbone.conv", "model.backbone.conv"],
    ["backbone.conv.weight", "model.backbone.conv.weight"], // a parameter goes with its module
    ["backbone.unseen.weight", "model.backbone.unseen.weight"],
    ["gone", null],
    ["gone.weight", null],
    ["nowhere", "nowhere"], // in neither structure: by its name
  ])("%s is %s", (name, there) => {
    expect(counterpart.of(name)).toBe(there);
  });

  test("the other side sees it the other way round", () => {
    const back = reversed(counterpart);
    expect(back.of("model.backbone.conv.bias")).toBe("backbone.conv.bias");
    expect([back.of("new"), back.of(null), back.from("gone")]).toEqual([null, null, null]);
    expect(back.state("new")?.state).toBe("inserted");
    expect(back.state("model.backbone.conv")?.changes).toEqual(["settings"]);
  });
});

describe("nothing compared", () => {
  test("the other side asks for nothing", async () => {
    const asked: string[] = [];
    const backend = comparedBackend(TYPICAL);
    const { store } = await opened(TYPICAL, "", {
      ...backend,
      array: (run, ...rest) => {
        asked.push(run);
        return backend.array(run, ...rest);
      },
      comparison: (...all) => {
        asked.push("comparison");
        return backend.comparison(...all);
      },
    });
    expect(store.other.value).toBeNull();
    expect([store.counterpart.value, store.comparison?.difference.value]).toEqual([null, null]);
    expect(new Set(asked)).toEqual(new Set(["baseline"]));
  });

  test.each(["nowhere", "baseline"])("with run %s, which is no other one", async (run) => {
    const { store } = await compared(`#&${OURS}.compareRun=${run}`);
    expect(store.other.value).toBeNull();
  });
});

describe("two runs", () => {
  test("the other side shares what was chosen but the run, and has the layer by its own name", async () => {
    const { store } = await compared(`${AGAINST}&${OURS}.layer=head&${OURS}.step=100&${OURS}.measure=activations.norm`);
    const other = store.other.value as Store;
    expect([other.run.value, other.step.value, other.measure.value?.id]).toEqual([OTHER, 100, "activations.norm"]);
    expect([other.layer.value, other.row.value]).toEqual([RENAMED, RENAMED]);
    store.goTo(250);
    expect(other.step.value).toBe(250);
    other.goTo(50); // from now on its own
    expect([store.step.value, other.step.value]).toEqual([250, 50]);
    other.select("blocks.0.conv");
    expect([store.layer.value, other.layer.value]).toEqual(["blocks.0.conv", "blocks.0.conv"]);
    other.select(RENAMED);
    expect([store.layer.value, other.layer.value]).toEqual(["head", RENAMED]);
    store.select("stem");
    expect(other.layer.value).toBeNull();
  });

  test("magnitudes are compared by their ratio", async () => {
    const { store } = await compared();
    const difference = store.comparison?.difference.value;
    expect(difference?.kind).toBe("ratio");
    for (const layer of ["blocks.0.conv", "head"]) {
      expect(difference?.at(layer, 100).value).toBeCloseTo(-1, 5);
      expect(difference?.cell(3, layer).value).toBeCloseTo(-1, 5);
    }
    expect(difference?.at("stem", 100)).toEqual({ value: Number.NaN, mark: "none" });
    expect(formatValue("ratio", difference?.at("head", 100).value ?? 0)).toBe("×0.5");
    expect([difference?.scale?.low, difference?.scale?.high].map((end) => Math.round(end ?? 0))).toEqual([-1, 1]);
  });

  test("signed statistics by what one has more", async () => {
    const { store } = await compared(`${AGAINST}&${OURS}.measure=gradients.mean`);
    const own = store.measured.value;
    const value = own?.value(3, own.row("head") ?? -1, store.column.value) ?? Number.NaN;
    const cell = store.comparison?.difference.value?.cell(3, "head");
    expect(store.comparison?.difference.value?.kind).toBe("difference");
    expect(cell?.value).toBeCloseTo(value - 2 * value, 12);
  });

  test("a step that is fixed is what every step is compared with", async () => {
    const { store } = await compared(`#&${OURS}.compareStep=100&${OURS}.measure=gradients.mean`);
    const other = store.other.value as Store;
    expect([other.run.value, other.step.value]).toEqual(["baseline", 100]);
    const own = store.measured.value;
    const at = (step: number) => own?.value(step, own.row("head") ?? -1, store.column.value) ?? Number.NaN;
    const difference = store.comparison?.difference.value;
    expect(difference?.cell(2, "head").value).toBe(0);
    expect(difference?.cell(7, "head").value).toBeCloseTo(at(7) - at(2), 12);
  });

  test("one scale for both", async () => {
    const alone = await compared("");
    const { store } = await compared();
    expect(store.other.value?.scale.value).toBe(store.scale.value);
    expect(store.scale.value?.high).toBeGreaterThan((alone.store.scale.value?.high ?? 0) * 1.2);
  });

  test("the structure is painted by the difference; what only one side has, in outline", async () => {
    const { store } = await compared(`${AGAINST}&${OURS}.step=100`);
    const paint = painter(store);
    expect(paint(node(store, "head"))).toMatchObject({ value: "×0.5", mark: "" });
    expect(paint(node(store, "stem"))).toMatchObject({ value: "only here", mark: "unmatched", fill: "" });
  });

  test("a side alone while its key is held, or both side by side", async () => {
    const { store } = await compared(`${AGAINST}&${OURS}.step=100`);
    const other = store.other.value as Store;
    const norm = (of: Store, layer: string) => of.measured.value?.value(2, of.measured.value.row(layer) ?? -1, 0) ?? 0;
    const value = formatValue("log", norm(store, "head"));
    const twice = formatValue("log", norm(other, RENAMED));
    expect(norm(other, RENAMED)).toBeCloseTo(2 * norm(store, "head"), 5);
    const held = store.comparison?.held;
    if (held) held.value = "A";
    expect(painter(store)(node(store, "head"))?.value).toBe(value);
    if (held) held.value = "B";
    expect(painter(store)(node(store, "head"))?.value).toBe(twice);
    if (held) held.value = null;
    store.choose({ compareAs: "side" });
    expect(painter(store)(node(store, "head"))?.value).toBe(value);
    expect(painter(other)(node(other, RENAMED))?.value).toBe(twice);
  });

  test("where it is not known who is who, names are taken as they are, and it is said", async () => {
    const { store } = await opened(TYPICAL, AGAINST, {
      ...comparedBackend(TYPICAL),
      comparison: async () => {
        throw new Error("the structure is cut off.");
      },
    });
    expect(store.comparison?.problem.value).toBe("the structure is cut off.");
    expect(store.counterpart.value?.of("head")).toBe("head");
    expect(store.comparison?.difference.value?.at("head", 100).mark).toBe("none");
    expect(store.comparison?.difference.value?.at("blocks.0.conv", 100).value).toBeCloseTo(-1, 5);
  });
});

describe("ratios", () => {
  test.each<[number, string]>([
    [0, "×1"],
    [1, "×2"],
    [-2, "×0.25"],
    [1000, "from 0"],
    [-1000, "to 0"],
  ])("2 to the power of %f is %s", (power, words) => {
    expect(formatValue("ratio", power)).toBe(words);
  });
});

test("a choice makes an entry in the history, a step that is dragged does not", async () => {
  const { store, host } = await compared("");
  const written = () => new Promise((resolve) => setTimeout(resolve, 200));
  await written();
  store.goTo(100);
  await written();
  store.select("head");
  await written();
  store.choose({ compareRun: OTHER });
  await written();
  expect(host.entries).toEqual([false, false, true, true]);
  host.go(host.written[0] ?? "");
  await settled();
  expect([store.layer.value, store.other.value]).toEqual([null, null]);
  await written();
  expect(host.entries).toHaveLength(4); // the way back is no way on
});
