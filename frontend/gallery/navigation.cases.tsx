/** What stands around the structure, with the data that is hard for it; shown in the gallery, run by the tests. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ModelGraph } from "../src/graph";
import { Breadcrumb } from "../src/views/breadcrumb";
import { Minimap } from "../src/views/minimap";
import { NodeFacts } from "../src/views/node_facts";
import { Outline } from "../src/views/outline";
import { Provenance } from "../src/views/provenance";
import type { Paint } from "../src/views/structure";
import type { Fold, Node } from "../src/wire";
import type { ChartCase } from "./charts.cases";
import { blocks, graphOf, node } from "./structure.cases";

const RAMP = ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"];

/** Made-up values of modules: one is not a number, one has none. */
const paint = ({ id, kind }: Node): Paint | null => {
  if (kind !== "module") return null;
  if (id.endsWith("17") || id === "body.17.linear") return { fill: "", ink: "", value: "NaN", mark: "nan" };
  if (id.endsWith("2.act")) return { fill: "", ink: "", value: "", mark: "none" };
  const at = Array.from(id).reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 997, 7) % RAMP.length;
  return { fill: RAMP[at] ?? "", ink: at > 4 ? "#000000" : "#ffffff", value: `${at + 1}.2e-3`, mark: "" };
};
const unpainted = () => null;

const fold = (count: number, rest: Partial<Fold> = {}): Fold => ({
  ...{ id: "fold:body", parent: "body", label: `0…${count - 1} (${count})`, shared: false, uniform: true },
  members: Array.from({ length: count }, (_, i) => [`body.${i}`]),
  ...rest,
});

const folded = (count: number, rest: Partial<Fold> = {}): ModelGraph => ({
  ...blocks(count),
  folds: [fold(count, rest)],
});

const HOSTILE = [
  "<img src=x onerror=alert(1)>",
  "__proto__",
  "a_name_that_is_far_too_long_for_any_column_that_anybody_would_give_it",
];
const hostile = graphOf(
  "<b>Net</b>",
  HOSTILE.map((id) => node(id, { class_name: id, trainable: false })),
  [],
);

const deep = graphOf(
  "Deep",
  Array.from({ length: 12 }, (_, i) =>
    node(Array.from({ length: i + 1 }, (_, k) => `level_${k}`).join("."), {
      parent: i ? Array.from({ length: i }, (_, k) => `level_${k}`).join(".") : null,
      class_name: "Block",
    }),
  ),
  [],
);
const deepest = [...deep.nodes.keys()].at(-1) ?? "";

interface OutlineCase {
  readonly graph: ModelGraph;
  readonly open?: readonly string[];
  readonly select?: string;
  readonly query?: string;
  readonly plain?: boolean;
}

function OutlineOf({ graph, open = [], select, query = "", plain = false }: OutlineCase): JSX.Element {
  const [selected, setSelected] = useState<string | null>(select ?? null);
  const opened = new Set(open);
  const told = plain ? unpainted : paint;
  return (
    <div style={{ height: "260px", border: "1px solid var(--line)" }}>
      <Outline graph={graph} expanded={opened} selected={selected} query={query} paint={told} onSelect={setSelected} />
    </div>
  );
}

const picture = {
  width: 900,
  height: 2400,
  boxes: Array.from({ length: 24 }, (_, i) => ({
    ...{ id: `${i}`, x: 40 + (i % 3) * 280, y: 40 + Math.floor(i / 3) * 290, width: 240, height: 220 },
    ...{ depth: 0, expanded: i % 4 === 0 },
  })),
};

function MinimapOf({ k = 1, wide = false }: { readonly k?: number; readonly wide?: boolean }): JSX.Element {
  const [at, setAt] = useState({ x: -100, y: -300 });
  const pane = { width: 360, height: 220 };
  const shown = wide ? { ...picture, width: 2400, height: 60 } : picture;
  const colour = (id: string) => (Number(id) % 3 === 0 ? (RAMP[Number(id) % 8] ?? "") : "");
  return (
    <div style={{ position: "relative", height: "220px", border: "1px solid var(--line)" }}>
      <Minimap
        picture={shown}
        pane={pane}
        transform={{ ...at, k }}
        colour={colour}
        onMove={(x, y) => setAt({ x: pane.width / 2 - x * k, y: pane.height / 2 - y * k })}
      />
    </div>
  );
}

function BreadcrumbOf(): JSX.Element {
  const [selected, setSelected] = useState<string | null>(deepest);
  return (
    <div class="structure" style={{ height: "90px" }}>
      {selected !== null && <Breadcrumb graph={deep} selected={selected} onSelect={setSelected} />}
    </div>
  );
}

const everything = node("encoder.layers.3.self_attention.query", {
  ...{ class_name: "Linear", own_parameters: 1_049_600, total_parameters: 1_049_600, trainable_parameters: 1_048_576 },
  ...{ own_bytes: 4_198_400, total_bytes: 4_198_400, tied: ["decoder.embedding.weight"], flops: 4_294_967_296 },
  ...{
    input_shapes: [[8, 256, 1024]],
    output_shapes: [
      [8, 256, 1024],
      [8, 16],
    ],
    activation_bytes: 8_388_608,
  },
  ...{ output_dtypes: ["bfloat16", "int64"], extra_repr: "in_features=1024, out_features=1024, bias=True" },
  ...{ source: "torch/nn/modules/linear.py:50", doc: "Applies an affine linear transformation to the incoming data." },
});

const facts = (graph: ModelGraph, id: string) => () => <NodeFacts graph={graph} id={id} onSelect={() => undefined} />;

const odd = folded(12, { uniform: false });
const unlike = { "body.3": { trainable: false }, "body.9": { total_parameters: 8320, output_shapes: [[1, 128]] } };
const different = {
  ...odd,
  nodes: new Map([...odd.nodes].map(([id, each]) => [id, { ...each, ...unlike[id as keyof typeof unlike] }])),
};

const provenance = (rest: Partial<ModelGraph>) => () => (
  <div style={{ display: "flex", justifyContent: "flex-end", minHeight: "60px" }}>
    <Provenance graph={{ ...blocks(2), ...rest }} onSelect={() => undefined} />
  </div>
);

export const NAVIGATION_CASES: readonly ChartCase[] = [
  {
    name: "outline: blocks, open",
    element: () => <OutlineOf graph={blocks(4)} open={["body", "body.1"]} select="body.1.norm" />,
  },
  {
    name: "outline: a fold closed and open",
    element: () => <OutlineOf graph={folded(24)} open={["body", "fold:body", "body.1"]} />,
  },
  {
    name: "outline: found by the search",
    element: () => <OutlineOf graph={blocks(4)} open={["body", "body.0"]} query="/norm|0\..*act/" />,
  },
  { name: "outline: nothing measured", element: () => <OutlineOf graph={folded(200)} open={["body"]} plain /> },
  { name: "outline: hostile names", element: () => <OutlineOf graph={hostile} /> },
  { name: "minimap: tall", element: () => <MinimapOf /> },
  { name: "minimap: wide, zoomed in", element: () => <MinimapOf k={2} wide /> },
  {
    name: "breadcrumb: long",
    element: () => <BreadcrumbOf />,
  },
  { name: "facts: everything", element: facts(graphOf("Net", [everything], []), everything.id) },
  { name: "facts: a fold whose members differ", element: facts(different, "fold:body") },
  { name: "facts: hostile", element: facts(hostile, HOSTILE[0] ?? "") },
  { name: "what it shows: recorded", element: provenance({}) },
  { name: "what it shows: notes", element: provenance({ warnings: ["Dropout was traced in training mode."] }) },
  {
    name: "what it shows: stopped midway",
    element: provenance({
      stopped_in: "body.1.norm",
      failure: "RuntimeError: mat1 and mat2 shapes cannot be multiplied",
    }),
  },
  { name: "what it shows: did not run", element: provenance({ recorder: "static" }) },
];
