// The structure view: what is in its boxes, what keys and clicks ask for, and where it looks.

import { act, cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { blocks, CASES, chain, graphOf, node } from "../gallery/structure.cases";
import type { ModelGraph } from "../src/graph";
import { type Paint, Structure, type StructureProps } from "../src/views/structure";

const PANE = { width: 700, height: 500 };
const graphNamed = (name: string) => CASES.get(name) as ModelGraph;

/** A pane of 700 by 500; happy-dom lays nothing out. There are no workers, so containers are plain columns. */
beforeEach(() => {
  const rectangle = { ...PANE, x: 0, y: 0, left: 0, top: 0, right: PANE.width, bottom: PANE.height, toJSON: () => "" };
  vi.spyOn(Element.prototype, "getBoundingClientRect").mockReturnValue(rectangle);
  vi.stubGlobal(
    "ResizeObserver",
    class {
      readonly #report: () => void;
      constructor(report: () => void) {
        this.#report = report;
      }
      observe() {
        this.#report();
      }
      disconnect() {}
    },
  );
  vi.stubGlobal("matchMedia", () => ({ matches: true })); // reduced motion: every move is at once
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const NOTHING = () => null;

async function show(graph: ModelGraph, props: Partial<StructureProps> = {}) {
  const asked = { onSelect: vi.fn(), onToggle: vi.fn(), onExpand: vi.fn() };
  const all = { graph, expanded: new Set<string>(), selected: null, query: "", paint: NOTHING, ...asked, ...props };
  const view = render(<Structure {...all} />);
  const settle = () => act(() => new Promise((done) => setTimeout(done)));
  await settle();
  const rerender = async (change: Partial<StructureProps>) => {
    view.rerender(<Structure {...Object.assign(all, change)} />);
    await settle();
  };
  return { ...asked, rerender };
}

const boxes = () => [...document.querySelectorAll<SVGGElement>("[data-node]")];
function box(id: string): SVGGElement {
  const found = boxes().find((each) => each.dataset.node === id);
  if (!found) throw new Error(`no box ${id}`);
  return found;
}
const classes = (id: string) => [...box(id).classList];
const everything = (graph: ModelGraph) => new Set(graph.nodes.keys());

describe("boxes", () => {
  test("each carries its id, its name and what is inside", async () => {
    const graph = graphNamed("cnn");
    await show(graph, { expanded: new Set(["stem"]) });
    const tops = [...graph.nodes.values()].filter(({ parent }) => parent === null || parent === "stem");
    expect(boxes().map(({ dataset }) => dataset.node)).toEqual(tops.map(({ id }) => id));
    expect(screen.getByLabelText("stage1, Sequential, 2 boxes inside")).toBe(box("stage1"));
    expect(box("stage1").getAttribute("aria-expanded")).toBe("false");
    expect(box("stem").getAttribute("aria-expanded")).toBe("true");
    expect(box("fc").hasAttribute("aria-expanded")).toBe(false);
    expect(box("fc").getAttribute("tabindex")).toBe("0");
    expect(box("fc").getAttribute("role")).toBe("button");
    const texts = [...box("fc").querySelectorAll("text")].map(({ textContent }) => textContent);
    expect(texts).toEqual(["fc", "Linear", "4×10", "330 params"]);
    expect(box("fc").querySelector("title")?.textContent).toContain("in [4, 32]\nout [4, 10]");
  });

  test("frozen modules have a lock and say so", async () => {
    await show(graphNamed("cnn"), { expanded: new Set(["stem"]) });
    const locked = boxes().filter((each) => each.querySelector(".glyph"));
    expect(locked.map(({ dataset }) => dataset.node)).toEqual(["stem", "stem.0", "stem.1"]);
    expect(box("stem.0").getAttribute("aria-label")).toBe("0, Conv2d, frozen");
  });

  test("paint fills the box and prints the number", async () => {
    const green: Paint = { fill: "#00aa00", ink: "#ffffff", value: "1.25", mark: "" };
    await show(graphNamed("cnn"), { paint: ({ id }) => (id === "fc" ? green : null) });
    expect(classes("fc")).toContain("painted");
    expect(box("fc").style.getPropertyValue("--fill")).toBe("#00aa00");
    expect(box("fc").style.getPropertyValue("--on-fill")).toBe("#ffffff");
    expect(box("fc").querySelector(".value text")?.textContent).toBe("1.25");
    expect(box("fc").getAttribute("aria-label")).toBe("fc, Linear, 1.25");
    expect(classes("pool")).not.toContain("painted");
  });

  test("not a number is hatched, warned of and named; a missing value is a dash", async () => {
    const mark = (id: string) => (id === "fc" ? "nan" : "none");
    await show(graphNamed("cnn"), { paint: ({ id }) => ({ fill: "", ink: "", value: "", mark: mark(id) }) });
    expect(box("fc").getAttribute("aria-label")).toBe("fc, Linear, not a number");
    expect(box("fc").querySelector(".warning")).not.toBeNull();
    expect(box("fc").querySelector(".value text")?.textContent).toBe("NaN");
    const hatch = /^url\(#(.+)\)$/.exec(box("fc").querySelector(".hatching")?.getAttribute("fill") ?? "")?.[1] ?? "";
    expect(document.getElementById(hatch)?.tagName).toBe("pattern");
    expect(box("pool").querySelector(".hatching")).toBeNull();
    expect(box("pool").querySelector(".value text")?.textContent).toBe("–");
    expect(box("fc").style.getPropertyValue("--fill")).toBe("");
  });

  test("hostile names are text and nothing else", async () => {
    const graph = graphNamed("hostile");
    const before = document.querySelectorAll("img, script, iframe").length;
    await show(graph, { expanded: everything(graph), selected: "layers.<img src=x onerror=alert(1)>" });
    expect(document.querySelectorAll("img, script, iframe").length).toBe(before);
    expect(boxes().map(({ dataset }) => dataset.node)).toEqual([...graph.nodes.keys()]);
    expect(box("layers.שכבה").querySelector("text")?.textContent).toBe("שכבה");
    const crumb = screen.getByRole("navigation").textContent;
    expect(crumb).toContain("<img src=x onerror=alert(1)>");
  });

  test("edges have paths; those at the selected node are lit", async () => {
    await show(graphNamed("cnn"), { selected: "fc" });
    const ways = (selector: string) =>
      (document.querySelector(selector)?.getAttribute("d") ?? "").split(/(?=M)/).filter(Boolean);
    expect(ways(".edge").length).toBe(7); // input, stem, two stages, pool, flatten, fc, output: in a row
    for (const way of ways(".edge")) expect(way).toMatch(/^M-?[\d.]+ -?[\d.]+(C(-?[\d.]+ ){5}-?[\d.]+)+$/);
    expect(ways(".head").length).toBe(7);
    expect(ways(".edge.lit").length).toBe(2);
    expect(ways(".edge").slice(-2)).toEqual(ways(".edge.lit"));
  });

  test("a graph without nodes says so", async () => {
    await show(graphNamed("none"));
    expect(boxes()).toEqual([]);
    expect(screen.getByRole("status").textContent).toContain("this graph has no nodes");
  });
});

describe("search", () => {
  test("lights what matches or holds a match, dims the rest, and counts", async () => {
    await show(graphNamed("cnn"), { expanded: new Set(["stem"]), query: "CONV" });
    const lit = boxes().filter((each) => each.classList.contains("hit"));
    expect(lit.map(({ dataset }) => dataset.node)).toEqual(["stem.0", "stage1", "stage2"]);
    expect(classes("fc")).toContain("dim");
    expect(document.querySelector(".edges")?.classList.contains("dim")).toBe(true);
    expect(screen.getByRole("status").textContent).toContain("13 matches · 12 inside closed modules");
  });

  test("without a match it says so; without a query nothing is dimmed", async () => {
    const { rerender } = await show(graphNamed("cnn"), { query: "zzz" });
    expect(screen.getByRole("status").textContent).toContain("no match");
    await rerender({ query: " " });
    expect(document.querySelectorAll(".dim").length).toBe(0);
  });
});

describe("selecting and opening", () => {
  test("Enter and click select, Space, double click and the chevron toggle, Escape and the ground clear", async () => {
    const { onSelect, onToggle } = await show(graphNamed("cnn"));
    fireEvent.keyDown(box("stem"), { key: "Enter" });
    fireEvent.click(box("fc"));
    expect(onSelect.mock.calls).toEqual([["stem"], ["fc"]]);
    expect(onToggle).not.toHaveBeenCalled();
    fireEvent.keyDown(box("stem"), { key: " " });
    fireEvent.dblClick(box("stage1"));
    fireEvent.click(box("stage2").querySelector("[data-toggle]") as Element);
    expect(onToggle.mock.calls).toEqual([["stem"], ["stage1"], ["stage2"]]);
    fireEvent.keyDown(box("fc"), { key: " " }); // a leaf has nothing to open
    expect(onToggle).toHaveBeenCalledTimes(3);
    expect(onSelect).toHaveBeenCalledTimes(2);
    fireEvent.keyDown(box("fc"), { key: "Escape" });
    fireEvent.click(document.querySelector(".canvas") as Element);
    expect(onSelect.mock.calls.slice(2)).toEqual([[null], [null]]);
  });

  test("the selected box is pressed; a closed container shows that it holds it", async () => {
    const { rerender } = await show(graphNamed("cnn"), { selected: "stem.1" });
    expect(classes("stem")).toContain("holds");
    await rerender({ expanded: new Set(["stem"]) });
    expect(classes("stem")).not.toContain("holds");
    expect(box("stem.1").getAttribute("aria-pressed")).toBe("true");
    const pressed = boxes().filter((each) => each.getAttribute("aria-pressed") === "true");
    expect(pressed.length).toBe(1);
  });

  test("the path down to the selected node selects each step", async () => {
    const { onSelect } = await show(graphNamed("cnn"), { selected: "stage1.0.conv1" });
    const steps = [...screen.getByRole("navigation").querySelectorAll("button")];
    expect(steps.map(({ textContent }) => textContent)).toEqual(["ResidualNet", "stage1", "0", "conv1"]);
    for (const step of steps) fireEvent.click(step);
    expect(onSelect.mock.calls).toEqual([[null], ["stage1"], ["stage1.0"], ["stage1.0.conv1"]]);
  });

  test("the focus stays on the box that opens and closes", async () => {
    const { rerender } = await show(graphNamed("cnn"));
    const stage = box("stage1");
    stage.focus();
    await rerender({ expanded: new Set(["stage1"]) });
    expect(box("stage1")).toBe(stage);
    expect(document.activeElement).toBe(stage);
    await rerender({ expanded: new Set() });
    expect(document.activeElement).toBe(stage);
  });
});

describe("where it looks", () => {
  /** A box's rectangle in the pane, from the transforms that are drawn. */
  const seen = (id: string) => {
    const numbers = (text: string | null | undefined) => (text?.match(/-?[\d.]+(e-?\d+)?/g) ?? []).map(Number);
    const [x = 0, y = 0, k = 1] = numbers(box(id).parentElement?.parentElement?.getAttribute("transform"));
    const [left = 0, top = 0] = numbers(box(id).getAttribute("transform"));
    const ring = box(id).querySelector(".ring");
    const [width, height] = [Number(ring?.getAttribute("width")) - 6, Number(ring?.getAttribute("height")) - 6];
    return { left: x + left * k, top: y + top * k, right: x + (left + width) * k, bottom: y + (top + height) * k };
  };
  const isWhole = (id: string) => {
    const { left, top, right, bottom } = seen(id);
    return left >= 0 && top >= 0 && right <= PANE.width && bottom <= PANE.height;
  };

  test("first at the beginning of the flow", async () => {
    await show(chain(40));
    expect(isWhole("cell")).toBe(true);
    expect(isWhole("cell#30")).toBe(false);
  });

  test("first at the node that is selected already", async () => {
    await show(chain(40), { selected: "cell#30" });
    expect(isWhole("cell#30")).toBe(true);
  });

  test("at the selected node of the next model too", async () => {
    const { rerender } = await show(chain(40), { selected: "cell#30" });
    await rerender({ graph: chain(35), selected: "cell#25" });
    expect(isWhole("cell#25")).toBe(true);
  });

  test("at a new selection, unless it shows already", async () => {
    const { rerender } = await show(chain(40));
    const before = seen("cell");
    await rerender({ selected: "cell#1" });
    expect(seen("cell")).toEqual(before);
    await rerender({ selected: "cell#30" });
    expect(isWhole("cell#30")).toBe(true);
  });

  test("at a node that is selected and uncovered at once", async () => {
    const graph = blocks(30);
    const { rerender } = await show(graph);
    await rerender({ selected: "body.27.act", expanded: new Set(["body", "body.27"]) });
    expect(isWhole("body.27.act")).toBe(true);
  });

  test("at the box that the Tab key reaches, not at one that is clicked", async () => {
    await show(chain(40));
    const before = seen("cell");
    const focus = (id: string) => act(() => void box(id).dispatchEvent(new FocusEvent("focusin", { bubbles: true })));
    const visible = vi.spyOn(Element.prototype, "matches").mockReturnValue(false);
    focus("cell#20");
    expect(seen("cell")).toEqual(before);
    visible.mockReturnValue(true);
    focus("cell#20");
    visible.mockRestore();
    expect(isWhole("cell#20")).toBe(true);
  });

  test("what opens stays where it was", async () => {
    const graph = graphOf("Two", [node("a"), node("b"), node("b.in", { parent: "b" })], [["a", "b.in"]]);
    const { rerender } = await show(graph);
    const before = seen("b");
    await rerender({ expanded: new Set(["b"]) });
    const after = seen("b");
    expect(after.top).toBeCloseTo(before.top, 6);
    expect((after.left + after.right) / 2).toBeCloseTo((before.left + before.right) / 2, 6);
  });
});
