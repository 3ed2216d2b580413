// Generated from plugin/layerscope/wire/ by frontend/generate_wire.py (make wire). Do not edit.

export const VERSION = 1;

export const SERIES: ReadonlyMap<string, string> = new Map([
  ["gradients", "Gradients of the parameters, as the optimizer's step finds them."],
  ["parameters", "Parameters before the optimizer's step, and their reference."],
  ["updates", "What one step of the optimizer adds to the parameters."],
  ["activations", "Outputs of the layers on a probe batch, in evaluation mode."],
  ["training_activations", "Outputs of the layers in the training pass itself."],
  ["activation_gradients", "Gradients of the loss with respect to the outputs of the layers, in the training pass itself."],
  ["linear_probes", "How well a linear classifier tells the classes from the output of each layer."],
]);

export interface Node {
  id: string;
  kind: string;
  module: string;
  call: number;
  parent: string | null;
  class_name: string;
  op: string;
  input_shapes: number[][];
  input_dtypes: string[];
  output_shapes: number[][];
  output_dtypes: string[];
  own_parameters: number;
  total_parameters: number;
  own_bytes: number;
  total_bytes: number;
  trainable: boolean | null;
  trainable_parameters: number;
  tied: string[];
  flops: number | null;
  activation_bytes: number;
  extra_repr: string;
  source: string;
  doc: string;
}

export interface Edge {
  source: string;
  target: string;
  shape: number[] | null;
}

export interface Fold {
  id: string;
  parent: string | null;
  members: string[][];
  label: string;
  shared: boolean;
  uniform: boolean;
}

export interface GraphBlob {
  nodes: Node[];
  edges: Edge[];
  inputs: string[];
  outputs: string[];
  class_name: string;
  total_parameters: number;
  trainable_parameters: number;
  warnings: string[];
  folds: Fold[];
  recorder: string;
  stopped_in: string | null;
  failure: string;
}

export interface Statistic {
  name: string;
  scale: string;
  help: string;
}

export interface GraphMetadata {
  kind: "graph";
  name: string;
  version: number;
}

export interface SeriesMetadata {
  kind: "series";
  name: string;
  layers: string[];
  owners: string[];
  statistics: Statistic[];
  version: number;
}

export interface HistogramsMetadata {
  kind: "histograms";
  name: string;
  layers: string[];
  owners: string[];
  edges: number[];
  version: number;
}

export interface SamplesMetadata {
  kind: "samples";
  name: string;
  version: number;
}

export interface AttributionMetadata {
  kind: "attribution";
  name: string;
  method: string;
  samples: string;
  signed: boolean;
  layers: string[];
  inputs: number[];
  version: number;
}

export interface MaximizationMetadata {
  kind: "maximization";
  name: string;
  units: Unit[];
  modality: string;
  samples: string;
  version: number;
}

export interface SurrogateMetadata {
  kind: "surrogate";
  name: string;
  version: number;
}

export interface FindingsMetadata {
  kind: "findings";
  name: string;
  version: number;
}

export interface LayerArraysMetadata {
  kind: "activation" | "weight" | "attention" | "embedding";
  name: string;
  layers: string[];
  owners: string[];
  samples: string;
  version: number;
}

export interface Unit {
  layer: string;
  channel: number;
  objective: string;
  position: number[] | null;
}

export interface TopSample {
  sample: number;
  objective: number;
  box: number[] | null;
}

export interface MaximizationStep {
  objectives: number[];
  top_samples: TopSample[][];
  tokens: string[][];
  ascent_steps: number[];
}

export interface ProbeInput {
  name: string;
  modality: string;
  feature_names: string[];
  tokens: string[][];
}

export interface SamplesBlob {
  inputs: ProbeInput[];
  class_names: string[];
}

export interface TrustScore {
  name: string;
  label: string;
  better: string;
  help: string;
}

export interface TreeNode {
  samples: number;
  value: number[];
  feature: number;
  threshold: number;
  left: number;
  right: number;
}

export interface Surrogate {
  surrogate: string;
  of: string;
  feature_names: string[];
  output_names: string[];
  score: number;
  training_score: number;
  score_name: string;
  training_samples: number;
  held_out_samples: number;
  importances: number[][];
  tree: TreeNode[];
}

export interface RunListing {
  runs: string[];
  version: number;
}

export interface TagEntry {
  tag: string;
  kind: string;
  metadata: GraphMetadata | SeriesMetadata | HistogramsMetadata | SamplesMetadata | AttributionMetadata | MaximizationMetadata | SurrogateMetadata | FindingsMetadata | LayerArraysMetadata | null;
  steps: number[];
  problem: string;
  max_step: number | null;
  max_wall_time: number | null;
}

export interface TagListing {
  run: string;
  tags: TagEntry[];
  scalars: string[];
  version: number;
}

export interface Finding {
  detector: string;
  severity: string;
  step: number;
  layer: string;
  row: string;
  measure: string;
  message: string;
  evidence: Record<string, number>;
  rule: string;
  source: string;
  others: string[];
}

export interface Unjudged {
  detectors: string[];
  reason: string;
}

export interface FindingsListing {
  run: string;
  findings: Finding[];
  examined: boolean;
  unjudged: Unjudged[];
  version: number;
}

export interface NodeComparison {
  a: string | null;
  b: string | null;
  state: string;
  changes: string[];
}

export interface ComparisonListing {
  run: string;
  other: string;
  nodes: NodeComparison[];
  version: number;
}

export const TRUST: ReadonlyMap<string, TrustScore> = new Map([
  ["completeness", {"name": "completeness", "label": "completeness gap", "better": "lower", "help": "What the attributions fail to add up to, over the change of the target that they should explain."}],
  ["deletion", {"name": "deletion", "label": "deletion", "better": "lower", "help": "Mean probability of the target (of a score without one its share, 1 with everything there and 0 with nothing) while the features said to matter most are removed first."}],
  ["insertion", {"name": "insertion", "label": "insertion", "better": "higher", "help": "The same while the features said to matter most come back first."}],
  ["deletion_random", {"name": "deletion_random", "label": "deletion, random order", "better": "lower", "help": "The same for a random order; of images, for the same map moved elsewhere."}],
  ["insertion_random", {"name": "insertion_random", "label": "insertion, random order", "better": "higher", "help": "The same for a random order; of images, for the same map moved elsewhere."}],
  ["deletion_input", {"name": "deletion_input", "label": "deletion, by input", "better": "lower", "help": "The same in order of the input's magnitude."}],
  ["insertion_input", {"name": "insertion_input", "label": "insertion, by input", "better": "higher", "help": "The same in order of the input's magnitude."}],
  ["randomization", {"name": "randomization", "label": "weight randomization", "better": "lower", "help": "Rank correlation (0 to 1) with the attribution of the same network with random weights."}],
  ["noise", {"name": "noise", "label": "noise floor", "better": "lower", "help": "Standard error of a sampled attribution, over its largest magnitude: smaller differences mean nothing."}],
]);

export type Metadata = GraphMetadata | SeriesMetadata | HistogramsMetadata | SamplesMetadata | AttributionMetadata | MaximizationMetadata | SurrogateMetadata | FindingsMetadata | LayerArraysMetadata;
