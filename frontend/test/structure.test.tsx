// The structure view: what is in its boxes, what keys and clicks ask for, and where it looks.

import { act, cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { blocks, CASES, chain, folded, graphOf, node, unrolled } from "../gallery/structure.cases";
import type { ModelGraph } from "../src/graph";
import { everythingOpen } from "../src/layout/expansion";
import type { Picture } from "../src/layout/picture";
import { type Paint, Structure, type StructureProps } from "../src/views/structure";
import { regionFor } from "../src/views/structure_region";
import { cellsOf } from "../src/views/structure_strip";

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
const everything = (graph: ModelGraph) => everythingOpen(graph, true);

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
    expect(boxes().map((one) => one.getAttribute("tabindex"))).toEqual([
      "0",
      ...boxes()
        .slice(1)
        .map(() => "-1"),
    ]);
    expect(box("fc").getAttribute("role")).toBe("button");
    const texts = [...box("fc").querySelectorAll("text")].map(({ textContent }) => textContent);
    expect(texts).toEqual(["fc", "Linear", "4×10", "330"]);
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
    const nodes = boxes().filter(({ dataset }) => graph.nodes.has(dataset.node ?? ""));
    expect(nodes.map(({ dataset }) => dataset.node)).toEqual([...graph.nodes.keys()]);
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
    expect(ways(".edge.lit:not(.aside)").length).toBe(2);
    expect(ways(".edge").slice(-2)).toEqual(ways(".edge.lit:not(.aside)"));
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

describe("folds", () => {
  const FOLD = "body.*";
  const many = folded(12);
  const green: Paint = { fill: "#00aa00", ink: "#ffffff", value: "1.25", mark: "", at: 0.5 };
  const click = (id: string, selector: string) => fireEvent.click(box(id).querySelector(selector) as Element);
  const cell = (i: number) => box(FOLD).querySelector<SVGRectElement>(`[data-repetition="${i}"]`);

  test("one box for all, the two kinds told apart by shape and in words", async () => {
    await show(many, { expanded: new Set(["body"]) });
    expect(boxes().map(({ dataset }) => dataset.node)).toEqual(["x", "mask", "body", FOLD, "head"]);
    expect(box(FOLD).getAttribute("aria-label")).toBe("0…11 (12), Block, 12 repetitions, distinct weights");
    expect(box(FOLD).querySelectorAll(".sheet").length).toBe(2);
    cleanup();
    await show(unrolled(30));
    expect(box("cell…").getAttribute("aria-label")).toContain("30 repetitions, same weights");
    expect(box("cell…").querySelectorAll(".sheet").length).toBe(0);
  });

  test("a cell for each, in its paint; one bad block stays visible, also from what is inside it", async () => {
    const paint = ({ id }: { id: string }): Paint | null => {
      if (id === "body.7.linear") return { fill: "", ink: "", value: "NaN", mark: "nan" };
      return id.endsWith(".linear") ? green : null;
    };
    await show(many, { expanded: new Set(["body"]), paint });
    expect(cell(3)?.getAttribute("fill")).toBe("#00aa00");
    expect(cell(7)?.classList.contains("nan")).toBe(true);
    expect(box(FOLD).querySelectorAll(".cell").length).toBe(12);
  });

  test("a cell opens its repetition; the steps, the keys and unfolding ask for more", async () => {
    const { onExpand, onSelect, rerender } = await show(many, { expanded: new Set(["body"]) });
    fireEvent.click(cell(4) as Element);
    expect(onExpand.mock.lastCall).toEqual([new Set(["body", `${FOLD}@4`])]);
    await rerender({ expanded: new Set(["body", `${FOLD}@4`]), selected: "body.4" });
    expect(boxes().map(({ dataset }) => dataset.node)).toContain("body.4");
    expect(box(FOLD).querySelector(".here")).not.toBeNull();
    click(FOLD, '[data-press="next"]');
    expect(onExpand.mock.lastCall).toEqual([new Set(["body", `${FOLD}@5`])]);
    expect(onSelect.mock.lastCall).toEqual(["body.5"]);
    fireEvent.keyDown(box(FOLD), { key: "PageUp" });
    expect(onExpand.mock.lastCall).toEqual([new Set(["body", `${FOLD}@3`])]);
    click(FOLD, '[data-press="unfold"]');
    expect(onExpand.mock.lastCall).toEqual([new Set(["body", `${FOLD}@*`])]);
    await rerender({ expanded: new Set(["body", `${FOLD}@*`]), selected: null });
    click(FOLD, '[data-press="fold"]');
    expect(onExpand.mock.lastCall).toEqual([new Set(["body", FOLD])]);
  });

  test("what feeds every block is a tag at each, and lines while it is selected", async () => {
    const expanded = new Set(["body", `${FOLD}@*`]);
    const { rerender } = await show(many, { expanded });
    const tags = [...document.querySelectorAll("[data-tag]")].map((tag) => tag.textContent);
    expect(tags).toEqual(Array(12).fill("also takes maskmask")); // title and text
    const lines = () => document.querySelector(".edge.aside")?.getAttribute("d")?.match(/M/g)?.length ?? 0;
    expect(lines()).toBe(0);
    await rerender({ selected: "mask" });
    expect(lines()).toBe(12);
  });

  test("everything opens and closes at a press, with Shift every repetition too", async () => {
    const { onExpand } = await show(many);
    fireEvent.click(screen.getByLabelText("Expand all"));
    expect(onExpand.mock.lastCall).toEqual([everythingOpen(many)]);
    fireEvent.click(screen.getByLabelText("Expand all"), { shiftKey: true });
    expect(onExpand.mock.lastCall).toEqual([everythingOpen(many, true)]);
    fireEvent.click(screen.getByLabelText("Collapse all"));
    expect(onExpand.mock.lastCall).toEqual([new Set()]);
  });

  test("more repetitions than pixels share cells, and what stands out shows", () => {
    const paints = Array.from({ length: 1000 }, (_, i): Paint => ({ ...green, at: i === 777 ? 1 : 0.5 }));
    const cells = cellsOf(paints, 100);
    expect(cells.length).toBe(100);
    expect(cells.map(({ paint }) => paint?.at).indexOf(1)).toBe(77);
  });
});

describe("large pictures", () => {
  const pane = { width: 1000, height: 600 };
  const picture = (count: number) => ({ boxes: Array(count).fill({}), edges: [] }) as unknown as Picture;

  test("near, what is in view is drawn finely; far away, all coarsely; the region holds while the view is in it", () => {
    const near = regionFor(picture(4000), { x: 0, y: 0, k: 1 }, pane, null);
    expect(near).toEqual({ x: -500, y: -300, width: 2000, height: 1200, fine: true, k: 1 });
    expect(regionFor(picture(4000), { x: -400, y: 0, k: 1 }, pane, near)).toBe(near);
    expect(regionFor(picture(4000), { x: -600, y: 0, k: 1 }, pane, near).x).toBe(100);
    expect(regionFor(picture(4000), { x: 0, y: 0, k: 0.1 }, pane, near).fine).toBe(false);
    expect(regionFor(picture(100), { x: 0, y: 0, k: 0.1 }, pane, null).fine).toBe(true);
  });

  test("800 boxes from far away are a few elements, and a click finds the box under it", async () => {
    const graph = blocks(300);
    const { onSelect } = await show(graph, { expanded: everything(graph) });
    fireEvent.click(screen.getByLabelText("Show the whole model"));
    await act(() => new Promise((done) => setTimeout(done)));
    expect(document.querySelectorAll("[data-node]").length).toBe(0);
    expect(document.querySelectorAll(".canvas *").length).toBeLessThan(400);
    const { tagName } = document.querySelector(".far") ?? {};
    expect(tagName).toBe("path");
    fireEvent.click(document.querySelector(".canvas") as Element, {
      clientX: PANE.width / 2,
      clientY: PANE.height / 2,
    });
    expect(onSelect.mock.lastCall?.[0]).toMatch(/^body/);
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
    await show(chain(80));
    expect(isWhole("cell")).toBe(true);
    expect(isWhole("cell#70")).toBe(false);
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
