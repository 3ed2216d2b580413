import { describe, expect, test, vi } from "vitest";
import { mockBackend } from "../gallery/mock";
import { BlobMemory, loadMaps, sortTags, spread, type Tag } from "../src/data";
import type { Tensor } from "../src/safetensors";
import type { AttributionMetadata } from "../src/wire";
import { changingSamples, opened, settled, TYPICAL } from "./fakes";

const { signal } = new AbortController();
const backend = mockBackend(TYPICAL);
const tags = async () => sortTags(await backend.tags("baseline", signal));

test("tags are sorted by kind; what could not be read is left out", async () => {
  const listing = await backend.tags("baseline", signal);
  const unread = {
    tag: "x",
    kind: "series",
    metadata: null,
    steps: [],
    problem: "newer",
    max_step: null,
    max_wall_time: null,
  };
  const sorted = sortTags({ ...listing, tags: [...listing.tags, unread] });
  expect(Object.entries(sorted).map(([kind, found]) => [kind, found.length])).toEqual([
    ["graph", 1],
    ["series", 2],
    ["histograms", 1],
    ["samples", 1],
    ["attribution", 2],
    ["maximization", 1],
    ["surrogate", 0],
    ["activation", 0],
    ["weight", 0],
    ["attention", 0],
    ["embedding", 0],
  ]);
  expect(Object.values(sortTags(null)).flat()).toEqual([]);
});

describe("the memory of blobs", () => {
  test("loads each once, keeps those used last, and forgets failures", async () => {
    const tensors = vi.fn(backend.tensors);
    const memory = new BlobMemory(tensors, 2);
    const load = (step: number) => memory.load("r", "layerscope/attribution/grad_cam", step, signal);
    const first = await load(0);
    await load(1);
    expect(await load(0)).toBe(first);
    expect(tensors).toHaveBeenCalledTimes(2);
    await load(2); // 1 is the one that was not used for longest
    await load(0);
    expect(tensors).toHaveBeenCalledTimes(3);
    await load(1);
    expect(tensors).toHaveBeenCalledTimes(4);
    tensors.mockRejectedValueOnce(new Error("gone"));
    await expect(load(9)).rejects.toThrow("gone");
    await load(9);
    expect(tensors).toHaveBeenCalledTimes(6);
  });
});

test("maps are those of the layer, with what belongs to them; null where the blob lacks it", async () => {
  const [tag] = (await tags()).attribution as [Tag<AttributionMetadata>];
  const maps = await loadMaps(new BlobMemory(backend.tensors), "r", tag, 200, "stem", signal);
  expect([maps.step, maps.method, maps.signed, maps.map?.shape]).toEqual([
    ...[200, "integrated_gradients", true, [8, 8, 8]],
  ]);
  expect([...(maps.targets?.data ?? [])]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(maps.delta).toBeNull();
  expect((await loadMaps(new BlobMemory(backend.tensors), "r", tag, 200, "gone", signal)).map).toBeNull();
});

test("notes are those on the inputs, a line for each, and none is made of what is no text", async () => {
  const [tag] = (await tags()).attribution as [Tag<AttributionMetadata>];
  const notesWith = async (data: Tensor["data"], of: string | number) => {
    const notes = async () => new Map([["notes", { shape: [data.length], data }]]);
    return (await loadMaps(new BlobMemory(notes), "r", tag, 200, of, signal)).notes;
  };
  const bytes = new TextEncoder().encode("no rule for größer\n<b>two</b>");
  expect(await notesWith(bytes, 0)).toEqual(["no rule for größer", "<b>two</b>"]);
  expect(await notesWith(bytes, "stem")).toEqual([]);
  expect(await notesWith(new Float32Array(3), 0)).toEqual([]);
});

test("a few are spread evenly, the first and the last among them", () => {
  expect(spread([1, 2, 3], 6)).toEqual([1, 2, 3]);
  expect(
    spread(
      Array.from({ length: 101 }, (_, i) => i),
      6,
    ),
  ).toEqual([0, 20, 40, 60, 80, 100]);
});

describe("the detail of a layer follows the step", () => {
  test("to the nearest saved maps and images, and to the inputs that they belong to", async () => {
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem&p.layerscope.step=250");
    const shown = () => [store.detail.maps.value.data?.step, store.pictures.units.value.data?.step];
    expect(shown()).toEqual([200, 200]);
    expect(store.detail.inputsAt(200).tensors?.get("0")?.shape).toEqual([8, 1, 16, 16]);
    expect(store.detail.film.value.data?.map(({ step }) => step)).toEqual([0, 200, 400]);
    store.goTo(350);
    await settled();
    expect(shown()).toEqual([400, 400]);
    store.goTo(0);
    await settled();
    expect(shown()).toEqual([0, 200]);
  });

  test("and each map has the inputs that were the latest when it was saved", async () => {
    const { store } = await opened(
      TYPICAL,
      "#&p.layerscope.layer=stem&p.layerscope.step=250",
      changingSamples(TYPICAL),
    );
    const value = (step: number) => store.detail.inputsAt(step).tensors?.get("0")?.data[0];
    expect(store.detail.maps.value.data?.step).toBe(200); // though the samples changed at 220
    expect([0, 200, 400].map(value)).toEqual([0, 0, 220]);
    store.goTo(400);
    await settled();
    expect([0, 200, 400].map(value)).toEqual([0, 0, 220]);
  });

  test("and says why inputs cannot be shown, and asks again", async () => {
    const changing = changingSamples(TYPICAL, [10, 220]);
    const failing = { ...changing };
    let fail = true;
    failing.tensors = (run, tag, step, end) =>
      fail && tag.includes("/samples/") ? Promise.reject(new Error("cut off.")) : changing.tensors(run, tag, step, end);
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem", failing);
    expect(store.detail.inputsAt(200)).toEqual({
      tensors: null,
      description: null,
      problem: "The inputs of step 10 cannot be shown. cut off.",
    });
    expect(store.detail.inputsAt(0).problem).toBe("No inputs were saved up to step 0.");
    fail = false;
    store.refresh();
    await settled();
    expect(store.detail.inputsAt(200)).toMatchObject({ problem: "" });
    const other = { ...changing, tensors: async () => new Map() };
    const unread = await opened(TYPICAL, "#&p.layerscope.layer=stem", other);
    expect(unread.store.detail.inputsAt(400).problem).toBe(
      "The inputs of step 220 cannot be shown. Their type is not read here.",
    );
  });

  test("and is nothing without a layer, or for one that has none", async () => {
    const { store } = await opened();
    const nothing = { data: null, error: "", loading: false };
    expect([store.detail.maps.value, store.pictures.units.value, store.detail.histograms.value]).toEqual([
      ...[nothing, nothing, nothing],
    ]);
    store.select("head");
    await settled();
    expect(store.pictures.units.value).toEqual(nothing);
    expect(store.detail.maps.value.data?.map?.shape).toEqual([8, 4, 4]);
  });

  test("keeps the maps of the step before until the next are there, but not those of another layer", async () => {
    const { store } = await opened(TYPICAL, "#&p.layerscope.layer=stem&p.layerscope.step=0");
    store.goTo(400);
    expect(store.detail.maps.value.data?.step).toBe(0);
    store.select("head");
    expect(store.detail.maps.value).toEqual({ data: null, error: "", loading: true });
    await settled();
    expect(store.detail.maps.value.data?.step).toBe(400);
  });
});
