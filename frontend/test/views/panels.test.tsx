import { act, fireEvent, render, screen, within } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { APP_CASES, mockBackend, type Shape } from "../../gallery/mock";
import { blocks } from "../../gallery/structure.cases";
import type { ModelGraph } from "../../src/graph";
import { Header } from "../../src/views/header";
import { LayerPanel } from "../../src/views/layer";
import { LayersSteps } from "../../src/views/layers_steps";
import { Scrubber } from "../../src/views/scrubber";
import { Problems } from "../../src/views/words";
import { type Drawn, layOut, recordCanvases } from "../canvas";
import { changingSamples, opened, settled, TYPICAL } from "../fakes";

const LAYER = "p.layerscope.layer";
const EMPTY: Shape = { layers: [], steps: 0, bare: true };

let drawn: Drawn;

beforeEach(() => {
  layOut(400, 300);
  drawn = recordCanvases();
  Element.prototype.scrollIntoView = () => undefined;
});

/** Everything but the structure. */
async function tab(shape: Shape = TYPICAL, hash = "", changes = {}) {
  const { store } = await opened(shape, hash, changes);
  const { container } = render(
    <>
      <Header store={store} />
      <Problems store={store} />
      <Scrubber store={store} />
      <LayersSteps store={store} />
      <LayerPanel store={store} />
    </>,
  );
  await act(settled);
  return { store, container };
}

describe("every case of the gallery", () => {
  test.each(Object.entries(APP_CASES))(
    "%s",
    async (_, shape) => {
      const layer = shape.layers.at(-1);
      const { store, container } = await tab(shape);
      if (layer !== undefined) await act(() => store.select(layer, true));
      await act(settled);
      expect(container.querySelector("img[src=x]")).toBeNull();
      expect(store.layer.value).toBe(layer ?? null);
      if (layer !== undefined) expect(screen.getByTestId("layer-panel").textContent).toContain(layer);
      const geometry = [...container.querySelectorAll("svg *")].flatMap((mark) =>
        [...mark.attributes].filter(({ name }) => name !== "aria-label").map(({ value }) => value),
      );
      expect(geometry.filter((value) => /NaN|undefined|Infinity/.test(value))).toEqual([]);
    },
    30_000,
  );

  test("what cannot be read is said, and the rest is there", async () => {
    await tab(APP_CASES["long and hostile names"] as Shape);
    expect(screen.getByRole("alert").textContent).toContain("pip install --upgrade layerscope");
    expect(screen.getByTestId("heat-map").textContent).toContain("6 layers · 12 steps");
  });
});

describe("where there is nothing, the one line of Python that makes it", () => {
  const lines = (section: string) =>
    [...screen.getByLabelText(section).querySelectorAll("pre")].map((line) => line.textContent);

  test("for layers × steps and everything about a layer", async () => {
    await tab(EMPTY, `#&${LAYER}=fc`);
    expect(lines("Layers by steps")).toEqual(["scope.gradients(step)"]);
    expect(lines("Statistics over steps")).toEqual(["scope.gradients(step)"]);
    expect(lines("Distributions over steps")).toEqual(["scope.gradients(step, histogram=True)"]);
    expect(lines("Attribution maps")).toEqual(["scope.attributions(probe_x, probe_y, step=step)"]);
    expect(lines("Activation maximization")).toEqual(['scope.maximize(step=step, layers=["fc"])']);
    expect(screen.getByTestId("layer-panel").textContent).toContain("not in the graph of this run");
  });

  test.each(["constructor", "__proto__", "<script>"])("also for a layer %s that nobody has", async (layer) => {
    await tab(TYPICAL, `#&${LAYER}=${encodeURIComponent(layer)}`);
    const panel = screen.getByTestId("layer-panel");
    expect(panel.textContent).toContain(layer);
    expect(panel.textContent).toContain("not in the graph of this run");
    expect(lines("Statistics over steps")).toEqual(["scope.gradients(step)"]);
  });

  test("an error stands in its place", async () => {
    await tab(TYPICAL, `#&${LAYER}=stem`, { tensors: () => Promise.reject(new Error("the maps are cut off.")) });
    expect(within(screen.getByLabelText("Attribution maps")).getByText("the maps are cut off.")).toBeTruthy();
    expect(lines("Attribution maps")).toEqual([]);
  });
});

test("a fold has its facts and no numbers: those are of its members", async () => {
  const graph: ModelGraph = {
    ...blocks(3),
    folds: [
      {
        ...{ id: "fold", parent: "body", members: [["body.0"], ["body.1"], ["body.2"]], label: "0…2 (3)" },
        ...{ shared: false, uniform: true },
      },
    ],
  };
  await tab(TYPICAL, `#&${LAYER}=fold`, { graph: async () => graph });
  const panel = screen.getByTestId("layer-panel");
  expect(panel.textContent).toContain("3 × Block: each with weights of its own");
  expect(panel.textContent).toContain("belong to its members, one by one");
  expect(panel.querySelector(".multiple, .histogram, pre")).toBeNull();
});

describe("a layer", () => {
  test("shows its class, shapes and parameters, curves, distributions, maps and images", async () => {
    const { container } = await tab(TYPICAL, `#&${LAYER}=stem`);
    const panel = screen.getByTestId("layer-panel");
    expect([...panel.querySelectorAll("dd")].map((fact) => fact.textContent)).toEqual([
      "8×16×8×8 float32",
      "8×16×8×8 float32",
      "2.32k",
      "frozen when traced",
      "not counted",
    ]);
    expect(panel.querySelectorAll(".multiple")).toHaveLength(4); // the count of NaNs is 0 throughout: a word
    expect(panel.textContent).toContain("NaN count: 0 at every step");
    const series = within(screen.getByLabelText("Statistics over steps"));
    const names = [...panel.querySelectorAll(".panel .series-name")].map((name) => name.textContent);
    expect(names).toEqual(["gradients", "activations", "gradients"]);
    fireEvent.click(series.getByText("gradients"));
    fireEvent.click(series.getByText("activations"));
    await act(settled);
    expect(panel.querySelectorAll(".multiple")).toHaveLength(4);
    expect(series.getAllByRole("img").length).toBe(5); // four curves, and one for the series that is closed
    expect(container.querySelectorAll(".histogram")).toHaveLength(1);
    const images = screen.getAllByTestId("maximization-image");
    expect(images.map((image) => image.getAttribute("alt"))).toEqual(
      [0, 1, 2, 3].map((channel) => `Input that excites channel ${channel} most`),
    );
    expect(screen.getAllByTestId("attribution-map").length).toBeGreaterThanOrEqual(8);
  });

  test("its parameters and statistics are chosen by clicking them", async () => {
    const { store } = await tab(TYPICAL, `#&${LAYER}=stem`);
    fireEvent.click(screen.getByText("stem.bias"));
    expect(store.row.value).toBe("stem.bias");
    const panel = within(screen.getByLabelText("Statistics over steps"));
    fireEvent.click(panel.getByText("mean"));
    expect(store.measure.value?.id).toBe("gradients.mean");
    fireEvent.click(panel.getByText("activations"));
    await act(settled);
    fireEvent.click(panel.getAllByText("zero fraction")[1] as Element);
    expect(store.measure.value?.id).toBe("activations.zero_fraction");
  });

  test("another method and another sample are chosen", async () => {
    const { store } = await tab(TYPICAL, `#&${LAYER}=stem`);
    fireEvent.change(screen.getByTestId("method-picker"), { target: { value: "grad_cam" } });
    expect(store.method.value?.name).toBe("grad_cam");
    await act(settled);
    fireEvent.click(screen.getByLabelText(/^Sample 3,/));
    expect(store.sample.value).toBe(3);
  });

  test("lays each map over the inputs of its own step, in the film too", async () => {
    await tab(TYPICAL, `#&${LAYER}=stem&p.layerscope.step=200`, changingSamples(TYPICAL));
    // Only the veiled grey of an input (2 × 2) lies between 40 and 202. Inputs of step 0 are dark but for their last
    // pixel, those of step 220 light but for it. The film is drawn last: steps 0, 200 and 400.
    const veiled = drawn.images.filter(({ width, data }) => width === 2 && data[0] !== 0 && data[0] !== 255);
    const last = veiled.map(({ data }) => [data[0], data[12]]);
    expect(last.slice(-3)).toEqual([
      [40, 198],
      [40, 198],
      [198, 40],
    ]);
  });

  test("says why its inputs cannot be shown, and shows the maps all the same", async () => {
    const { tensors } = mockBackend(TYPICAL);
    await tab(TYPICAL, `#&${LAYER}=stem`, {
      tensors: (run: string, tag: string, step: number, end: AbortSignal) =>
        tag.includes("/samples/") ? Promise.reject(new Error("cut off.")) : tensors(run, tag, step, end),
    });
    const panel = within(screen.getByLabelText("Attribution maps"));
    expect(panel.getByText("The inputs of step 0 cannot be shown. cut off.")).toBeTruthy();
    expect(panel.getAllByTestId("attribution-map")).toHaveLength(8);
  });

  test("the picture layers × steps selects layer and step, and reveals the layer", async () => {
    const { store } = await tab(TYPICAL, "#&p.layerscope.step=100");
    const list = screen.getByRole("listbox");
    fireEvent.keyDown(list, { key: "ArrowDown" });
    await act(settled);
    fireEvent.keyDown(list, { key: "ArrowDown" });
    await act(settled);
    fireEvent.keyDown(list, { key: "ArrowRight" });
    expect([store.layer.value, store.step.value]).toEqual(["blocks.0.conv", 150]);
    expect(store.expanded.value.has("blocks.0")).toBe(true);
  });
});

describe("the header", () => {
  test("chooses run and measure, and searches", async () => {
    const { store } = await tab();
    fireEvent.change(screen.getByTestId("run-picker"), { target: { value: "lr=0.1, no warm-up" } });
    expect(store.run.value).toBe("lr=0.1, no warm-up");
    await act(settled);
    fireEvent.change(screen.getByTestId("measure-picker"), { target: { value: "activations.zero_fraction" } });
    expect(store.measure.value?.id).toBe("activations.zero_fraction");
    fireEvent.input(screen.getByTestId("search"), { target: { value: "conv" } });
    expect(store.query.value).toBe("conv");
    fireEvent.input(screen.getByTestId("search"), { target: { value: "" } });
    expect(store.query.value).toBe("");
  });

  test("a slash goes to the search, but not out of a field", async () => {
    await tab();
    const search = screen.getByTestId("search");
    fireEvent.keyDown(screen.getByTestId("scalar-picker"), { key: "/" });
    expect(document.activeElement).not.toBe(search);
    fireEvent.keyDown(document.body, { key: "/" });
    expect(document.activeElement).toBe(search);
  });
});
