import { describe, expect, test } from "vitest";
import { blocks, graphOf, node } from "../gallery/structure.cases";
import { contentOf, type Direction, reach } from "../src/flow";
import type { ModelGraph } from "../src/graph";
import type { Fold } from "../src/wire";

/** a -> b -> d, a -> c -> e, x -> e; b and c in a container. */
const DIAMOND = graphOf(
  "Diamond",
  [node("a"), node("box"), node("b", { parent: "box" }), node("c", { parent: "box" }), node("d"), node("x"), node("e")],
  [
    ["a", "b"],
    ["a", "c"],
    ["b", "d"],
    ["c", "e"],
    ["x", "e"],
  ],
);
const found = (graph: ModelGraph, id: string, direction: Direction) => {
  const { nodes, edges } = reach(graph, id, direction);
  return { nodes: [...nodes].sort(), edges: [...edges].sort() };
};

describe("reach", () => {
  test("upstream of a node: what made it, and nothing beside", () => {
    expect(found(DIAMOND, "d", "up")).toEqual({ nodes: ["a", "b", "box", "d"], edges: [0, 2] });
    expect(found(DIAMOND, "e", "up")).toEqual({ nodes: ["a", "box", "c", "e", "x"], edges: [1, 3, 4] });
  });

  test("downstream of a node", () => {
    expect(found(DIAMOND, "a", "down")).toEqual({ nodes: ["a", "b", "box", "c", "d", "e"], edges: [0, 1, 2, 3] });
    expect(found(DIAMOND, "x", "down")).toEqual({ nodes: ["e", "x"], edges: [4] });
  });

  test("both ways are those two together: not what is downstream of something upstream", () => {
    expect(found(DIAMOND, "b", "both")).toEqual({ nodes: ["a", "b", "box", "d"], edges: [0, 2] });
  });

  test("a container counts as its content", () => {
    expect(found(DIAMOND, "box", "up")).toEqual({ nodes: ["a", "b", "box", "c"], edges: [0, 1] });
    expect(found(DIAMOND, "box", "down")).toEqual({ nodes: ["b", "box", "c", "d", "e"], edges: [2, 3] });
  });

  test("a fold counts as all its repetitions", () => {
    const three = blocks(3);
    const members = ["body.0", "body.1"].map((id) => [id]);
    const fold: Fold = { id: "fold", parent: "body", members, label: "0…1 (2)", shared: false, uniform: true };
    const graph = { ...three, folds: [fold] };
    expect(contentOf(graph, "fold").size).toBe(6);
    const down = reach(graph, "fold", "down");
    expect(down.nodes.has("body.2.act")).toBe(true);
    expect(down.nodes.has("fold")).toBe(true);
    expect(down.edges.size).toBe(8);
    expect(reach(graph, "fold", "up").edges.size).toBe(5);
    expect(reach(graph, "body.2", "up").nodes.has("fold")).toBe(true);
  });

  test("a cycle ends, an edge to nowhere is left out, an unknown id reaches nothing", () => {
    const loop = graphOf(
      "Loop",
      [node("a"), node("b")],
      [
        ["a", "b"],
        ["b", "a"],
        ["b", "b"],
        ["b", "gone"],
      ],
    );
    expect(found(loop, "a", "down")).toEqual({ nodes: ["a", "b"], edges: [0, 1, 2] });
    expect(found(loop, "a", "up")).toEqual({ nodes: ["a", "b"], edges: [0, 1, 2] });
    expect(found(loop, "gone", "both")).toEqual({ nodes: [], edges: [] });
  });

  test("agrees with the slow definition: a path of edges leads there", () => {
    const count = 30;
    const pairs: [string, string][] = [];
    for (let i = 0; i < count; i++)
      for (let j = i + 1; j < count; j++) if ((i * 7 + j * 13) % 11 === 0) pairs.push([`n${i}`, `n${j}`]);
    const graph = graphOf(
      "Random",
      Array.from({ length: count }, (_, i) => node(`n${i}`)),
      pairs,
    );
    const leads = (from: string, to: string): boolean =>
      from === to || pairs.some(([source, target]) => source === from && leads(target, to));
    for (const { id } of graph.nodes.values()) {
      const others = [...graph.nodes.keys()];
      expect([...reach(graph, id, "down").nodes].sort()).toEqual(others.filter((to) => leads(id, to)).sort());
      expect([...reach(graph, id, "up").nodes].sort()).toEqual(others.filter((from) => leads(from, id)).sort());
    }
  });

  test("a long chain takes no stack", () => {
    const nodes = Array.from({ length: 5000 }, (_, i) => node(`n${i}`));
    const pairs = nodes.slice(1).map(({ id }, i): [string, string] => [`n${i}`, id]);
    const graph = graphOf("Chain", nodes, pairs);
    expect(reach(graph, "n0", "down").nodes.size).toBe(5000);
    expect(reach(graph, "n4999", "up").edges.size).toBe(4999);
  });
});
