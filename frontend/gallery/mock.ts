/** Log directories that never were: small, seeded, and shaped like what each case is about. */

import type { Backend } from "../src/backend";
import type { ModelGraph } from "../src/graph";
import type { Tensor } from "../src/safetensors";
import {
  type Finding,
  type FindingsListing,
  type Metadata,
  type Node,
  SERIES,
  type TagEntry,
  type TagListing,
} from "../src/wire";
import { later, logSpaced, numbers, seeded, statisticAt, statisticsOf } from "./mock_numbers";
import { type Kind, mockSamples } from "./mock_samples";
import { SURROGATES } from "./mock_surrogates";

export interface Shape {
  /** Names of the leaf layers in order; dots nest them. */
  readonly layers: readonly string[];
  readonly steps: number;
  /** Layer index from which on gradients are NaN in the second half of the run. */
  readonly broken?: number;
  /** Attribution maps are [samples, features] instead of images. */
  readonly tabular?: boolean;
  /** The inputs are of this kind, and attributed. */
  readonly kind?: Kind;
  /** Names of surrogates, of which the last one cannot be read where nobody knows it. */
  readonly surrogates?: readonly string[];
  readonly problem?: string;
  readonly warnings?: readonly string[];
  readonly bare?: boolean;
  /** Names of the series; gradients and activations by default. */
  readonly series?: readonly string[];
  /** The steps at which they were saved; `steps` of them, 50 apart, by default. */
  readonly recorded?: readonly number[];
  readonly findings?: readonly Finding[];
  /** Nothing was recorded that can be examined. */
  readonly unexamined?: boolean;
  readonly unjudged?: FindingsListing["unjudged"];
}

const recordedBy = ({ recorded, steps }: Shape) => recorded ?? Array.from({ length: steps }, (_, index) => index * 50);

const EDGES = Array.from({ length: 34 }, (_, i) => (i < 17 ? -(10 ** (2 - i / 2)) : 10 ** (-6 + (i - 17) / 2)));
EDGES.splice(17, 0, 0);

export function mockBackend(shape: Shape): Backend {
  const leaves = shape.layers;
  const rows = leaves.flatMap((layer) => [layer, `${layer}.weight`, `${layer}.bias`]);
  const owners = leaves.flatMap((layer) => [layer, layer, layer]);
  const containers = [...new Set(leaves.flatMap((layer) => parents(layer)))];
  const all = { rows: [...containers, ...rows], owners: [...containers, ...owners] };
  const steps = recordedBy(shape);
  const depths = all.owners.map((owner) => leaves.indexOf(owner) / Math.max(1, leaves.length));
  const sparse = steps.filter((_, index) => index % 4 === 0);
  const tags = shape.bare ? [] : tagsOf(shape, all, sparse);
  const byTag = new Map(tags.map((entry) => [entry.tag, entry]));
  const find = (tag: string): Metadata => {
    const metadata = byTag.get(tag)?.metadata;
    if (!metadata) throw new Error(`this log directory has no tag "${tag}".`);
    return metadata;
  };
  return {
    runs: async () => ({ runs: ["baseline", "lr=0.1, no warm-up"], version: 1 }),
    tags: async (run): Promise<TagListing> => ({
      run,
      tags: [...tags, ...problemTags(shape)],
      scalars: shape.bare ? [] : ["accuracy", "loss/train"],
      version: 1,
    }),
    findings: async (run) => {
      const { findings = [], unexamined = false, unjudged = [] } = shape;
      return {
        run,
        findings: [...findings],
        examined: !(unexamined || shape.bare),
        unjudged: [...unjudged],
        version: 1,
      };
    },
    comparison: async (run, other) => {
      const nodes = [...graphOf(leaves, []).nodes.keys()].map((id) => ({ a: id, b: id, state: "same", changes: [] }));
      return { run, other, nodes, version: 1 };
    },
    array: async (_, tag, { rows: wanted = [], after }) => {
      const metadata = find(tag);
      const statistics = metadata.kind === "series" ? metadata.statistics : [];
      const columns = statistics.length || EDGES.length - 1;
      const indices = all.rows.flatMap((row, index) => (wanted.length === 0 || wanted.includes(row) ? [index] : []));
      const [last] = steps.slice(-1);
      const value = (step: number, row: number, column: number) => {
        const t = (steps[step] ?? 0) / Math.max(1, last ?? 1);
        if (metadata.kind !== "series") return count(t, row, column);
        const index = leaves.indexOf(all.owners[row] ?? "");
        const broken = shape.broken !== undefined && index >= shape.broken;
        const statistic = statistics[column]?.name ?? "";
        return statisticAt({ series: metadata.name, statistic, row, depth: depths[row] ?? 0, t, broken });
      };
      return later(numbers(steps, indices, columns, value), after);
    },
    scalar: async (_, tag) => {
      const random = seeded(7);
      return numbers(shape.recorded ?? Array.from({ length: shape.steps * 5 }, (_, i) => i * 10), [0], 1, (step) => {
        const t = step / (shape.recorded?.length ?? shape.steps * 5);
        const value = 0.15 + 2.2 * Math.exp(-5 * t) + 0.25 * random() * (1 - 0.6 * t);
        return tag === "accuracy" ? 1 - value / 2.6 : value;
      });
    },
    graph: async () => graphOf(leaves, shape.warnings ?? []),
    tensors: async (_, tag, step) => {
      const metadata = find(tag);
      return metadata.kind === "samples"
        ? samples(shape)
        : maps(shape, metadata, step / Math.max(1, steps.at(-1) ?? 1));
    },
    description: async () => (shape.kind ? mockSamples(shape.kind).description : null),
    maximization: async () => ({ objectives: [3.2, 5.1, 0.4, 7.7], top_samples: [], tokens: [], ascent_steps: [] }),
    arrays: async () => new Map(),
    projected: async () => [],
    projectorUrl: () => "about:blank",
    surrogate: async (_run, tag, step) => {
      const made = SURROGATES[find(tag).name];
      if (made === undefined) throw new Error("the surrogate is cut off.");
      return made(step / Math.max(1, steps.at(-1) ?? 1));
    },
    imageUrl: (_run, _tag, step, unit) => image(step, unit),
  };
}

function tagsOf(shape: Shape, all: { rows: string[]; owners: string[] }, sparse: number[]): TagEntry[] {
  const latest = recordedBy(shape).at(-1) ?? null;
  const entry = (metadata: Metadata, steps: number[] = []): TagEntry => ({
    tag: `layerscope/${metadata.kind}/${metadata.name}`,
    kind: metadata.kind,
    metadata,
    steps,
    problem: "",
    max_step: latest,
    max_wall_time: latest,
  });
  const numbers = { layers: all.rows, owners: all.owners, version: 1 };
  const attribution = (method: string, signed: boolean) =>
    entry(
      {
        kind: "attribution",
        name: method,
        method,
        samples: "probe",
        signed,
        layers: [...shape.layers],
        inputs: shape.kind ? [0] : [],
        version: 1,
      },
      sparse,
    );
  const units = shape.layers
    .slice(0, 1)
    .flatMap((layer) => [0, 1, 2, 3].map((channel) => ({ layer, channel, objective: "channel", position: null })));
  return [
    entry({ kind: "graph", name: "model", version: 1 }, [0]),
    ...(shape.series ?? ["gradients", "activations"]).map((name) =>
      entry({ kind: "series", name, statistics: [...statisticsOf(name)], ...numbers }),
    ),
    entry({ kind: "histograms", name: "gradients", edges: EDGES, ...numbers }),
    entry({ kind: "samples", name: "probe", version: 1 }, [0]),
    attribution("integrated_gradients", true),
    attribution("grad_cam", false),
    entry({ kind: "maximization", name: "units", units, modality: "image", samples: "", version: 1 }, sparse.slice(1)),
    ...(shape.surrogates ?? []).map((name) => entry({ kind: "surrogate", name, version: 1 }, sparse)),
  ];
}

const UNREAD = {
  tag: "layerscope/series/new",
  kind: "series",
  metadata: null,
  steps: [],
  max_step: null,
  max_wall_time: null,
};

function problemTags({ problem }: Shape): TagEntry[] {
  return problem ? [{ ...UNREAD, problem }] : [];
}

function count(t: number, row: number, column: number): number {
  const edge = ((EDGES[column] ?? 0) + (EDGES[column + 1] ?? 0)) / 2;
  const centre = -3 - 1.5 * t - (row % 5) * 0.2;
  const distance = Math.log10(Math.abs(edge) + 1e-9) - centre;
  return Math.round(2000 * Math.exp(-(distance ** 2) * 1.2));
}

function parents(layer: string): string[] {
  const parts = layer.split(".");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("."));
}

function graphOf(leaves: readonly string[], warnings: readonly string[]): ModelGraph {
  const nodes = new Map<string, Node>();
  const node = (id: string, kind: string, changes: Partial<Node> = {}): void => {
    if (nodes.has(id)) return;
    nodes.set(id, {
      id,
      kind,
      module: kind === "module" ? id : "",
      call: 0,
      parent: parents(id).at(-1) ?? null,
      class_name: "",
      op: "",
      input_shapes: [[8, 16, 8, 8]],
      input_dtypes: ["float32"],
      output_shapes: [[8, 16, 8, 8]],
      output_dtypes: ["float32"],
      own_parameters: 0,
      total_parameters: 0,
      own_bytes: 0,
      total_bytes: 0,
      trainable: null,
      trainable_parameters: 0,
      tied: [],
      flops: null,
      activation_bytes: 0,
      extra_repr: "",
      source: "",
      doc: "",
      ...changes,
    });
  };
  node("input", "input", { parent: null, output_shapes: [[8, 1, 8, 8]] });
  leaves.forEach((layer, index) => {
    for (const parent of parents(layer)) node(parent, "module", { class_name: "Block", total_parameters: 9280 });
    const parameters = { own_parameters: 2320, total_parameters: 2320, trainable: index > 1 };
    node(layer, "module", { class_name: /act/.test(layer) ? "ReLU" : "Conv2d", ...parameters });
  });
  node("output", "output", { parent: null, input_shapes: [[8, 10]], output_shapes: [] });
  const chain = ["input", ...leaves, "output"];
  const edges = chain
    .slice(1)
    .map((target, index) => ({ source: chain[index] as string, target, shape: [8, 16, 8, 8] }));
  const sizes = { total_parameters: 2320 * leaves.length, trainable_parameters: 2320 * (leaves.length - 2) };
  const told = { class_name: "DigitsNet", warnings: [...warnings], folds: [], recorder: "modes" };
  return { nodes, edges, inputs: ["input"], outputs: ["output"], ...told, stopped_in: null, failure: "", ...sizes };
}

const SAMPLES = 8;
const SIDE = 16;

function samples({ tabular, kind }: Shape): Map<string, Tensor> {
  if (kind) return new Map([["0", mockSamples(kind).inputs]]);
  if (tabular) return new Map([["0", { shape: [SAMPLES, 30], data: new Float32Array(SAMPLES * 30) }]]);
  const data = new Float32Array(SAMPLES * SIDE * SIDE);
  for (let at = 0; at < data.length; at++) {
    const [sample, y, x] = [Math.floor(at / SIDE ** 2), Math.floor(at / SIDE) % SIDE, at % SIDE];
    const angle = Math.atan2(y - 7.5, x - 7.5) + sample;
    data[at] =
      Math.exp(-((Math.hypot(x - 7.5, y - 7.5) - 5) ** 2) / 3) *
      (Math.sin(angle * ((sample % 3) + 1)) > -0.4 ? 1 : 0.05);
  }
  return new Map([["0", { shape: [SAMPLES, 1, SIDE, SIDE], data }]]);
}

function maps(shape: Shape, metadata: Metadata, t: number): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  const signed = metadata.kind === "attribution" && metadata.signed;
  shape.layers.forEach((layer, index) => {
    const random = seeded(index * 31 + Math.round(t * 100));
    const grid = shape.tabular ? [30] : index < 2 ? [8, 8] : [4, 4];
    const size = grid.reduce((product, length) => product * length, 1);
    const data = Float32Array.from({ length: SAMPLES * size }, () => {
      const value = (random() ** 2 + t * random()) * (signed && random() < 0.4 ? -1 : 1);
      return value * 0.02;
    });
    if (shape.broken !== undefined && index >= shape.broken) data.fill(Number.NaN, 0, 3);
    tensors.set(`layer:${layer}`, { shape: [SAMPLES, ...grid], data });
  });
  if (shape.kind) {
    tensors.set("input:0", mockSamples(shape.kind).attributions(t, signed));
    const score = (value: number): Tensor => ({ shape: [SAMPLES], data: new Float32Array(SAMPLES).fill(value) });
    for (const [name, value] of TRUSTED) tensors.set(`trust:${name}`, score(value));
    const notes = new TextEncoder().encode(NOTE);
    tensors.set("notes", { shape: [notes.length], data: notes });
  }
  const p = Float32Array.from({ length: SAMPLES }, (_, i) => 0.1 + 0.89 * t * (1 - i / 20));
  tensors.set("targets", { shape: [SAMPLES], data: Float64Array.from({ length: SAMPLES }, (_, i) => i) });
  tensors.set("probabilities", { shape: [SAMPLES], data: p });
  return tensors;
}

const NOTE =
  "deep_lift misses 0.28 of a change of the target by 0.571 in sample 2: sort kept its derivative, having no rule. " +
  "integrated_gradients adds up for any model.";

/** Two of these speak for the attribution, two against it. */
const TRUSTED: readonly (readonly [string, number])[] = [
  ["completeness", 0.004],
  ["deletion", 0.31],
  ["deletion_random", 0.62],
  ["deletion_input", 0.55],
  ["insertion", 0.48],
  ["insertion_random", 0.52],
  ["randomization", 0.71],
];

/** A small bitmap that depends on step and unit. */
function image(step: number, unit: number): string {
  const side = 8;
  const random = seeded(step * 11 + unit);
  const bytes = [0x42, 0x4d, 0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, side, 0, 0, 0, side, 0, 0, 0, 1, 0, 24];
  while (bytes.length < 54) bytes.push(0);
  for (let at = 0; at < side * side * 3; at++) bytes.push(Math.floor(80 + 120 * random()));
  return `data:image/bmp;base64,${btoa(String.fromCharCode(...bytes))}`;
}

const blocks = (count: number) =>
  Array.from({ length: count }, (_, i) => [`blocks.${i}.conv1`, `blocks.${i}.act`, `blocks.${i}.conv2`]).flat();

const finding = (changes: Partial<Finding>): Finding => ({
  ...{ detector: "vanishing", severity: "warning", step: 500, layer: "stem", row: "stem", measure: "gradients.norm" },
  message: "Gradients shrink by a factor of 1,000 from the last layer to this one: it hardly trains.",
  evidence: { norm: 3.2e-9, norm_at_the_output: 3.1e-3, ratio: 1e-6 },
  rule: "The norm of the gradient is less than 1e-5 of the largest of all layers in 10 recorded steps on end.",
  source: "Glorot and Bengio, Understanding the difficulty of training deep feedforward neural networks (2010), §4.2",
  others: [],
  ...changes,
});

/** One of each sort: an error, warnings with others, one of the model as a whole, one with a hostile name. */
export const FINDINGS: readonly Finding[] = [
  finding({ others: ["blocks.0.conv1", "blocks.0.conv2.weight"] }),
  finding({
    ...{ detector: "nan", severity: "error", step: 1050, layer: "blocks.2.conv2", row: "blocks.2.conv2.weight" },
    message: "NaN begins here at step 1050: the inputs of this layer are finite, its outputs are not.",
    evidence: { nan_count: 64, elements: 2304 },
    others: ["blocks.3.conv1", "blocks.3.act", "blocks.3.conv2", "head"],
  }),
  finding({
    ...{ detector: "dead", step: 800, layer: "blocks.1.act", row: "blocks.1.act" },
    ...{ measure: "training_activations.dead_fraction", evidence: { dead_fraction: 0.62 } },
    message: "62 % of the units gave zero for a whole batch, at 5 recorded steps on end.",
  }),
  finding({
    ...{ detector: "loss_spike", step: 1000, layer: "", row: "", measure: "updates.update_ratio" },
    message: "The loss jumped to 14 times its median; blocks.2.conv2 moved first.",
    evidence: { loss: 31.4, median: 2.2 },
  }),
  finding({
    ...{ detector: "<img src=x onerror=alert(1)>", layer: "head", row: "head.weight", step: 1200 },
    message: "<b>bold</b> & <script>alert(1)</script>",
    measure: "gone.norm",
  }),
];

/** What can go wrong or big; each is shown in the gallery and run by the tests. */
export const APP_CASES: Readonly<Record<string, Shape>> = {
  typical: { layers: ["stem", ...blocks(4), "head"], steps: 41, warnings: ["Dropout was traced in training mode."] },
  "nothing recorded": { layers: [], steps: 0, bare: true },
  "one layer, one step": { layers: ["fc"], steps: 1 },
  "many layers": { layers: ["stem", ...blocks(64), "head"], steps: 200 },
  "not a number": { layers: ["stem", ...blocks(3), "head"], steps: 41, broken: 4 },
  findings: {
    layers: ["stem", ...blocks(4), "head"],
    steps: 41,
    broken: 9,
    series: [...SERIES.keys()],
    findings: FINDINGS,
  },
  "fine-tuning": { layers: ["stem", ...blocks(4), "head"], steps: 41, series: ["gradients", "parameters", "updates"] },
  "100,000 steps": { layers: ["stem", ...blocks(66), "head"], steps: 0, recorded: logSpaced(100_000, 1500) },
  "not examined": { layers: ["fc1", "act1", "fc2"], steps: 20, series: ["activations"], unexamined: true },
  tabular: { layers: ["fc1", "act1", "fc2"], steps: 20, tabular: true },
  text: { layers: ["embedding", "lstm", "fc"], steps: 20, kind: "text" },
  "named columns": { layers: ["fc1", "act1", "fc2"], steps: 20, kind: "table" },
  "surrogates and probes": {
    layers: ["fc1", "act1", "fc2", "act2", "fc3"],
    steps: 20,
    kind: "table",
    series: ["gradients", "linear_probes"],
    surrogates: [...Object.keys(SURROGATES), "inputs/unreadable"],
  },
  "time series": { layers: ["conv1", "act1", "fc"], steps: 20, kind: "time_series" },
  "long and hostile names": {
    layers: [
      "encoder.layers.0.self_attention.query_key_value_projection_with_a_very_long_name",
      "<img src=x onerror=alert(1)>",
      "__proto__",
      "constructor",
      "a&b=c#d%20",
      "層.重み~,",
    ],
    steps: 12,
    problem:
      "tag layerscope/series/new was written in version 9 of the Layerscope format, but this viewer reads up to version 1. Upgrade the viewer: pip install --upgrade layerscope",
  },
};
