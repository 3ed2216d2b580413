import { describe, expect, test } from "vitest";
import { blocks, graphOf, node } from "../../gallery/structure.cases";
import { walk } from "../../src/views/structure_walk";
import type { Fold } from "../../src/wire";

/** x -> split -> (left, right) -> add -> tail.a -> tail.b, and x -> add past them. */
const GRAPH = graphOf(
  "Net",
  [
    node("x"),
    node("split"),
    node("left"),
    node("right"),
    node("add"),
    node("tail"),
    node("tail.a", { parent: "tail" }),
    node("tail.b", { parent: "tail" }),
  ],
  [
    ["x", "add"],
    ["x", "split"],
    ["split", "right"],
    ["split", "left"],
    ["left", "add"],
    ["right", "add"],
    ["add", "tail.a"],
    ["tail.a", "tail.b"],
  ],
);
const CLOSED = new Set<string>();
const OPEN = new Set(["tail"]);

describe("along the edges", () => {
  test("down to the first that takes the tensor, up to the last that made one", () => {
    expect(walk(GRAPH, CLOSED, "x", "consumer")).toBe("split");
    expect(walk(GRAPH, CLOSED, "split", "consumer")).toBe("left");
    expect(walk(GRAPH, CLOSED, "add", "producer")).toBe("right");
    expect(walk(GRAPH, CLOSED, "x", "producer")).toBeNull();
  });

  test("to the closed container, or into the open one", () => {
    expect(walk(GRAPH, CLOSED, "add", "consumer")).toBe("tail");
    expect(walk(GRAPH, OPEN, "add", "consumer")).toBe("tail.a");
    expect(walk(GRAPH, OPEN, "tail.a", "producer")).toBe("add");
    expect(walk(GRAPH, CLOSED, "tail", "producer")).toBe("add");
    expect(walk(GRAPH, CLOSED, "tail", "consumer")).toBeNull();
  });

  test("from an open container down to what it begins with", () => {
    expect(walk(GRAPH, OPEN, "tail", "consumer")).toBe("tail.a");
    expect(walk(GRAPH, OPEN, "tail", "producer")).toBe("add");
  });
});

test("along the siblings of one container, not beyond it", () => {
  expect(walk(GRAPH, OPEN, "left", "next")).toBe("right");
  expect(walk(GRAPH, OPEN, "right", "previous")).toBe("left");
  expect(walk(GRAPH, OPEN, "tail.b", "next")).toBeNull();
  expect(walk(GRAPH, OPEN, "tail.a", "previous")).toBeNull();
});

test("out of a container", () => {
  expect(walk(GRAPH, OPEN, "tail.b", "out")).toBe("tail");
  expect(walk(GRAPH, OPEN, "tail", "out")).toBeNull();
  expect(walk(GRAPH, OPEN, "gone", "out")).toBeNull();
  expect(walk(GRAPH, OPEN, "gone", "consumer")).toBeNull();
});

describe("folds", () => {
  const members = ["body.0", "body.1", "body.2"].map((id) => [id]);
  const fold: Fold = { id: "fold", parent: "body", members, label: "0…2 (3)", shared: false, uniform: true };
  const four = blocks(4);
  const graph = { ...four, folds: [fold] };

  test("a closed one is a box between the others", () => {
    expect(walk(graph, new Set(["body"]), "fold", "consumer")).toBe("body.3");
    expect(walk(graph, new Set(["body"]), "body.3", "producer")).toBe("fold");
  });

  test("from the repetition that is shown, the way goes on through those that are not", () => {
    const open = new Set(["body", "fold", "body.0"]);
    expect(walk(graph, open, "fold", "consumer")).toBe("body.0");
    expect(walk(graph, open, "body.0.act", "consumer")).toBe("body.3");
    expect(walk(graph, open, "body.0", "next")).toBeNull();
  });

  test("unfolded, they are boxes like any other", () => {
    const open = new Set(["body", "fold@*"]);
    expect(walk(graph, open, "body.1", "consumer")).toBe("body.2");
    expect(walk(graph, open, "body.1", "next")).toBe("body.2");
  });
});
