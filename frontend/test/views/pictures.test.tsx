import { act, fireEvent, render, screen, within } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import type { Backend } from "../../src/backend";
import type { Tensor } from "../../src/safetensors";
import { LayerPanel } from "../../src/views/layer";
import type { Node, SamplesBlob } from "../../src/wire";
import { layOut, recordCanvases } from "../canvas";
import { opened, settled, TYPICAL } from "../fakes";
import { entry, held, holding, UNITS } from "../held";

const HOSTILE = "<img src=x onerror=alert(1)>";

beforeEach(() => {
  layOut(400, 300);
  recordCanvases();
  Element.prototype.scrollIntoView = () => undefined;
});

async function panel(backend: Backend, layer = "stem") {
  const { store } = await opened(TYPICAL, layer === "" ? "#" : `#&p.layerscope.layer=${layer}`, backend);
  const { container } = render(<LayerPanel store={store} />);
  await act(settled);
  expect(container.querySelector("img[src=x]")).toBeNull();
  return { store, container };
}

const part = (name: string) => within(screen.getByRole("region", { name }));

/** Let an event happen, and what follows from it. */
const fire = (event: () => boolean) =>
  act(() => {
    event();
  });

const filled = (shape: number[], value: (index: number) => number): Tensor => ({
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, index) => value(index)),
});

describe("activation maximization", () => {
  const neuron = { layer: "stem", channel: 2, objective: "neuron", position: [3, 0] };
  const top = [
    [
      { sample: 3, objective: 0.5, box: [0.25, 0.75, 0, 0.5] },
      { sample: 1, objective: 0.25, box: [0, 1, 0, 1] },
    ],
    ...[[], [], []],
  ];

  test("shows each unit with what it reaches and what real samples reach", async () => {
    await panel(holding([entry(UNITS)], { objectives: [2, 0, 8, 0], top_samples: top }));
    const units = part("Activation maximization").getAllByRole("button");
    const told = units.map(({ textContent, title }) => [textContent, title]);
    expect(told).toContainEqual(["ch 0 2 / real 0.5", "it reaches 2; of the probe samples the most is 0.5"]);
    expect(told).toContainEqual(["ch 20 at the middle 8", "it reaches 8"]);
    const images = screen.getAllByTestId("maximization-image");
    expect(images.map((image) => image.getAttribute("src"))).toEqual(["400/0", "400/2"]);
  });

  test("frames the part that was seen, unless that is the whole", async () => {
    const { container, store } = await panel(holding([entry(UNITS)], { top_samples: top }));
    expect(container.querySelector(".top-samples")?.querySelectorAll("button")).toHaveLength(2);
    const boxes = [...container.querySelectorAll<HTMLElement>(".top-sample-box")];
    expect(boxes.map(({ style }) => [style.top, style.left, style.width, style.height])).toEqual([
      ["25.00%", "0.00%", "50.00%", "50.00%"],
    ]);
    await fire(() => fireEvent.click(screen.getByRole("button", { name: "input 0.5 sample 3" })));
    expect(store.sample.value).toBe(3);
  });

  test("chooses a unit, whose film goes to a step", async () => {
    const { store } = await panel(holding([entry(UNITS)]));
    await fire(() => fireEvent.click(screen.getByRole("button", { name: /ch 20 at the middle 3$/ })));
    expect(store.chosen("unit")).toBe(1);
    expect(screen.getByText("ch 20 at the middle over training")).toBeDefined();
    await fire(() => fireEvent.click(screen.getAllByRole("button", { name: /^Go to step 200/ }).at(-1) as HTMLElement));
    expect(store.step.value).toBe(200);
  });

  test("has the name of the class where the layer gives the scores, also through a softmax", async () => {
    const names = ["cat", "dog", "elk"];
    const units = [
      ...["stem", "head"].map((layer) => ({ layer, channel: 1, objective: "channel", position: null })),
      neuron,
    ];
    const backend = holding([entry({ ...UNITS, units })]);
    const described = async () => ({ inputs: [], class_names: names });
    const graph: Backend["graph"] = async (...asked) => {
      const found = await backend.graph(...asked);
      const shaped = (id: string, ...shape: number[]) => {
        const node = found.nodes.get(id);
        return node === undefined ? [] : [[id, { ...node, output_shapes: [shape] }] as const];
      };
      const softmax = { ...(found.nodes.get("head") as Node), id: "softmax", kind: "function" };
      const output = { ...softmax, id: "returned", kind: "output" };
      const edges = [
        { source: "head", target: "softmax", shape: null },
        { source: "softmax", target: "returned", shape: null },
      ];
      const nodes = new Map([
        ...[...found.nodes].filter(([, { kind }]) => kind !== "output"),
        ...shaped("stem", 4, 16, 3, 3),
        ...shaped("head", 4, 3),
        ["softmax", softmax],
        ["returned", output],
      ] as [string, Node][]);
      return { ...found, nodes, edges };
    };
    const told = async (layer: string) => {
      const { container } = await panel({ ...backend, description: described, graph }, layer);
      return [...container.querySelectorAll(".unit .caption")].map(({ textContent }) => textContent);
    };
    expect(await told("head")).toEqual(["dog"]);
    expect(await told("stem")).toEqual(["ch 1", "ch 2 at 3, 0"]);
  });

  test("of tokens shows them as text, whatever they are", async () => {
    const tokens = [[HOSTILE, "dumb"], [], [], []];
    await panel(holding([entry({ ...UNITS, modality: "text" })], { tokens }));
    expect(part("Activation maximization").getAllByText(`${HOSTILE} dumb`).length).toBeGreaterThan(0);
  });

  test("of tables shows bars", async () => {
    const { container } = await panel(holding([entry({ ...UNITS, modality: "table" })]));
    expect(container.querySelectorAll(".unit .vector-bar")).toHaveLength(1);
  });

  test("of the model's own output stands with the model", async () => {
    await panel(holding([entry(UNITS)]), "");
    expect(screen.getByRole("button", { name: /ch 7 4$/ })).toBeDefined();
  });

  test("says how to get some where there are none", async () => {
    await panel(holding([]));
    expect(part("Activation maximization").getByText('scope.maximize(step=step, layers=["stem"])')).toBeDefined();
  });
});

describe("activations", () => {
  const arrays = (shape: number[]) => () =>
    new Map([
      ["values:stem", filled(shape, (index) => index - 3)],
      ["channels:stem", { shape: [2], data: Int32Array.of(7, 2) }],
      ["strength:stem", { shape: [2], data: Float32Array.of(2.5, 1) }],
      ["size:stem", { shape: [3], data: Int32Array.of(16, 4, 4) }],
    ]);
  const backend = (shape: number[]) => holding([entry(held("activation", ["stem"]))], {}, arrays(shape));

  test("are pictures of the strongest channels, of the chosen sample", async () => {
    const { store } = await panel(backend([3, 2, 2, 2]));
    const shown = part("Activations");
    expect(shown.getByText(/layer output 16×4×4; the 2 strongest of 16 channels/)).toBeDefined();
    const captions = () => [...screen.getByTestId("activation-channels").querySelectorAll("figcaption")];
    expect(captions().map((caption) => caption.textContent)).toEqual(["input", "ch 7", "ch 2"]);
    await fire(() => fireEvent.click(shown.getByRole("button", { name: "by number" })));
    expect(captions().map((caption) => caption.textContent)).toEqual(["input", "ch 2", "ch 7"]);
    await fire(() => fireEvent.click(shown.getByRole("button", { name: "Sample 2" })));
    expect(store.sample.value).toBe(2);
  });

  test("of tokens are a heat map whose numbers are read with the arrow keys", async () => {
    await panel(backend([1, 2, 4]));
    const map = part("Activations").getByRole("img", { name: /activations, channels by positions, 2 by 4/ });
    await fire(() => fireEvent.keyDown(map, { key: "ArrowDown" }));
    expect(part("Activations").getByText(/ch 7, position 0\s+-3/)).toBeDefined();
    await fire(() => fireEvent.keyDown(map, { key: "ArrowRight" }));
    expect(part("Activations").getByText(/ch 7, position 1\s+-2/)).toBeDefined();
  });

  test("of averages over tokens name all of them", async () => {
    const tokens = [["the", "so", "un", "##like", "end"]];
    const described = { name: "ids", modality: "text", feature_names: [], tokens } as SamplesBlob["inputs"][number];
    const arrays = () =>
      new Map([
        ["values:stem", filled([1, 1, 2], (index) => index)],
        ["channels:stem", { shape: [1], data: Int32Array.of(7) }],
        ["size:stem", { shape: [2], data: Int32Array.of(16, 5) }],
      ]);
    const kept = holding([entry(held("activation", ["stem"]))], {}, arrays);
    await panel({ ...kept, description: async () => ({ inputs: [described], class_names: [] }) });
    const map = part("Activations").getByRole("img", { name: /channels by positions, 1 by 2/ });
    await fire(() => fireEvent.keyDown(map, { key: "ArrowRight" }));
    expect(part("Activations").getByText(/ch 7, mean of positions 0–2 \(the so un\)/)).toBeDefined();
    await fire(() => fireEvent.keyDown(map, { key: "ArrowRight" }));
    expect(part("Activations").getByText(/ch 7, mean of positions 2–4 \(un ##like end\)/)).toBeDefined();
  });

  test("of a flat layer are bars in the order of the channels", async () => {
    const { container } = await panel(backend([1, 2]));
    expect(container.querySelectorAll("[aria-label='Activations'] .vector-negative")).toHaveLength(2);
    expect(part("Activations").getByText("ch 7 -3 · ch 2 -2")).toBeDefined();
  });

  test("without a finite number say so", async () => {
    const none = () => new Map([["values:stem", filled([1, 1, 2, 2], () => Number.NaN)]]);
    await panel(holding([entry(held("activation", ["stem"]))], {}, none));
    expect(part("Activations").getByText("The layer gave no finite numbers.")).toBeDefined();
  });
});

describe("weights", () => {
  const names = ["stem.weight", "stem.bias", `stem.${HOSTILE}`];
  const backend = holding([entry(held("weight", names, ["stem", "stem", "stem"]))], {}, () => {
    return new Map<string, Tensor>([
      ["values:stem.weight", filled([4, 3, 2, 2], (index) => index)],
      ["shape:stem.weight", { shape: [4], data: Int32Array.of(8, 3, 2, 2) }],
      ["filters:stem.weight", { shape: [1], data: Uint8Array.of(1) }],
      ["values:stem.bias", filled([3], (index) => index - 1)],
      [`values:stem.${HOSTILE}`, filled([3, 4], (index) => index)],
      [`shape:stem.${HOSTILE}`, { shape: [2], data: Int32Array.of(5, 4) }],
      [`norms:stem.${HOSTILE}`, filled([5], (index) => index)],
    ]);
  });

  test("are filters as pictures, vectors as bars, matrices as heat maps", async () => {
    const { container, store } = await panel(backend);
    expect(part("Weights").getByText(/8×3×2×2; 4 of 8 filters/)).toBeDefined();
    const numbers = [...screen.getByTestId("filters").querySelectorAll("figcaption")];
    expect(numbers.map(({ textContent }) => textContent)).toEqual(["0", "2", "4", "6"]);
    await fire(() => fireEvent.click(part("Weights").getByRole("button", { name: "stem.bias" })));
    expect(store.chosen("parameter")).toBe("stem.bias");
    expect(part("Weights").getByText("from -1 to 1")).toBeDefined();
    expect(container.querySelectorAll("[aria-label='Weights'] .vector-bar")).toHaveLength(2);
    await fire(() => fireEvent.click(part("Weights").getByRole("button", { name: `stem.${HOSTILE}` })));
    const map = part("Weights").getByRole("img", { name: /as a matrix, 3 by 4/ });
    await fire(() => fireEvent.keyDown(map, { key: "ArrowDown" }));
    expect(part("Weights").getByText(/row 0–1, column 0\s+0/)).toBeDefined();
    await fire(() => fireEvent.click(part("Weights").getByRole("button", { name: "2×" })));
    expect(part("Weights").getByRole("button", { name: "2×" }).getAttribute("aria-pressed")).toBe("true");
    expect(part("Weights").getByRole("img", { name: "norms of 5 rows" })).toBeDefined();
  });
});

describe("attention", () => {
  const backend = holding([entry(held("attention", ["stem"]))], {}, () => {
    return new Map([["values:stem", filled([2, 3, 2, 2], (index) => (index % 4) / 4)]]);
  });

  test("is a picture for each head, of which one is large", async () => {
    const { store } = await panel(backend);
    expect(screen.getByTestId("attention-heads").querySelectorAll("button")).toHaveLength(3);
    await fire(() => fireEvent.click(part("Attention").getByRole("button", { name: "head 2 head 2" })));
    expect(store.chosen("head")).toBe(2);
    const map = part("Attention").getByRole("img", { name: /attention of head 2, queries by keys, 2 by 2/ });
    await fire(() => fireEvent.keyDown(map, { key: "ArrowRight" }));
    expect(part("Attention").getByText(/query 0 → key 0\s+0/)).toBeDefined();
  });

  test("within windows is of one window of the sample", async () => {
    const windows = () =>
      new Map<string, Tensor>([
        ["values:stem", filled([6, 1, 1, 2], (index) => index / 12)],
        ["each:stem", { shape: [1], data: Int32Array.of(3) }],
      ]);
    const { store } = await panel(holding([entry(held("attention", ["stem"]))], {}, windows));
    expect(part("Attention").getByText(/of 3, within which this layer attends/)).toBeDefined();
    const told = async () => {
      const map = part("Attention").getByRole("img", { name: /queries by keys, 1 by 2/ });
      await fire(() => fireEvent.keyDown(map, { key: "Home" }));
      await fire(() => fireEvent.keyDown(map, { key: "ArrowRight" }));
      return part("Attention").getByText(/query 0 → key/).textContent;
    };
    expect(await told()).toMatch(/key 0\s+0$/);
    await fire(() => fireEvent.input(part("Attention").getByLabelText(/^window/), { target: { value: "2" } }));
    expect(store.chosen("window")).toBe(2);
    store.choose({ sample: 1 });
    await act(settled);
    expect(await told()).toMatch(/key 1\s+0.917$/); // entry 5 of 6
  });

  test("is not spoken of where there is none", async () => {
    await panel(holding([]));
    expect(screen.queryByRole("region", { name: "Attention" })).toBeNull();
  });
});

describe("the embedding", () => {
  const backend = holding([entry(held("embedding", ["stem"]))], {}, (step) => {
    return new Map<string, Tensor>([
      ["values:stem", filled([4, 3], (index) => index + step / 100)],
      ["explained:stem", filled([3], (index) => [0.5, 0.25, 0.1][index] ?? 0)],
      ["labels", { shape: [4], data: Int32Array.of(0, 1, 1, 12) }],
    ]);
  });

  test("shows samples as points, named and chosen by key", async () => {
    const { store, container } = await panel(backend);
    const shown = part("Embedding");
    expect(shown.getByText(/4 samples; principal components 1 and 2, 50 % and 25 % of/)).toBeDefined();
    expect([...container.querySelectorAll(".scatter-groups li")].map((item) => item.textContent)).toEqual([
      ...["class 0", "class 1", "class 12"],
    ]);
    const points = shown.getByRole("slider");
    expect(points.getAttribute("aria-valuetext")).toBe("sample 0 · class 0");
    await fire(() => fireEvent.keyDown(points, { key: "ArrowRight" }));
    expect(store.sample.value).toBe(1);
    expect(shown.getByText("sample 1 · class 1")).toBeDefined();
    await fire(() => fireEvent.click(shown.getByRole("button", { name: "Go to step 0" })));
    expect(store.step.value).toBe(0);
  });

  test("opens the Projector where that has the layer", async () => {
    await panel(backend);
    expect(part("Embedding").queryByRole("button", { name: "Open in the Projector" })).toBeNull();
    const other = await panel({ ...backend, projected: async () => ["stem:00400"] });
    expect(other.container.textContent).toContain("Open in the Projector");
  });
});

test("the parts of the panel that there are, are listed", async () => {
  await panel(holding([entry(UNITS), entry(held("attention", ["stem"]))], {}, () => new Map()));
  const contents = within(screen.getByRole("navigation", { name: "Parts of this panel" }));
  expect(contents.getAllByRole("button").map(({ textContent }) => textContent)).toEqual([
    ...["Attribution", "Attention", "Maximization"],
  ]);
});
