// The structure view on real traces. The address chooses: #case=cnn&open=stage1,stage1.0&select=fc&find=conv&paint=1&dark=1

import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import "../src/tokens.css";
import { openingExpansion, type Paint, Structure } from "../src/views/structure";
import type { ModelGraph, Node } from "../src/wire";
import traces from "./structure.cases.jsonl?raw";
import "./structure.css";

const cases = new Map<string, ModelGraph>(
  traces
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as [string, ModelGraph]),
);
cases.set("fan", fan(60));
cases.set("chain", chain(400));

function bare(id: string, rest: Partial<Node>): Node {
  const shape = [[1, 64]];
  return {
    ...{ id, kind: "module", module: id, call: 0, parent: null, class_name: "Linear", op: "" },
    ...{ input_shapes: shape, input_dtypes: ["float32"], output_shapes: shape, output_dtypes: ["float32"] },
    ...{ own_parameters: 4160, total_parameters: 4160, trainable: true },
    ...rest,
  };
}

/** One tensor into `count` heads, and all of them into one sum. */
function fan(count: number): ModelGraph {
  const heads = Array.from({ length: count }, (_, i) => bare(`heads.${i}`, {}));
  const none = { own_parameters: 0, total_parameters: 0, trainable: null, module: "", class_name: "" };
  const x = bare("x", { kind: "input", ...none });
  const sum = bare("sum", { kind: "function", op: "sum", ...none });
  const nodes = Object.fromEntries([x, ...heads, sum].map((node) => [node.id, node]));
  const edges = heads.flatMap(({ id }) => [
    { source: "x", target: id, shape: null },
    { source: id, target: "sum", shape: null },
  ]);
  return { nodes, edges, inputs: ["x"], outputs: [], class_name: "Fan", warnings: [] };
}

/** A recurrent cell with a self loop, called again and again. */
function chain(count: number): ModelGraph {
  const calls = Array.from({ length: count }, (_, i) =>
    bare(i ? `cell#${i}` : "cell", { module: "cell", call: i, class_name: "LSTMCell" }),
  );
  const edges = calls.slice(1).map(({ id }, i) => ({ source: calls[i]?.id ?? "", target: id, shape: null }));
  edges.push({ source: "cell#1", target: "cell#1", shape: null });
  const nodes = Object.fromEntries(calls.map((node) => [node.id, node]));
  return { nodes, edges, inputs: [], outputs: [], class_name: "Unrolled", warnings: [] };
}

/** Made-up values: a sequence of colours, some NaN, some missing. */
function madeUp(node: Node): Paint | null {
  if (node.kind !== "module") return null;
  const hash = Array.from(node.id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1009, 7) / 1009;
  if (hash > 0.94) return { fill: "", ink: "", value: "NaN", mark: "nan" };
  if (hash < 0.04) return { fill: "", ink: "", value: "", mark: "none" };
  const ramp = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
  const at = Math.floor(hash * ramp.length);
  const value = (10 ** (hash * 5 - 4)).toExponential(2).replace("-", "−");
  return { fill: ramp[at] ?? "", ink: at > 4 ? "#10151c" : "#ffffff", value, mark: "" };
}

function Page() {
  const [address, setAddress] = useState(() => new URLSearchParams(location.hash.slice(1)));
  useEffect(() => {
    const read = () => setAddress(new URLSearchParams(location.hash.slice(1)));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  const name = address.get("case") ?? "cnn";
  const graph = cases.get(name) ?? (cases.get("cnn") as ModelGraph);
  const open = address.get("open");
  const expanded = useMemo(() => {
    if (open === null) return openingExpansion(graph);
    if (open === "*") return new Set(Object.keys(graph.nodes));
    return new Set(open.split(","));
  }, [graph, open]);
  document.documentElement.classList.toggle("dark", address.has("dark"));
  const change = (key: string, value: string | null) => {
    const next = new URLSearchParams(address);
    if (value === null) next.delete(key);
    else next.set(key, value);
    location.hash = next.toString();
  };
  const toggle = (id: string) => {
    const next = new Set(expanded);
    if (!next.delete(id)) next.add(id);
    change("open", [...next].join(","));
  };
  return (
    <>
      <div class="bar">
        <select value={name} onChange={(event) => (location.hash = `case=${event.currentTarget.value}`)}>
          {[...cases.keys()].map((key) => (
            <option key={key}>{key}</option>
          ))}
        </select>
        <input placeholder="search" onInput={(event) => change("find", event.currentTarget.value)} />
        <button type="button" onClick={() => change("paint", address.has("paint") ? null : "1")}>
          paint
        </button>
        <button type="button" onClick={() => change("dark", address.has("dark") ? null : "1")}>
          dark
        </button>
      </div>
      <div class="pane">
        <Structure
          graph={graph}
          expanded={expanded}
          selected={address.get("select")}
          query={address.get("find") ?? ""}
          paint={address.has("paint") ? madeUp : nothing}
          onSelect={(id) => change("select", id)}
          onToggle={toggle}
        />
      </div>
    </>
  );
}

const nothing = () => null;
const page = document.getElementById("page");
if (page) render(<Page />, page);
