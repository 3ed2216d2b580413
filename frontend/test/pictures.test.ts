import { describe, expect, test } from "vitest";
import { opened, settled, TYPICAL } from "./fakes";
import { entry, held, holding, STEPS, UNITS } from "./held";

describe("what units respond to", () => {
  test("is of the layer's units, whose images are counted through the whole tag, at the nearest step", async () => {
    const top = [[{ sample: 2, objective: 9, box: null }], [], [], []];
    const backend = holding([entry(UNITS)], { top_samples: top });
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem&p.layerscope.step=250", backend);
    const found = store.pictures.units.value.data;
    expect(found?.step).toBe(200);
    expect(found?.units.map(({ index, url, objective }) => [index, url, objective])).toEqual([
      [0, "200/0", 201],
      [1, "200/2", 3],
    ]);
    expect(found?.units[0]?.topSamples).toEqual(top[0]);
    expect(found?.units[0]?.inputs.tensors?.get("0")?.shape).toEqual([8, 1, 16, 16]);
    expect(store.pictures.unitsFilm.value.data?.map(({ step }) => step)).toEqual(STEPS);
  });

  test("of several tags at one step is all there is, and at another what that has", async () => {
    const units = [{ layer: "stem", channel: 5, objective: "channel", position: null }];
    const other = entry({ ...UNITS, modality: "table", samples: "", units }, [200], "layerscope/maximization/other");
    const { store } = await opened(
      TYPICAL,
      "#&p.layerscope.layer=stem&p.layerscope.step=250",
      holding([entry(UNITS), other]),
    );
    const found = () =>
      store.pictures.units.value.data?.units.map(({ index, unit, modality }) => [index, unit.channel, modality]);
    expect(found()).toEqual([
      [0, 0, "image"],
      [1, 20, "image"],
      [2, 5, "table"],
    ]);
    expect(store.pictures.unitsFilm.value.data?.map(({ units }) => units.length)).toEqual([2, 3, 2]);
    store.goTo(400);
    await settled();
    expect(found()?.length).toBe(2);
  });

  test("is of the model's own output where no layer is selected", async () => {
    const { store } = await opened(TYPICAL, "#", holding([entry(UNITS)]));
    expect(store.pictures.units.value.data?.units.map(({ unit }) => unit.channel)).toEqual([7]);
    store.select("head");
    await settled();
    expect(store.pictures.units.value).toEqual({ data: null, error: "", loading: false });
  });

  test("of inputs that are no images are their values, and of texts their tokens", async () => {
    const table = holding([entry({ ...UNITS, modality: "table" })]);
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem", table);
    const [first, second] = store.pictures.units.value.data?.units ?? [];
    expect([first?.url, first?.values?.data[0], second?.values]).toEqual([null, 400, null]);
    const text = holding([entry({ ...UNITS, modality: "text" })], { tokens: [["so", "dumb"], [], ["!"], []] });
    const other = await opened(TYPICAL, "#&p.layerscope.layer=stem", text);
    expect(other.store.pictures.units.value.data?.units.map(({ tokens }) => tokens)).toEqual([["so", "dumb"], ["!"]]);
  });
});

describe("what is kept of a layer", () => {
  test("are its own arrays and those of no layer, never those of a name that ends like it", async () => {
    const backend = holding([entry(held("activation", ["stem", "stem:x"]))]);
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem&p.layerscope.step=190", backend);
    const data = store.pictures.activation.value.data;
    expect(data?.step).toBe(200);
    expect([...(data?.arrays.keys() ?? [])]).toEqual(["values", "labels"]);
    expect(data?.arrays.get("values")?.data[0]).toBe(200);
    expect(data?.inputs.tensors?.get("0")?.shape).toEqual([8, 1, 16, 16]);
    expect(store.pictures.attention.value.data).toBeNull();
  });

  test("of several tags it is that which holds the layer at the nearest step", async () => {
    const without = entry(held("embedding", ["other"]), [250], "layerscope/embedding/without");
    const backend = holding([entry(held("embedding", ["stem"])), without]);
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem&p.layerscope.step=250", backend);
    expect(store.pictures.embedding.value.data?.step).toBe(200);
    expect(store.pictures.embeddingFilm.value.data?.map(({ step }) => step)).toEqual(STEPS);
  });

  test("is of one probe set: the one that was chosen, or else probe", async () => {
    const others = ["held out", "a"].map((name) => entry({ ...held("embedding", ["stem"]), name }, [200, 300], name));
    const backend = holding([...others, entry(held("embedding", ["stem"]))]);
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem&p.layerscope.step=290", backend);
    const shown = () => [store.pictures.embedding.value.data?.probeSet, store.pictures.embedding.value.data?.step];
    expect(shown()).toEqual(["probe", 200]);
    expect(store.pictures.embedding.value.data?.probeSets).toEqual(["a", "held out", "probe"]);
    store.choose({ probeSet: "held out" });
    await settled();
    expect(shown()).toEqual(["held out", 300]);
    expect(store.pictures.embeddingFilm.value.data?.map(({ step }) => step)).toEqual([200, 300]);
  });

  test("are all parameters that it owns", async () => {
    const backend = holding([entry(held("weight", ["stem.weight", "head.weight"], ["stem", "head"]))]);
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem", backend);
    expect(store.pictures.weights.value.data?.map(({ name }) => name)).toEqual(["stem.weight"]);
    expect(store.pictures.weights.value.data?.[0]?.arrays.get("values")?.data[0]).toBe(401);
  });

  test("without its inputs is there all the same, and says why", async () => {
    const backend = holding([entry(held("activation", ["stem"]))]);
    const tensors = backend.tensors;
    backend.tensors = (run, tag, step, signal) =>
      tag.includes("/samples/") ? Promise.reject(new Error("cut off.")) : tensors(run, tag, step, signal);
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem", backend);
    expect(store.pictures.activation.value.data?.inputs.problem).toBe("The inputs of step 0 cannot be shown. cut off.");
  });
});
