// The structure view on the cases. The address chooses: #case=cnn&open=stage1,stage1.0&select=fc&find=conv&paint=1&dark=1,
// or a file: #file=graphs/llama.json&open=*

import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import "../src/tokens.css";
import { type ModelGraph, toGraph } from "../src/graph";
import { compact, expansionOf, toggled } from "../src/layout/expansion";
import { openingExpansion, type Paint, Structure } from "../src/views/structure";
import type { GraphBlob, Node } from "../src/wire";
import { CASES } from "./structure.cases";
import "./structure.css";

/** Made-up values: a sequence of colours, some NaN, some missing. */
function madeUp(node: Node): Paint | null {
  if (node.kind !== "module") return null;
  const hash = Array.from(node.id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1009, 7) / 1009;
  if (hash > 0.94) return { fill: "", ink: "", value: "NaN", mark: "nan" };
  if (hash < 0.04) return { fill: "", ink: "", value: "", mark: "none" };
  const ramp = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];
  const at = Math.floor(hash * ramp.length);
  const value = (10 ** (hash * 5 - 4)).toExponential(2).replace("-", "−");
  return { fill: ramp[at] ?? "", ink: at > 4 ? "#10151c" : "#ffffff", value, mark: "", at: hash };
}

/** The graph of the address: a case by name, or a file of JSON as the viewer serves it (`file=…`). */
function useGraph(name: string, file: string | null): ModelGraph | null {
  const [loaded, setLoaded] = useState<{ file: string; graph: ModelGraph } | null>(null);
  useEffect(() => {
    if (file === null) return;
    fetch(file)
      .then((answer) => answer.json())
      .then((blob: GraphBlob) => {
        performance.mark("graph");
        setLoaded({ file, graph: toGraph(blob) });
      });
  }, [file]);
  if (file !== null) return loaded?.file === file ? loaded.graph : null;
  return CASES.get(name) ?? CASES.get("cnn") ?? null;
}

function Page() {
  const [address, setAddress] = useState(() => new URLSearchParams(location.hash.slice(1)));
  useEffect(() => {
    const read = () => setAddress(new URLSearchParams(location.hash.slice(1)));
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  const name = address.get("case") ?? "cnn";
  const graph = useGraph(name, address.get("file"));
  document.documentElement.classList.toggle("dark", address.has("dark"));
  const change = (key: string, value: string | null) => {
    const next = new URLSearchParams(address);
    if (value === null) next.delete(key);
    else next.set(key, value);
    location.hash = next.toString();
  };
  return (
    <>
      <div class="bar">
        <select value={name} onChange={(event) => (location.hash = `case=${event.currentTarget.value}`)}>
          {[...CASES.keys()].map((key) => (
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
      <div class="pane">{graph && <View graph={graph} address={address} change={change} />}</div>
    </>
  );
}

interface ViewProps {
  graph: ModelGraph;
  address: URLSearchParams;
  change: (key: string, value: string | null) => void;
}

function View({ graph, address, change }: ViewProps) {
  const open = address.get("open");
  const expanded = useMemo(() => {
    if (open === null) return openingExpansion(graph);
    return expansionOf(graph, open.split(","));
  }, [graph, open]);
  const expand = (next: ReadonlySet<string>) => change("open", compact(graph, next).join(","));
  return (
    <Structure
      graph={graph}
      expanded={expanded}
      selected={address.get("select")}
      query={address.get("find") ?? ""}
      paint={address.has("paint") ? madeUp : nothing}
      onSelect={(id) => change("select", id)}
      onToggle={(id) => expand(toggled(graph, expanded, id))}
      onExpand={expand}
    />
  );
}

const nothing = () => null;
const page = document.getElementById("page");
if (page) render(<Page />, page);
