// @vitest-environment node
// The call tree: what stands in what, what is on view, and what is open at first.

import { describe, expect, test } from "vitest";
import { blocks, CASES, chain, graphOf, node } from "../gallery/structure.cases";
import type { ModelGraph } from "../src/graph";
import { hierarchyOf, isOpen, nameOf, pathTo, shownChildren, visibleBox } from "../src/layout/hierarchy";
import { openingExpansion } from "../src/layout/opening";

const graphNamed = (name: string) => CASES.get(name) as ModelGraph;

/** Leaves, closed containers and closed folds on view; an open one is a frame around its boxes. */
function boxesOnView(graph: ModelGraph, expanded: ReadonlySet<string>): number {
  const hierarchy = hierarchyOf(graph);
  const count = (container: string | null): number =>
    shownChildren(hierarchy, expanded, container)
      .map((id) => (isOpen(hierarchy, expanded, id) ? count(id) : 1))
      .reduce((sum, boxes) => sum + boxes, 0);
  return count(null);
}

/** `sizes[0]` containers at the top, `sizes[1]` in each of them, and so on. */
function tree(...sizes: number[]): ModelGraph {
  const grow = (parent: string | null, depth: number): ReturnType<typeof node>[] =>
    Array.from({ length: sizes[depth] ?? 0 }).flatMap((_, i) => {
      const id = parent === null ? `m${i}` : `${parent}.m${i}`;
      return [node(id, { parent }), ...grow(id, depth + 1)];
    });
  return graphOf("Tree", grow(null, 0), []);
}

describe("opening", () => {
  test.each(["cnn", "transformer", "wide"])("%s opens with 15 to 40 boxes", (name) => {
    const count = boxesOnView(graphNamed(name), openingExpansion(graphNamed(name)));
    expect(count).toBeGreaterThanOrEqual(15);
    expect(count).toBeLessThanOrEqual(40);
  });

  test.each<[number[], number]>([
    [[3, 6], 18], // the whole level: 3 times 6
    [[3, 4, 5], 16], // the second level whole, 12; of the third, 60 in all, one container
    [[1, 1, 1, 1, 20], 20], // through containers of one
    [[20, 20], 20], // enough at once: nothing opens
    [[4, 30], 33], // all would be 120: one container opens, a second would be 62
    [[1, 100, 2], 100], // larger than 40, but one closed box tells nothing
    [[1, 500], 1], // too large even for that
    [[2, 3], 6], // all there is
  ])("of containers %j, %d boxes show", (sizes, count) => {
    const graph = tree(...sizes);
    expect(boxesOnView(graph, openingExpansion(graph))).toBe(count);
  });

  test("only what has something inside opens, and only within what is open", () => {
    for (const graph of CASES.values()) {
      const { children, parent } = hierarchyOf(graph);
      for (const word of openingExpansion(graph)) {
        const id = word.replace(/@\*$/, "");
        expect(children.get(id)?.length).toBeGreaterThan(0);
        const container = parent.get(id) ?? null;
        expect(container === null || isOpen(hierarchyOf(graph), openingExpansion(graph), container)).toBe(true);
      }
    }
  });

  test("none and one node open nothing", () => {
    expect(openingExpansion(graphNamed("none"))).toEqual(new Set());
    expect(openingExpansion(graphNamed("single"))).toEqual(new Set());
  });
});

describe("the tree", () => {
  test("children stand in order of execution", () => {
    const { children } = hierarchyOf(graphNamed("cnn"));
    expect(children.get("stem")).toEqual(["stem.0", "stem.1", "stem.2"]);
    expect(children.get(null)?.slice(0, 3)).toEqual(["input/image", "stem", "stage1"]);
  });

  test("ids that are numbers stand in order of execution too, children after their parents", () => {
    const nodes = [
      ...[node("wide"), node("2"), node("2.1", { parent: "2" }), node("2.0", { parent: "2" })],
      ...[node("0", { parent: "wide" }), node("1", { parent: "0" })],
    ];
    const graph = graphOf("Numbered", nodes, []);
    const { children, parent } = hierarchyOf(graph);
    expect(children.get(null)).toEqual(["wide", "2"]);
    expect(children.get("2")).toEqual(["2.1", "2.0"]);
    expect(pathTo(hierarchyOf(graph), "1")).toEqual(["wide", "0", "1"]);
    expect([...parent.keys()]).toEqual(nodes.map(({ id }) => id));
    expect([...openingExpansion(graph)]).toEqual(["wide", "2", "0"]);
  });

  test("a parent that is missing, later or the node itself counts as the top", () => {
    const nodes = [
      node("lost", { parent: "nowhere" }),
      node("early", { parent: "late" }),
      node("late", { parent: "early" }),
      node("self", { parent: "self" }),
    ];
    const { children } = hierarchyOf(graphOf("Twisted", nodes, []));
    expect(children.get(null)).toEqual(["lost", "early", "self"]);
    expect(children.get("early")).toEqual(["late"]);
  });

  test("a node is shown by its outermost closed container", () => {
    const hierarchy = hierarchyOf(blocks(2));
    const shown = (...open: string[]) => visibleBox(hierarchy, new Set(open), "body.1.act");
    expect(shown()).toBe("body");
    expect(shown("body.1")).toBe("body");
    expect(shown("body")).toBe("body.1");
    expect(shown("body", "body.1")).toBe("body.1.act");
    expect(shown("body", "body.1", "body.1.act")).toBe("body.1.act"); // a leaf cannot open
    expect(visibleBox(hierarchy, new Set(), "nowhere")).toBeNull();
  });

  test("names are relative to the enclosing module and tell calls apart", () => {
    const cnn = graphNamed("cnn");
    const name = (graph: ModelGraph, id: string) => nameOf(graph, graph.nodes.get(id) ?? node(""));
    expect(name(cnn, "stage1.0.conv1")).toBe("conv1");
    expect(name(cnn, "stage1.0.relu#1")).toBe("relu#1");
    expect(name(cnn, "input/image")).toBe("image");
    expect(name(cnn, "output/0")).toBe("output 0");
    expect(name(chain(3), "cell#2")).toBe("cell#2");
  });
});
