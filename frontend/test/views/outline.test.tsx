import { act, fireEvent, render, screen } from "@testing-library/preact";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { blocks, graphOf, node } from "../../gallery/structure.cases";
import type { ModelGraph } from "../../src/graph";
import { Outline, type OutlineProps } from "../../src/views/outline";
import { ROW } from "../../src/views/outline_row";
import type { Paint } from "../../src/views/structure_boxes";
import type { Fold } from "../../src/wire";
import { layOut } from "../canvas";

const HEIGHT = 10 * ROW;
const onSelect = vi.fn();

beforeEach(() => {
  layOut(300, HEIGHT);
  onSelect.mockReset();
});

function outline(graph: ModelGraph, changes: Partial<OutlineProps> = {}) {
  const props: OutlineProps = {
    ...{ graph, expanded: new Set<string>(), selected: null, query: "", paint: () => null, onSelect },
    ...changes,
  };
  const view = render(<Outline {...props} />);
  return { rerender: (more: Partial<OutlineProps>) => view.rerender(<Outline {...Object.assign(props, more)} />) };
}

const tree = () => screen.getByRole("tree");
const rows = () => screen.getAllByRole("treeitem");
const ids = () => rows().map((row) => row.dataset.outline);
const active = () => document.getElementById(tree().getAttribute("aria-activedescendant") ?? "")?.dataset.outline;
const press = (...keys: string[]) => {
  for (const key of keys) fireEvent.keyDown(tree(), { key });
};
const row = (id: string) => rows().find(({ dataset }) => dataset.outline === id) as HTMLElement;

const folded = (count: number, rest: Partial<Fold> = {}): ModelGraph => {
  const members = Array.from({ length: count }, (_, i) => [`body.${i}`]);
  const label = `0…${count - 1} (${count})`;
  return {
    ...blocks(count),
    folds: [{ id: "fold", parent: "body", members, label, shared: false, uniform: true, ...rest }],
  };
};

describe("rows", () => {
  test("say name, class, parameters and place", () => {
    outline(blocks(3), { expanded: new Set(["body"]) });
    expect(rows().map(({ textContent }) => textContent)).toEqual([
      "bodySequential4.16k",
      "0Block4.16k",
      "1Block4.16k",
      "2Block4.16k",
    ]);
    const second = row("body.1");
    const told = ["aria-level", "aria-posinset", "aria-setsize", "aria-expanded"].map((it) => second.getAttribute(it));
    expect(told).toEqual(["2", "2", "3", "false"]);
    expect(row("body").getAttribute("aria-expanded")).toBe("true");
  });

  test("of a fold: one that opens to its members, its parameters counted once where they are the same", () => {
    outline(folded(5), { expanded: new Set(["body"]) });
    expect(row("fold").textContent).toBe("0…4 (5)Block20.8k");
    fireEvent.click(row("fold").querySelector(".outline-chevron") as Element);
    expect(ids()).toEqual(["body", "fold", "body.0", "body.1", "body.2", "body.3", "body.4"]);
    expect(onSelect).not.toHaveBeenCalled();
  });

  test("of a fold with the same weights count one repetition", () => {
    outline(folded(5, { shared: true }), { expanded: new Set(["body"]) });
    expect(row("fold").textContent).toBe("0…4 (5)Block4.16k");
  });

  test("show the measure; a fold shows it for each repetition, and one that is not a number stays visible", () => {
    const paint = ({ id }: { id: string }): Paint =>
      id === "body.77"
        ? { fill: "", ink: "", value: "NaN", mark: "nan" }
        : { fill: "#123456", ink: "#ffffff", value: "0.5", mark: "" };
    outline(folded(200), { expanded: new Set(["body"]), paint });
    const value = row("body").querySelector<HTMLElement>(".outline-value");
    expect(value?.textContent).toBe("0.5");
    expect(value?.style.background).toContain("#123456");
    const cells = [...row("fold").querySelectorAll(".outline-cell")];
    expect(cells).toHaveLength(40); // 200 repetitions, five to a cell
    expect(cells.flatMap((cell, i) => (cell.classList.contains("nan") ? [i] : []))).toEqual([15]);
  });

  test("take hostile names as text", () => {
    const evil = "<img src=x onerror=alert(1)>";
    outline(graphOf("Net", [node(evil, { class_name: evil })], []));
    expect(row(evil).textContent).toBe(`${evil}${evil}4.16k`);
    expect(document.querySelector("img")).toBeNull();
  });

  test("only those on view are in the document, also of five thousand", () => {
    const graph = graphOf(
      "Long",
      Array.from({ length: 5000 }, (_, i) => node(`n${i}`)),
      [],
    );
    outline(graph);
    expect(rows().length).toBeLessThan(30);
    const scroller = tree();
    scroller.scrollTop = 3000 * ROW;
    fireEvent.scroll(scroller);
    expect(ids()).toContain("n3000");
    expect(ids()).toContain("n3010");
    expect(ids()).not.toContain("n0");
    expect(rows().length).toBeLessThan(30);
  });
});

describe("the selected node", () => {
  test("is opened to, marked and scrolled to, whoever selects it", () => {
    const { rerender } = outline(folded(30));
    expect(ids()).toEqual(["body"]);
    act(() => rerender({ selected: "body.20.norm" }));
    expect(tree().scrollTop).toBe(24 * ROW - HEIGHT); // body, fold, 21 blocks, then the norm: the last row on view
    fireEvent.scroll(tree());
    expect(row("body.20.norm").getAttribute("aria-selected")).toBe("true");
    expect(active()).toBe("body.20.norm");
  });

  test("stays closed to if somebody closes what is around it", () => {
    outline(blocks(3), { selected: "body.1.norm" });
    expect(ids()).toContain("body.1.norm");
    press("ArrowLeft", "ArrowLeft");
    expect(ids()).not.toContain("body.1.norm");
    expect(active()).toBe("body.1");
  });

  test("is chosen by click and by Enter", () => {
    outline(blocks(3), { expanded: new Set(["body"]) });
    fireEvent.click(row("body.2"));
    expect(onSelect).toHaveBeenLastCalledWith("body.2");
    press("ArrowUp", "Enter");
    expect(onSelect).toHaveBeenLastCalledWith("body.1");
  });
});

describe("keys", () => {
  test("arrows walk, open and close; Home and End go to the ends", () => {
    outline(blocks(3));
    press("Home");
    expect(active()).toBe("body");
    press("ArrowRight");
    expect(ids()).toHaveLength(4);
    press("ArrowRight");
    expect(active()).toBe("body.0");
    press("ArrowDown", "ArrowDown", "ArrowDown");
    expect(active()).toBe("body.2");
    press("ArrowLeft");
    expect(active()).toBe("body");
    press("End");
    expect(active()).toBe("body.2");
    press("Home", "ArrowLeft");
    expect(ids()).toEqual(["body"]);
  });

  test("letters go to the next name that begins with them", () => {
    outline(blocks(2), { expanded: new Set(["body", "body.0", "body.1"]) });
    press("n");
    expect(active()).toBe("body.0.norm");
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 2000);
    press("l", "i");
    expect(active()).toBe("body.0.linear");
  });

  test("what belongs to others is left to them", () => {
    outline(blocks(2));
    const heard = vi.fn();
    window.addEventListener("keydown", heard);
    press("/", "?", "Escape");
    expect(heard).toHaveBeenCalledTimes(3);
    press("u", "ArrowDown");
    expect(heard).toHaveBeenCalledTimes(3);
    window.removeEventListener("keydown", heard);
  });
});

test("hits of a search are marked, and what holds them", () => {
  outline(blocks(3), { expanded: new Set(["body"]), query: "/1\\.act/" });
  const marks = rows().map(({ classList }) =>
    classList.contains("hit") ? "hit" : classList.contains("holds") ? "holds" : "",
  );
  expect(marks).toEqual(["holds", "", "holds", ""]);
});
