// The graphs that the structure page of the gallery shows and the tests lay out: real traces, and made-up extremes.

import { type ModelGraph, toGraph } from "../src/graph";
import type { Fold, GraphBlob, Node } from "../src/wire";
import traces from "./structure.cases.jsonl?raw";

/** A node of a made-up graph: a linear layer at the top, unless `rest` says otherwise. */
export function node(id: string, rest: Partial<Node> = {}): Node {
  const shape = [[1, 64]];
  return {
    ...{ id, kind: "module", module: id, call: 0, parent: null, class_name: "Linear", op: "" },
    ...{ input_shapes: shape, input_dtypes: ["float32"], output_shapes: shape, output_dtypes: ["float32"] },
    ...{ own_parameters: 4160, total_parameters: 4160, trainable: true, trainable_parameters: 4160, tied: [] },
    ...{
      own_bytes: 16640,
      total_bytes: 16640,
      flops: null,
      activation_bytes: 256,
      extra_repr: "",
      source: "",
      doc: "",
    },
    ...rest,
  };
}

/** A graph of `nodes` in order of execution, joined by `edges`, each "source target". */
export function graphOf(
  class_name: string,
  nodes: readonly Node[],
  edges: readonly [string, string][],
  folds: Fold[] = [],
): ModelGraph {
  return toGraph({
    nodes: [...nodes],
    edges: edges.map(([source, target]) => ({ source, target, shape: null })),
    ...{ inputs: [], outputs: [], class_name, warnings: [], folds, recorder: "modes" },
    ...{ stopped_in: null, failure: "", total_parameters: 0, trainable_parameters: 0 },
  });
}

const NO_MODULE = { own_parameters: 0, total_parameters: 0, trainable: null, module: "", class_name: "" };

/** One tensor into `count` heads, and all of them into one sum. */
export function fan(count: number): ModelGraph {
  const heads = Array.from({ length: count }, (_, i) => node(`heads.${i}`));
  const x = node("x", { kind: "input", ...NO_MODULE });
  const sum = node("sum", { kind: "function", op: "sum", ...NO_MODULE });
  const edges = heads.flatMap(({ id }): [string, string][] => [
    ["x", id],
    [id, "sum"],
  ]);
  return graphOf("Fan", [x, ...heads, sum], edges);
}

/** A recurrent cell with a self loop, called again and again. */
export function chain(count: number): ModelGraph {
  const name = (call: number) => (call ? `cell#${call}` : "cell");
  const calls = Array.from({ length: count }, (_, call) =>
    node(name(call), { module: "cell", call, class_name: "LSTMCell" }),
  );
  const edges = calls.slice(1).map((_, i): [string, string] => [name(i), name(i + 1)]);
  return graphOf("Unrolled", calls, [...edges, ["cell#1", "cell#1"]]);
}

/** `count` equal blocks of three layers in one container, one after the other. */
export function blocks(count: number): ModelGraph {
  const nodes = [node("body", { class_name: "Sequential" })];
  const edges: [string, string][] = [];
  for (let i = 0; i < count; i++) {
    nodes.push(node(`body.${i}`, { parent: "body", class_name: "Block" }));
    for (const part of ["norm", "linear", "act"]) nodes.push(node(`body.${i}.${part}`, { parent: `body.${i}` }));
    edges.push([`body.${i}.norm`, `body.${i}.linear`], [`body.${i}.linear`, `body.${i}.act`]);
    if (i > 0) edges.push([`body.${i - 1}.act`, `body.${i}.norm`]);
  }
  return graphOf("Blocks", nodes, edges);
}

/** The repetitions `0…count - 1` of `ids` as a fold. */
function fold(id: string, count: number, parent: string | null, ids: (i: number) => string[], shared = false): Fold {
  const members = Array.from({ length: count }, (_, i) => ids(i));
  return {
    id,
    parent,
    members,
    label: shared ? `${id} ×${count}` : `0…${count - 1} (${count})`,
    shared,
    uniform: true,
  };
}

/** Blocks as above, folded, each with a shortcut, and one mask for all of them. */
export function folded(count: number): ModelGraph {
  const { nodes, edges } = blocks(count);
  const mask = node("mask", { kind: "input", ...NO_MODULE });
  const more = Array.from({ length: count }, (_, i): [string, string][] => [
    [`body.${i}.norm`, `body.${i}.act`],
    ["mask", `body.${i}.linear`],
  ]);
  const ends: [string, string][] = [
    ["x", "body.0.norm"],
    [`body.${count - 1}.act`, "head"],
  ];
  const plain = edges.map(({ source, target }): [string, string] => [source, target]);
  return graphOf(
    "Folded",
    [node("x", { kind: "input", ...NO_MODULE }), mask, ...nodes.values(), node("head")],
    [...ends, ...plain, ...more.flat()],
    [fold("body.*", count, "body", (i) => [`body.${i}`])],
  );
}

/** One cell called again and again, each time after a function that picks its input. */
export function unrolled(count: number): ModelGraph {
  const { nodes, edges } = chain(count);
  const cells = [...nodes.values()];
  const picks = cells.map((_, i) => node(`pick#${i}`, { kind: "function", op: "select", ...NO_MODULE }));
  const x = node("x", { kind: "input", ...NO_MODULE });
  const fed = picks.flatMap(({ id }, i): [string, string][] => [
    ["x", id],
    [id, cells[i]?.id ?? ""],
  ]);
  const plain = edges.slice(0, -1).map(({ source, target }): [string, string] => [source, target]);
  const all = [x, ...picks.flatMap((pick, i) => [pick, cells[i] ?? pick])];
  const ids = (i: number) => [`pick#${i}`, cells[i]?.id ?? ""];
  return graphOf("Unrolled cell", all, [...plain, ...fed], [fold("cell", count, null, ids, true)].map(renamedFold));
}

/** Ids of folds are none of nodes. */
const renamedFold = (each: Fold): Fold => ({ ...each, id: `${each.id}…` });

/** Every layer of a dense block takes the results of all before it. */
export function dense(count: number): ModelGraph {
  const layers = Array.from({ length: count }, (_, i) => node(`dense.${i}`, { class_name: "DenseLayer" }));
  const edges = layers.flatMap(({ id }, i) => layers.slice(i + 1).map((later): [string, string] => [id, later.id]));
  return graphOf("Dense", layers, edges);
}

/** Self loop, parallel edges, a cycle, repeated calls, nodes without edges, and an edge to a node that is not there. */
export function odd(): ModelGraph {
  const inside = ["outer.a", "outer.b", "outer.c", "outer.alone"].map((id) => node(id, { parent: "outer" }));
  const again = node("outer.a#1", { module: "outer.a", call: 1, parent: "outer" });
  return graphOf(
    "Odd",
    [node("first"), node("outer"), ...inside, again, node("last"), node("alone")],
    [
      ["first", "outer.a"],
      ["first", "outer.a"],
      ["first", "outer.b"],
      ["outer.a", "outer.a"],
      ["outer.a", "outer.b"],
      ["outer.a", "outer.b"],
      ["outer.b", "outer.c"],
      ["outer.c", "outer.a"],
      ["outer.b", "outer.a#1"],
      ["outer.a#1", "last"],
      ["first", "last"],
      ["last", "nowhere"],
    ],
  );
}

/** Real traces by name (see structure.cases.py), then the made-up ones. */
export const CASES: ReadonlyMap<string, ModelGraph> = new Map([
  ...traces
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as [string, GraphBlob])
    .map(([name, blob]): [string, ModelGraph] => [name, toGraph(blob)]),
  ["fan", fan(60)],
  ["chain", chain(400)],
  ["blocks", blocks(24)],
  ["folded", folded(24)],
  ["unrolled", unrolled(60)],
  ["dense", dense(24)],
  ["odd", odd()],
  ["single", graphOf("Single", [node("only")], [])],
  ["none", graphOf("None", [], [])],
]);
