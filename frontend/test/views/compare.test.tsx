import { act, fireEvent, render, screen, within } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { comparedBackend, OTHER } from "../../gallery/mock_compared";
import type { Backend } from "../../src/backend";
import { Header } from "../../src/views/header";
import { LayerPanel } from "../../src/views/layer";
import { LayersSteps } from "../../src/views/layers_steps";
import { Scrubber } from "../../src/views/scrubber";
import { layOut, recordCanvases } from "../canvas";
import { opened, settled, TYPICAL } from "../fakes";
import { entry, held } from "../held";

const OURS = "p.layerscope";
const AGAINST = `#&${OURS}.compareRun=${encodeURIComponent(OTHER)}`;

beforeEach(() => {
  layOut(600, 300);
  recordCanvases();
  Element.prototype.scrollIntoView = () => undefined;
  Element.prototype.setPointerCapture = () => undefined;
});

async function tab(hash = "", backend = comparedBackend(TYPICAL)) {
  const { store } = await opened(TYPICAL, hash, backend);
  const { container } = render(
    <>
      <Header store={store} />
      <Scrubber store={store} />
      <LayersSteps store={store} />
      <LayerPanel store={store} />
    </>,
  );
  await act(settled);
  return { store, container };
}

const pressed = async (key: string) => {
  fireEvent.keyDown(window, { key });
  await act(settled);
};

describe("what is compared with", () => {
  test("is picked among the other runs and the steps of this one", async () => {
    const { store } = await tab();
    const picker = screen.getByTestId<HTMLSelectElement>("compare-picker");
    expect([...picker.options].map(({ text }) => text)).toEqual(["nothing", "another step of this run", OTHER]);
    fireEvent.change(picker, { target: { value: `run:${OTHER}` } });
    await act(settled);
    expect(store.other.value?.run.value).toBe(OTHER);
    fireEvent.change(picker, { target: { value: "step" } });
    await act(settled);
    expect([store.other.value?.run.value, store.other.value?.step.value]).toEqual(["baseline", 0]);
    fireEvent.change(picker, { target: { value: "" } });
    await act(settled);
    expect(store.other.value).toBeNull();
  });

  test("comes and goes with a key, and changes sides with another", async () => {
    const { store } = await tab(`#&${OURS}.layer=head&${OURS}.step=200`);
    await pressed("c");
    expect([store.run.value, store.other.value?.run.value]).toEqual(["baseline", OTHER]);
    await pressed("x");
    expect([store.run.value, store.other.value?.run.value]).toEqual([OTHER, "baseline"]);
    expect([store.layer.value, store.other.value?.layer.value]).toEqual(["classifier", "head"]);
    await pressed("{");
    expect([store.step.value, store.other.value?.step.value]).toEqual([200, 150]);
    await pressed("]");
    expect([store.step.value, store.other.value?.step.value]).toEqual([250, 150]);
    await pressed("x");
    expect([store.step.value, store.other.value?.step.value]).toEqual([150, 250]);
    await pressed("c");
    expect(store.other.value).toBeNull();
  });

  test("has a step of its own until it is given back", async () => {
    const { store } = await tab(`${AGAINST}&${OURS}.step=200&${OURS}.compareStep=50`);
    expect(store.other.value?.step.value).toBe(50);
    fireEvent.click(screen.getByText("Same step"));
    await act(settled);
    expect(store.other.value?.step.value).toBe(200);
  });
});

describe("the handle of what is compared with", () => {
  test("is a slider of its own, by pointer and by keys; everywhere else A is moved", async () => {
    const { store } = await tab(`#&${OURS}.step=400&${OURS}.compareStep=100`);
    const plot = screen.getByTestId("step-slider");
    const handles = [...plot.querySelectorAll(".handle")];
    expect(handles.map((handle) => handle.getAttribute("class"))).toEqual(["handle of-b", "handle"]);
    const at = (handle: Element | undefined) =>
      Number(/translate\(([\d.]+)/.exec(handle?.getAttribute("transform") ?? "")?.[1]);
    const [b = 0, a = 0] = handles.map(at);
    const perStep = (a - b) / 300;
    const both = () => [store.step.value, store.other.value?.step.value];
    const grip = screen.getByRole("slider", { name: "Step of B" });
    fireEvent.pointerDown(grip, { clientX: b, pointerId: 1 });
    fireEvent.pointerMove(grip, { clientX: b + 100 * perStep, buttons: 1 });
    expect(both()).toEqual([400, 200]);
    fireEvent.pointerDown(plot, { clientX: b, pointerId: 1 });
    expect(both()).toEqual([100, 200]);
    fireEvent.keyDown(grip, { key: "Home" });
    await act(settled);
    expect(both()).toEqual([100, 0]);
    expect(grip.getAttribute("aria-valuenow")).toBe("0");
    store.choose({ zoom: [50, 100] });
    await act(settled);
    expect([plot, grip].map((slider) => slider.getAttribute("aria-valuemin"))).toEqual(["0", "0"]);
  });
});

describe("layers × steps", () => {
  test("shows the difference, or both under each other", async () => {
    const { store } = await tab(`${AGAINST}&${OURS}.layer=head&${OURS}.step=100`);
    const map = screen.getByTestId("heat-map");
    expect(map.querySelector(".heat-value")?.textContent).toBe("×0.5");
    fireEvent.click(screen.getByTestId("compare-side"));
    await act(settled);
    expect(within(map).getByTestId("side-a").textContent).toContain("baseline");
    expect(within(within(map).getByTestId("side-b")).getByRole("listbox").textContent).toContain("classifier");
    await act(() => store.choose({ compareRun: null, compareStep: 0 }));
    await act(settled);
    expect(within(map).queryByTestId("side-b")).toBeNull(); // one run has one picture
    expect(map.querySelectorAll(".heat-cross line.of-b")).toHaveLength(1);
  });
});

describe("the layer panel", () => {
  test("says what the layer is on the other side, and what differs", async () => {
    const { store } = await tab(`${AGAINST}&${OURS}.layer=head&${OURS}.step=100`);
    expect(screen.getByTestId("counterpart").textContent).toBe(
      `Bclassifier in ${OTHER} at step 100; what differs: the number of its parameters`,
    );
    await act(() => store.select("stem"));
    await act(settled);
    expect(screen.getByTestId("counterpart").textContent).toBe(`B${OTHER} has no such layer.`);
  });

  test("lays the curves of both over each other, with both values", async () => {
    const { store, container } = await tab(`${AGAINST}&${OURS}.layer=head&${OURS}.step=100`);
    const series = store.measured.value;
    const norm = series?.value(2, series.row("head") ?? -1, 0) ?? 0;
    const [title] = screen.getAllByText("norm").map((name) => name.closest("button"));
    expect(title?.textContent).toBe(`norm${Number(norm.toPrecision(3))}B ${Number((2 * norm).toPrecision(3))}`);
    expect(container.querySelectorAll(".multiple .curve.of-b").length).toBeGreaterThan(0);
  });

  test("shows the maps of both and their difference, or one over the other", async () => {
    await tab(`${AGAINST}&${OURS}.layer=blocks.0.conv&${OURS}.step=200`);
    const [sample] = screen.getAllByTestId("attribution-map");
    const captions = () => [...(sample?.querySelectorAll(".side-caption") ?? [])].map(({ textContent }) => textContent);
    expect(captions()).toEqual(["A", "Bp 0.46", "A − B"]);
    await pressed("b");
    // It stands where A stood, and what stands beside it keeps its place, unseen.
    expect(captions()).toEqual(["B", "Bp 0.46", "A − B"]);
    expect(sample?.querySelector(".sides.held")).not.toBeNull();
    fireEvent.keyUp(window, { key: "b" });
    await act(settled);
    fireEvent.click(screen.getByTestId("swipe-toggle"));
    await act(settled);
    const slider = within(sample as HTMLElement).getByRole("slider");
    fireEvent.input(slider, { target: { value: "20" } });
    const top = sample?.querySelectorAll<HTMLElement>(".swipe-map")[1];
    expect(top?.style.clipPath).toBe("inset(0 80% 0 0)");
  });
});

test("a link to a run that is not there says so", async () => {
  await tab(`#&${OURS}.run=gone`);
  expect(screen.getByText(/There is no run/).textContent).toBe("There is no run gone here.");
});

test("while layers are paired by name alone, that is said, whatever is selected", async () => {
  const backend = { ...comparedBackend(TYPICAL), comparison: () => Promise.reject(new Error("cut off.")) };
  await tab(AGAINST, backend);
  expect(screen.getByText(/Layers are paired by name alone/).textContent).toContain("cut off.");
});

test("weights of both sides are on one scale", async () => {
  const base = comparedBackend(TYPICAL);
  const tag = "layerscope/weight/parameters";
  const nameIn = (run: string) => (run === OTHER ? "classifier" : "head");
  const backend: Backend = {
    ...base,
    tags: async (run, signal) => {
      const listing = await base.tags(run, signal);
      const weight = entry(held("weight", [`${nameIn(run)}.weight`], [nameIn(run)]), [0], tag);
      return { ...listing, tags: [...listing.tags, weight] };
    },
    tensors: async (run, of, ...rest) => {
      if (of !== tag) return base.tensors(run, of, ...rest);
      const data = Float32Array.from({ length: 6 }, () => (run === OTHER ? 4 : 1));
      return new Map([[`values:${nameIn(run)}.weight`, { shape: [2, 3], data }]]);
    },
  };
  await tab(`${AGAINST}&${OURS}.layer=head`, backend);
  const limits = ["weights", "weights-b"].map((id) => document.querySelector(`#${id} .legend-scale`)?.textContent);
  expect(limits).toEqual(["-44", "-44"]);
});

test("colours are spaced evenly, and differences shown for ratios, with a key; and back", async () => {
  const { store } = await tab(`${AGAINST}&${OURS}.layer=head&${OURS}.step=100`);
  const kinds = () => [store.scale.value?.kind, store.comparison?.difference.value?.kind];
  expect(kinds()).toEqual(["log", "ratio"]);
  await pressed("l");
  expect(kinds()).toEqual(["linear", "difference"]);
  expect(screen.getByTestId("linear-colours").getAttribute("aria-pressed")).toBe("true");
  fireEvent.click(screen.getByTestId("linear-colours"));
  await act(settled);
  expect(kinds()).toEqual(["log", "ratio"]);
  store.choose({ measure: "gradients.mean" }); // signed: there is nothing to choose
  await act(settled);
  expect(screen.queryByTestId("linear-colours")).toBeNull();
});
