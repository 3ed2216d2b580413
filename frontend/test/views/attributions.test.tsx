import { act, fireEvent, render, screen, within } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { APP_CASES, mockBackend, type Shape } from "../../gallery/mock";
import { mockSamples } from "../../gallery/mock_samples";
import type { Backend } from "../../src/backend";
import type { Tensor } from "../../src/safetensors";
import { captionOf } from "../../src/views/attribution_samples";
import { channelsOf } from "../../src/views/attribution_time_series";
import { LayerPanel } from "../../src/views/layer";
import { scoresOf } from "../../src/views/trust";
import type { SamplesBlob } from "../../src/wire";
import { layOut, recordCanvases } from "../canvas";
import { listingOf, opened, settled } from "../fakes";

beforeEach(() => {
  layOut(400, 300);
  recordCanvases();
});

const shapeOf = (name: string) => APP_CASES[name] as Shape;

async function panel(shape: Shape, hash = "", changes: Partial<Backend> = {}) {
  const { store } = await opened(shape, hash, changes);
  render(<LayerPanel store={store} />);
  await act(settled);
  return { store, section: screen.getByLabelText("Attribution maps") };
}

const captions = (section: HTMLElement) =>
  within(section)
    .getAllByLabelText(/^Sample \d/)
    .map((caption) => caption.textContent);
const tensor = (shape: number[], values: number[]): Tensor => ({ shape, data: Float32Array.from(values) });

/** A run whose first layer and inputs have what is given, described so. */
function run(
  tensors: Record<string, Tensor>,
  described: Partial<SamplesBlob>,
  shape = shapeOf("text"),
): Partial<Backend> {
  const inputs = Object.keys(tensors).filter((name) => name.startsWith("input:"));
  return {
    tags: () =>
      listingOf(shape, (tags) =>
        tags.map((entry) =>
          entry.metadata?.kind === "attribution"
            ? { ...entry, metadata: { ...entry.metadata, inputs: inputs.map((name) => Number(name.slice(6))) } }
            : entry,
        ),
      ),
    description: async () => ({ inputs: [], class_names: [], ...described }),
    tensors: async (_run, tag) =>
      new Map(
        tag.includes("/samples/")
          ? ["0", "1"].map((name) => [name, tensor([1, 3, 2], [1, 2, 3, 4, 5, 6])] as const)
          : Object.entries(tensors),
      ),
  };
}

const NO_TRUST: ReadonlyMap<string, Tensor> = new Map();

describe("a caption", () => {
  const one = (value: number) => ({ shape: [1], data: Float64Array.of(value) });

  test("names the class, how sure the model was, and the gap", () => {
    const caption = (target: number, classes: string[] = []) =>
      captionOf({ targets: one(target), probabilities: one(0.94), delta: one(0.0123), trust: NO_TRUST }, 0, classes);
    expect(caption(1, ["cat", "dog"])).toEqual(["dog", "p 0.94", "gap 0.0123"]);
    expect(caption(2, ["cat", "dog"])).toEqual(["class 2", "p 0.94", "gap 0.0123"]);
    expect(caption(0, ["\u202Etac"])[0]).toBe("\u2039U+202E\u203Atac");
  });

  test("tells the gap as the same share that the headline is the median of", () => {
    const trust = new Map([["completeness", one(0.379)]]);
    const held = { targets: one(1), probabilities: null, delta: one(-0.161), trust };
    expect(captionOf(held, 0, ["cat", "dog"])).toEqual(["dog", "gap 37.9 %"]);
    const three = { shape: [3], data: Float64Array.of(0.001, 0.003, 2.698) };
    expect(scoresOf(new Map([["completeness", three]])).map(({ value, doubt }) => [value, doubt])).toEqual([
      [0.003, ""],
    ]);
  });

  test("rounds no probability to 0 or 1", () => {
    const caption = (value: number) =>
      captionOf({ targets: null, probabilities: one(value), delta: null, trust: NO_TRUST }, 0);
    expect([0, 0.004, 0.016, 0.99, 0.999, 1].map(caption)).toEqual([
      ...[["p 0.00"], ["p < 0.01"], ["p 0.02"], ["p 0.99"], ["p > 0.99"], ["p 1.00"]],
    ]);
  });

  test("of what is no class is the number of the sample", () => {
    expect(
      captionOf({ targets: one(-1), probabilities: one(Number.NaN), delta: null, trust: NO_TRUST }, 0, ["cat"]),
    ).toEqual(["sample 0"]);
  });
});

describe("a text", () => {
  test("flows as tokens, each sample with its class, and says why not to trust", async () => {
    const { section } = await panel(shapeOf("text"));
    expect(captions(section)).toEqual([
      "positive · p 0.85 · gap 0.4 %",
      "<i>negative</i> · p 0.81 · gap 0.4 %",
      "\u2039U+202E\u203Aneutral · p 0.77 · gap 0.4 %",
      "other · p 0.74 · gap 0.4 %",
    ]);
    const texts = within(section).getAllByRole("listbox");
    expect(texts).toHaveLength(4);
    expect(texts[0]?.textContent).toContain("unbelievably awful");
    expect(texts[3]?.getAttribute("dir")).toBe("auto");
    expect(section.querySelector("img, i, script")).toBeNull();
    expect(within(section).getByRole("note").textContent).toBe(" 2 of 4 checks speak against this attribution");
  });

  test("over training is its foremost tokens, in their order, whose steps can be gone to", async () => {
    const { store, section } = await panel(shapeOf("text"));
    const cells = within(section).getByLabelText("attribution of tokens at a few steps");
    const rows = [...cells.querySelectorAll("tbody th")].map((row) => row.textContent);
    expect(rows).toHaveLength(12);
    const words = ["[CLS]", ..."the service was not just slow , it was un believ ably awful and the soup".split(" ")];
    const places = rows.slice(0, 5).map((row) => words.indexOf(row ?? ""));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    fireEvent.click(within(cells).getByLabelText("Go to step 200"));
    expect(store.step.value).toBe(200);
  });

  const TOKENS = { name: "ids", modality: "text", feature_names: [], tokens: [["a", "b", ""]] };
  const layer = { "layer:embedding": tensor([1, 3], [1, -1, 9]), "input:0": tensor([1, 3], [1, -1, 9]) };

  test("padding is neither drawn nor counts for the scale", async () => {
    const { section } = await panel(shapeOf("text"), "", run(layer, { inputs: [TOKENS] }));
    expect([...section.querySelectorAll(".token")].map((token) => token.textContent)).toEqual(["a", "b"]);
    expect(section.querySelector(".legend")?.textContent).toMatch(/^-11red/);
  });

  test.each([
    [3, true],
    [2, false],
  ])("a layer whose output has %i dimensions has tokens: %s", async (rank, has) => {
    const graph = await mockBackend(shapeOf("text")).graph("", "", 0, new AbortController().signal);
    const embedding = graph.nodes.get("embedding");
    if (embedding) embedding.output_shapes = [[1, 3, 5].slice(0, rank)];
    const changes = { ...run(layer, { inputs: [TOKENS] }), graph: async () => graph };
    const { section } = await panel(shapeOf("text"), "#&p.layerscope.layer=embedding", changes);
    expect(within(section).queryAllByRole("listbox")).toHaveLength(has ? 1 : 0);
    expect(section.querySelectorAll(".strip").length > 0).toBe(!has);
  });
});

describe("a table", () => {
  test("is bars by name, the foremost first, and all of them on demand, which the address keeps", async () => {
    const { store, section } = await panel(shapeOf("named columns"));
    const bars = () => within(section).getAllByRole("table", { name: /^attribution of features, sample/ });
    expect(bars()).toHaveLength(4);
    const sizes = [...(bars()[0]?.querySelectorAll(".feature-attribution") ?? [])].map((cell) =>
      Math.abs(Number(cell.textContent)),
    );
    expect(sizes).toHaveLength(12);
    expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
    fireEvent.click(within(section).getByText("Show all 17 features"));
    expect(bars()[0]?.querySelectorAll("tr")).toHaveLength(17);
    expect(store.link()).toContain("allFeatures=1");
    expect(section.querySelector("img")).toBeNull();
    fireEvent.click(within(section).getByText("Show 12 features only"));
    expect(bars()[0]?.querySelectorAll("tr")).toHaveLength(12);
  });

  test("opens with all of them where the address says so", async () => {
    const { section } = await panel(shapeOf("named columns"), "#&p.layerscope.allFeatures=1");
    expect(section.querySelector(".feature-bars")?.querySelectorAll("tr")).toHaveLength(17);
  });

  test("without names is a strip; names that do not fit are none", async () => {
    const described = { name: "x", modality: "table", feature_names: ["only one"], tokens: [] };
    const { section } = await panel(
      shapeOf("text"),
      "",
      run({ "input:0": tensor([1, 3], [1, -1, 9]) }, { inputs: [described] }),
    );
    expect(section.querySelector(".feature-bars")).toBeNull();
    expect(section.querySelectorAll(".strip").length).toBeGreaterThan(0);
  });
});

describe("a time series", () => {
  test("is a curve over a strip for each channel", async () => {
    const { section } = await panel(shapeOf("time series"));
    const series = within(section).getAllByRole("slider");
    expect(series).toHaveLength(3);
    expect([...(series[0]?.querySelectorAll("bdi") ?? [])].map((name) => name.textContent)).toEqual([
      "acceleration x",
      "acceleration y",
      "<b>gyroscope</b>",
    ]);
    expect(series[0]?.querySelectorAll("path.curve")).toHaveLength(3);
  });

  test("channels are taken out of [time, channels]; a layer that tells only when has one for all", () => {
    const { inputs, description } = mockSamples("time_series");
    const described = description.inputs[0] ?? null;
    const shown = { index: 1, inputs, described };
    const [first, second] = channelsOf({ ...shown, map: { shape: [2, 2], values: [1, 2, 3, 4] } });
    expect([first?.name, Array.from(first?.attributions ?? []), Array.from(second?.attributions ?? [])]).toEqual([
      ...["all channels", [1, 3], [2, 4]],
    ]);
    const whole = channelsOf({ ...shown, map: { shape: [240, 3], values: new Float32Array(720) } });
    expect(whole.map(({ name }) => name)).toEqual(["acceleration x", "acceleration y", "<b>gyroscope</b>"]);
    expect([whole[1]?.values?.length, whole[1]?.values?.[2]]).toEqual([240, inputs.data[720 + 2 * 3 + 1]]);
    const layer = channelsOf({ ...shown, map: { shape: [240], values: new Float32Array(240) } });
    expect(layer.map(({ name, values }) => [name, values])).toEqual([["all channels", null]]);
  });
});

test("of several inputs one is chosen, by its name", async () => {
  const column = (name: string) => ({ name, modality: "table", feature_names: [`${name} a`, `${name} b`], tokens: [] });
  const { store, section } = await panel(
    shapeOf("text"),
    "",
    run(
      { "input:0": tensor([1, 2], [1, -1]), "input:1": tensor([1, 2], [0.5, 2]) },
      { inputs: [column("left"), column("right")], class_names: ["no"] },
    ),
  );
  const names = () => [...section.querySelectorAll(".feature-bars th")].map((name) => name.textContent);
  expect(names()).toEqual(["left a", "left b"]);
  const picker = within(section).getByTestId("input-picker") as HTMLSelectElement;
  expect([...picker.options].map((option) => option.textContent)).toEqual(["input left", "input right"]);
  fireEvent.change(picker, { target: { value: "1" } });
  await act(settled);
  expect(names()).toEqual(["right b", "right a"]);
  expect(store.link()).toContain("input=1");
});

test("a description that cannot be read leaves the maps without names, and says so", async () => {
  const { section } = await panel(shapeOf("named columns"), "", {
    description: () => Promise.reject(new Error("it was written by a newer version.")),
  });
  expect(section.textContent).toContain("The inputs of step 0 have no names. it was written by a newer version.");
  expect(captions(section)[0]).toBe("class 0 · p 0.85 · gap 0.4 %");
  expect(section.querySelectorAll(".strip").length).toBeGreaterThan(0);
});
