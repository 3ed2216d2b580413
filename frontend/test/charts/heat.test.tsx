import { fireEvent, render, screen } from "@testing-library/preact";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Cell } from "../../src/charts/cells";
import { anchor, Heat, type HeatProps, spoken } from "../../src/charts/heat";
import { labelEvery, rowHeight } from "../../src/charts/heat_rows";
import { ColourScale } from "../../src/colour";
import { endText, textWidth } from "../../src/views/structure_text";
import { type Drawn, recordCanvases } from "../canvas";

const scale = new ColourScale("linear", 0, 1);
const STEPS = [0, 50, 100];
const cell = (step: number, row: number): Cell =>
  row === 1 && step === 1 ? { value: Number.NaN, mark: "nan" } : { value: (step + row) / 4, mark: "" };

let drawn: Drawn;
const onSelect = vi.fn<HeatProps["onSelect"]>();

beforeEach(() => {
  drawn = recordCanvases();
  onSelect.mockReset();
  Element.prototype.scrollIntoView = () => undefined;
});

function heat(changes: Partial<HeatProps> = {}): Element {
  const props: HeatProps = {
    rows: ["conv1", "conv2", "fc"],
    steps: STEPS,
    span: [0, 100],
    cell,
    scale,
    measure: "gradients · norm",
    step: 50,
    selected: null,
    width: 260,
    height: 108,
    onSelect,
    ...changes,
  };
  return render(<Heat {...props} />).container;
}

describe("the picture", () => {
  test("has a cell per layer and step in the colour of its value; NaN is hatched", () => {
    heat();
    expect(drawn.rects).toHaveLength(9);
    const ys = [...new Set(drawn.rects.map(({ y }) => y))];
    expect(ys).toEqual([0, 30, 60]);
    expect(drawn.rects.map(({ fill }) => fill)).toEqual([
      ...[0, 0.25, 0.5].map((value) => scale.css(value)),
      ...[scale.css(0.25), "texture", scale.css(0.75)],
      ...[0.5, 0.75, 1].map((value) => scale.css(value)),
    ]);
  });

  test("of one layer at one step is one cell", () => {
    heat({ rows: ["fc"], steps: [0], span: [0, 0], step: 0 });
    expect(drawn.rects).toHaveLength(1);
    expect(drawn.rects[0]).toMatchObject({ x: 0, y: 0, height: 30 });
  });

  test("of many layers keeps four pixels a row, labels only what fits, and names every row all the same", () => {
    const rows = Array.from({ length: 120 }, (_, i) => `encoder.layer.${i}.attention.output`);
    const container = heat({ rows, selected: rows[1] as string });
    expect(container.querySelector("canvas")?.height).toBe(120 * 4);
    expect(drawn.rects.slice(0, 4).map(({ y, height }) => [y, height])).toEqual([
      ...[
        [0, 4],
        [0, 4],
        [0, 4],
        [4, 4],
      ],
    ]);
    const labels = [...container.querySelectorAll("[role=option]")];
    expect(labels.map((label) => label.getAttribute("title"))).toEqual(rows);
    const written = labels.flatMap((label, index) => (label.textContent ? [index] : []));
    expect(written.slice(0, 4)).toEqual([0, 1, 3, 6]); // every third, and the selected one
  });

  test("names every row, and says the selected one's cell at the current step in words", () => {
    const container = heat({ selected: "conv2" });
    const options = [...container.querySelectorAll("[role=option]")];
    expect(options.map((row) => row.getAttribute("aria-label"))).toEqual(["conv1", "conv2", "fc"]);
    const value = container.querySelector(".heat-value")?.id;
    expect(options.map((row) => row.getAttribute("aria-describedby"))).toEqual([null, value, null]);
    expect(container.querySelector(".heat-value")?.textContent).toBe("NaN (not finite)");
    const list = container.querySelector("[role=listbox]");
    expect(list?.getAttribute("aria-activedescendant")).toBe(container.querySelector('[data-row="1"]')?.id);
    expect(container.querySelector('[data-row="1"]')?.getAttribute("aria-selected")).toBe("true");
  });

  test("of five thousand layers is no higher than a canvas can be, and a row can still be clicked", () => {
    const rows = Array.from({ length: 5000 }, (_, i) => `layers.${i}`);
    const container = heat({ rows, steps: [0], span: [0, 0], step: 0 });
    expect(container.querySelector("canvas")?.height).toBe(16_000);
    expect(drawn.rects.slice(0, 3).map(({ y, height }) => [y, height])).toEqual([
      [0, 3],
      [3, 3],
      [6, 4],
    ]);
    const plot = container.querySelector(".heat-plot") as Element;
    fireEvent.click(plot, { clientX: 10, clientY: 4999 * 3.2 + 1.6, bubbles: true });
    expect(onSelect.mock.calls).toEqual([["layers.4999", 0]]);
  });

  test("has columns of its own for rows that were recorded at other steps", () => {
    const recorded = (row: number) => (row === 2 ? [0, 2] : [0, 1, 2]);
    const only = (step: number, row: number): Cell => ({ value: row === 2 ? step / 2 : 0.5, mark: "" });
    heat({ recorded, cell: only });
    const last = drawn.rects.filter(({ y }) => y === 60).map(({ fill, width }) => [fill, width]);
    const whole = drawn.rects.filter(({ y }) => y === 0).map(({ width }) => width);
    expect(last.map(([fill]) => fill)).toEqual([scale.css(0), scale.css(1)]); // and no gap for the step between
    expect(last.reduce((sum, [, width]) => sum + Number(width), 0)).toBe(whole.reduce((sum, width) => sum + width, 0));
  });

  test("has a glyph at the row and step of a finding, and says it in the row's name", () => {
    const flag = { severity: "error", own: true, reached: true, words: "NaN at step 50" } as const;
    const places = [{ row: "conv2", step: 50, flag }];
    const container = heat({ flags: new Map([["conv2", flag]]), places });
    expect(container.querySelector('[data-row="1"]')?.getAttribute("aria-label")).toBe("conv2, NaN at step 50");
    expect(container.querySelector('[data-row="0"]')?.getAttribute("aria-label")).toBe("conv1");
    expect(container.querySelectorAll(".heat-label .flag.error")).toHaveLength(1);
    const [middle] = drawn.rects.filter(({ fill }) => fill === "texture") as [Drawn["rects"][0]];
    const at = container.querySelector(".heat-cross .flag.error")?.getAttribute("transform");
    expect(at).toBe(`translate(${middle.x + middle.width / 2 - 5} ${45 - 5}) scale(1)`);
  });

  test("on a logarithmic axis gives early steps more room", () => {
    const steps = [1, 10, 100];
    heat({ steps, span: [1, 100], spacing: "log" });
    const widths = drawn.rects.filter(({ y }) => y === 0).map(({ width }) => width);
    expect(widths[1]).toBeGreaterThan(3 * 10); // on an even axis, 10 of 100 would be near the left end
  });

  test("does not make its rows anew where only the step changes", () => {
    const rows = ["conv1", "conv2", "fc"];
    const props = { rows, steps: STEPS, span: [0, 100] as const, cell, scale, measure: "", selected: "fc", onSelect };
    const { container, rerender } = render(<Heat {...props} width={260} height={108} step={50} />);
    const changed = vi.fn();
    const options = [...container.querySelectorAll("[role=option]")];
    const observer = new MutationObserver(changed);
    observer.observe(container.querySelector(".heat-labels") as Element, { subtree: true, attributes: true });
    rerender(<Heat {...props} width={260} height={108} step={100} />);
    expect(container.querySelector(".heat-value")?.textContent).toBe("1");
    expect([...container.querySelectorAll("[role=option]")]).toEqual(options);
    expect(observer.takeRecords()).toEqual([]);
    observer.disconnect();
  });

  test("marks the rows that a search found", () => {
    const found = heat({ hits: new Set(["conv2", "gone"]) }).querySelectorAll(".heat-label.hit");
    expect([...found].map((row) => row.getAttribute("aria-label"))).toEqual(["conv2"]);
    expect(heat().querySelector(".heat-label.hit")).toBeNull();
  });

  test("takes hostile names as text", () => {
    const rows = ["<img src=x onerror=alert(1)>", "__proto__", "a&b"];
    const container = heat({ rows });
    expect(container.querySelector("img")).toBeNull();
    expect([...container.querySelectorAll("[role=option]")].map((row) => row.getAttribute("title"))).toEqual(rows);
  });
});

describe("choosing", () => {
  const key = (name: string) => fireEvent.keyDown(screen.getByRole("listbox"), { key: name });

  test.each<[string, string, number, [string, number]]>([
    ["ArrowDown", "conv1", 50, ["conv2", 50]],
    ["ArrowUp", "conv2", 50, ["conv1", 50]],
    ["ArrowUp", "conv1", 50, ["conv1", 50]],
    ["ArrowDown", "fc", 50, ["fc", 50]],
    ["ArrowRight", "fc", 50, ["fc", 100]],
    ["ArrowLeft", "fc", 0, ["fc", 0]],
    ["ArrowRight", "fc", 60, ["fc", 100]], // from the saved step that is shown
  ])("%s at %s, step %i", (name, selected, step, chosen) => {
    heat({ selected, step });
    key(name);
    expect(onSelect.mock.calls).toEqual([chosen]);
  });

  test("the first arrow down of nothing selected is the first layer; other keys do nothing", () => {
    heat();
    for (const other of ["a", "Tab", "Enter"]) key(other);
    expect(onSelect).not.toHaveBeenCalled();
    key("ArrowDown");
    expect(onSelect.mock.calls).toEqual([["conv1", 50]]);
  });

  test("a click on a label selects the layer at the step that is shown", () => {
    const container = heat({ step: 90 });
    fireEvent.click(container.querySelector('[data-row="2"]') as Element);
    expect(onSelect.mock.calls).toEqual([["fc", 100]]);
  });

  test("a click on a cell selects its layer and step; the pointer over it says it", () => {
    const container = heat();
    const plot = container.querySelector(".heat-plot") as Element;
    const [a, b] = [drawn.rects[4], drawn.rects[6]] as [Drawn["rects"][0], Drawn["rects"][0]];
    fireEvent.click(plot, { clientX: a.x + a.width / 2, clientY: a.y + 3, bubbles: true });
    fireEvent.click(plot, { clientX: b.x + 1, clientY: b.y + 3, bubbles: true });
    expect(onSelect.mock.calls).toEqual([
      ["conv2", 50],
      ["fc", 0],
    ]);
    fireEvent.pointerMove(plot, { clientX: a.x + a.width / 2, clientY: a.y + 3, bubbles: true });
    expect(screen.getByRole("status").textContent).toBe("conv2step 50 · NaN (not finite)");
  });
});

test("rows fill the height between legible and generous", () => {
  expect([rowHeight(10, 200), rowHeight(3, 200), rowHeight(1000, 200), rowHeight(0, 200)]).toEqual([20, 30, 4, 30]);
  expect([rowHeight(4000, 200, 1), rowHeight(10_000, 200, 1), rowHeight(10_000, 200, 2)]).toEqual([4, 1.6, 0.8]);
  expect([labelEvery(30), labelEvery(12), labelEvery(6), labelEvery(4)]).toEqual([1, 1, 2, 3]);
});

test("names keep their end, ticks stay inside, cells are spoken", () => {
  const letter = textWidth("0", "row");
  expect(endText("fc", "row", 10 * letter)).toBe("fc");
  expect(endText("0123456789", "row", 10 * letter)).toBe("0123456789");
  expect(endText("encoder.layer.11", "row", 10 * letter)).toMatch(/^….*layer\.11$/);
  expect(textWidth(endText("encoder.layer.11", "row", 10 * letter), "row")).toBeLessThanOrEqual(10 * letter);
  expect(endText("encoder", "row", 0)).toBe("…r");
  expect([anchor(3, 200), anchor(100, 200), anchor(197, 200)]).toEqual(["start", "middle", "end"]);
  expect(spoken({ value: 0.12345, mark: "" })).toBe("0.123");
  expect(spoken({ value: 1 / 0, mark: "nan" })).toBe("∞ (not finite)");
  expect(spoken({ value: Number.NaN, mark: "none" })).toBe("not measured");
});
