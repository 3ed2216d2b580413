import { act, fireEvent, render, screen, within } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { APP_CASES, type Shape } from "../../gallery/mock";
import { mockTree, SURROGATES } from "../../gallery/mock_surrogates";
import { App } from "../../src/app";
import { Series } from "../../src/series";
import { LayerPanel } from "../../src/views/layer";
import { depthsOf } from "../../src/views/linear_probes";
import type { Surrogate } from "../../src/wire";
import { layOut, recordCanvases } from "../canvas";
import { opened, settled, TYPICAL } from "../fakes";

const SHAPE = APP_CASES["surrogates and probes"] as Shape;
const base = SURROGATES["inputs/decision_tree"]?.(1) as Surrogate;
const SURROGATE = "p.layerscope.surrogate";

beforeEach(() => {
  layOut(400, 300);
  recordCanvases();
  Element.prototype.scrollIntoView = () => undefined;
});

async function panel(hash = "", shape = SHAPE) {
  const { store, host } = await opened(shape, hash);
  render(<LayerPanel store={store} />);
  await act(settled);
  return { store, host };
}

const section = () => screen.getByTestId("surrogates");
const rows = () => [...section().querySelectorAll(".scores tbody tr")];
const nodes = () => [...section().querySelectorAll<SVGElement>("[data-branch]")];

describe("surrogates", () => {
  test("are there only where a run has any", async () => {
    await panel("", TYPICAL);
    expect(screen.queryByTestId("surrogates")).toBeNull();
    expect(screen.queryByTestId("linear-probes")).toBeNull();
    expect(screen.queryByLabelText("Parts of this panel")).toBeNull();
  });

  test("each has its score on samples held out beside that on those it was fitted to; the inputs' tree comes first", async () => {
    await panel();
    expect(
      rows().map((row) => [...row.querySelectorAll("th, td")].slice(0, 3).map((cell) => cell.textContent)),
    ).toEqual([
      ["decision treeof the inputs · R²", "0.895", "0.98"],
      ["logistic regressionof the inputs · agreement", "97.5 %", "100 %"],
      ["random forestof the inputs · R²", "0.967", "0.99"],
      ["linear regressionof the inputs · R²", "-0.12", "0.4"],
      ["unreadableof the inputs", "–", "–"],
      ["decision treeof layer fc1 · R²", "0.71", "0.999"],
    ]);
    expect(rows()[0]?.querySelector("svg")?.getAttribute("aria-label")).toContain("at 5 steps");
    expect(section().textContent).toContain("Of 142 samples held out it explains 89.5 % of the variance.");
  });

  test("follow the step, and the scores of other steps stay", async () => {
    const { store } = await panel();
    const last = rows()[0]?.querySelector(".curve:not(.behind)")?.getAttribute("d");
    act(() => store.goTo(0));
    await act(settled);
    expect(rows()[0]?.querySelector("td b")?.textContent).toBe("0.6");
    expect(rows()[0]?.querySelector(".curve:not(.behind)")?.getAttribute("d")).toBe(last);
    expect(section().querySelector(".doubt")?.textContent).toContain("does much better on the samples");
  });

  test("one that cannot be read says why, and hides no others", async () => {
    await panel(`#&${SURROGATE}=inputs%2Funreadable`);
    expect(section().querySelector(".problem")?.textContent).toBe("the surrogate is cut off.");
    expect(rows()).toHaveLength(6);
  });

  test("the importances are those of the chosen output; one that imitates badly is doubted", async () => {
    const { store } = await panel(`#&${SURROGATE}=inputs%2Flogistic_regression`);
    const first = () => screen.getByTestId("importances").querySelector("tr")?.textContent ?? "";
    expect(first()).toMatch(/^mean smoothness-0.879/);
    fireEvent.change(screen.getByTestId("output-picker"), { target: { value: "1" } });
    expect(first()).toMatch(/^mean smoothness\+0.879/);
    expect(store.chosen("output")).toBe(1);
    fireEvent.click(within(section()).getByText("linear regression"));
    await act(settled);
    expect(store.chosen("surrogate")).toBe("inputs/linear_regression");
    expect(store.chosen("output")).toBeNull();
    expect(section().querySelector(".doubt")?.textContent).toContain("It imitates the network badly");
  });

  test("names are text", async () => {
    await panel(`#&${SURROGATE}=fc1%2Fdecision_tree&p.layerscope.allFeatures=1`);
    expect(section().querySelector("img, b b, .tree b")).toBeNull();
    expect(section().textContent).toContain("<b>price</b>");
    expect(section().textContent).toContain("<img src=x onerror=alert(1)>");
    expect(section().textContent).not.toContain("\u202E");
  });

  test("of a layer stand with it", async () => {
    await panel("#&p.layerscope.layer=fc1");
    expect(rows().map((row) => row.querySelector("bdi")?.textContent)).toEqual(["of layer fc1 · R²"]);
  });
});

describe("the tree", () => {
  test("opens and closes by mouse and keyboard, which the address keeps; the focus stays", async () => {
    const { store, host } = await panel();
    expect(nodes().map((node) => node.getAttribute("data-branch"))).toContain(".n");
    const open = nodes().length;
    const root = nodes()[0] as SVGElement;
    expect(root.getAttribute("aria-expanded")).toBe("true");
    fireEvent.click(root);
    await act(settled);
    expect(nodes()).toHaveLength(1);
    expect(store.chosen("branches")).toEqual([]);
    root.focus();
    fireEvent.keyDown(root, { key: "Enter" });
    await act(settled);
    expect(nodes().map((node) => node.getAttribute("data-branch"))).toEqual([".", ".y", ".n"]);
    expect(document.activeElement).toBe(nodes()[0]);
    fireEvent.keyDown(root, { key: "ArrowDown" });
    expect(document.activeElement?.getAttribute("data-branch")).toBe(".y");
    expect(section().querySelector(".tree-readout")?.textContent).toMatch(/ ≤ .*: \d+ samples, \w+ \d/);
    expect(section().querySelectorAll(".tree-edge.lit")).toHaveLength(1);
    await act(() => new Promise((resolve) => setTimeout(resolve, 200)));
    expect(host.hash()).toContain("branches=.");
    expect(open).toBeGreaterThan(1);
  });

  test("opens as a whole, and says how much of it is on view", async () => {
    await panel();
    fireEvent.click(within(section()).getByText("Open all"));
    await act(settled);
    const [, shown, all] = /(\d+) of (\d+) nodes/.exec(section().textContent ?? "") ?? [];
    expect(Number(shown)).toBe(nodes().length);
    expect(shown).toBe(all);
    expect(nodes().filter((node) => node.getAttribute("aria-expanded") === "false")).toEqual([]);
  });

  test("that is too wide opens more of it, and says so", async () => {
    const tree = mockTree(9, 2, 5, 0);
    const { store } = await opened(SHAPE, "", { surrogate: async () => ({ ...base, tree }) });
    render(<LayerPanel store={store} />);
    await act(settled);
    fireEvent.click(within(section()).getByText("Open more"));
    await act(settled);
    expect(section().textContent).toContain(`255 of ${tree.length.toLocaleString("en")} nodes`);
    expect(nodes()).toHaveLength(255);
  });

  test("takes the place of the structure", async () => {
    const { store } = await opened(SHAPE);
    render(<App store={store} />);
    await act(settled);
    fireEvent.click(screen.getByTestId("enlarge-tree"));
    await act(settled);
    const pane = screen.getByTestId("tree-pane");
    expect(pane.querySelectorAll("[data-branch]").length).toBeGreaterThan(1);
    expect(nodes()).toEqual([]);
    expect(screen.queryByTestId("heat-map")).toBeNull();
    fireEvent.click(within(pane).getByText("Show the structure"));
    await act(settled);
    expect(screen.getByTestId("heat-map")).toBeTruthy();
    expect(nodes().length).toBeGreaterThan(1);
  });
});

describe("linear probes", () => {
  test("are a line over the layers, told and selected by mouse and keyboard", async () => {
    const { store } = await panel();
    const probes = screen.getByTestId("linear-probes");
    const options = within(probes).getAllByRole("option");
    expect(options.map((option) => option.getAttribute("aria-label")?.split(":")[0])).toEqual(SHAPE.layers);
    expect(probes.textContent).toContain("highest in fc3:");
    expect(probes.textContent).toContain("Faint: step 0.");
    (options[0] as HTMLElement).focus();
    fireEvent.keyDown(options[0] as Element, { key: "ArrowRight" });
    expect(document.activeElement).toBe(options[1]);
    expect(probes.querySelector(".depth-readout")?.textContent).toMatch(/^act1: [\d.]+ % step 0 [\d.]+ % · commonest/);
    fireEvent.keyDown(options[1] as Element, { key: "Enter" });
    await act(settled);
    expect(store.layer.value).toBe("act1");
    expect(within(probes).getAllByRole("option", { selected: true })).toHaveLength(1);
  });

  test("are those of the nearest step; the axis stays, and a layer that was not probed has none", () => {
    const statistics = ["accuracy", "majority"].map((name) => ({ name, scale: "fraction", help: "" }));
    const values = Float32Array.of(0.5, 0.375, 0.75, 0.375, 0.625, 0.375, Number.NaN, Number.NaN);
    const written = Float64Array.of(1, 1, 2, 2);
    const series = new Series("linear_probes", [0, 100], ["a", "b"], ["a", "b"], statistics, values, written);
    expect(depthsOf(series, null, 90)).toEqual({
      ...{ at: 100, layers: ["a", "b"], accuracy: [0.625, Number.NaN], majority: [0.375, Number.NaN] },
      ...{ first: { step: 0, accuracy: [0.5, 0.75] }, low: 0.3 },
    });
    expect(depthsOf(series, null, 10)).toMatchObject({ at: 0, first: null, low: 0.3 });
    const others = new Series("linear_probes", [0], ["a"], ["a"], statistics.slice(0, 1), values, written);
    expect(depthsOf(others, null, 0)).toBeNull();
  });

  test("the parts of the panel are listed above it", async () => {
    await panel();
    const parts = within(screen.getByLabelText("Parts of this panel")).getAllByRole("button");
    expect(parts.map((part) => part.textContent)).toEqual(["Linear probes", "Surrogates", "Attribution"]);
    expect(["linear-probes", "surrogates", "attributions"].every((id) => document.getElementById(id))).toBe(true);
  });
});
