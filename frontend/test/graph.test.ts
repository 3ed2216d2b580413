import { describe, expect, test } from "vitest";
import { ancestors, type ModelGraph, nodeOf, toGraph } from "../src/graph";
import type { Node } from "../src/wire";

function graph(parents: Record<string, string | null>): ModelGraph {
  const nodes = Object.entries(parents).map(([id, parent]) => ({ id, parent, kind: "module", module: id }) as Node);
  return toGraph({
    nodes,
    edges: [],
    inputs: [],
    outputs: [],
    class_name: "",
    warnings: [],
    folds: [],
    recorder: "",
    total_parameters: 0,
    trainable_parameters: 0,
    stopped_in: null,
    failure: "",
  });
}

describe("ancestors", () => {
  test("are those of the graph, innermost first", () => {
    expect(ancestors("x", graph({ x: "inner", inner: "outer", outer: null }))).toEqual(["inner", "outer"]);
  });
  test("come from the name where the graph does not have the node", () => {
    expect(ancestors("a.b.c", graph({}))).toEqual(["a.b", "a"]);
    expect(ancestors("a", null)).toEqual([]);
    expect(ancestors("constructor", graph({}))).toEqual([]);
  });
  test("end where a graph goes round", () => {
    expect(ancestors("a", graph({ a: "b", b: "c", c: "b" }))).toEqual(["b", "c"]);
  });
});

test("a node is found by its own id only, whatever it is called", () => {
  const known = graph({ a: null });
  expect(nodeOf(known, "a")).toBe(known.nodes.get("a"));
  for (const id of ["constructor", "__proto__", "toString", ""]) expect(nodeOf(known, id)).toBeUndefined();
  expect(nodeOf(graph(JSON.parse('{"__proto__": null}')), "__proto__")?.id).toBe("__proto__");
});
