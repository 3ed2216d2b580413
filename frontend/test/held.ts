/** A backend that keeps what units respond to and what layers hold, for the tests of both. */

import { mockBackend } from "../gallery/mock";
import type { Backend } from "../src/backend";
import type { Tensor, Tensors } from "../src/safetensors";
import type { LayerArraysMetadata, MaximizationMetadata, MaximizationStep, TagEntry } from "../src/wire";
import { TYPICAL } from "./fakes";

export const STEPS = [0, 200, 400];

export function entry(metadata: LayerArraysMetadata | MaximizationMetadata, steps = STEPS, tag = ""): TagEntry {
  const name = tag || `layerscope/${metadata.kind}/${metadata.name}`;
  return { tag: name, kind: metadata.kind, metadata, steps, problem: "", max_step: 400, max_wall_time: 400 };
}

export function held(kind: LayerArraysMetadata["kind"], layers: string[], owners = layers): LayerArraysMetadata {
  return { kind, name: "probe", layers, owners, samples: kind === "weight" ? "" : "probe", version: 1 };
}

export const UNITS: MaximizationMetadata = {
  kind: "maximization",
  name: "units",
  version: 1,
  modality: "image",
  samples: "probe",
  units: [
    { layer: "stem", channel: 0, objective: "channel", position: null },
    { layer: "other", channel: 10, objective: "channel", position: null },
    { layer: "stem", channel: 20, objective: "neuron", position: null },
    { layer: "", channel: 7, objective: "logit", position: null },
  ],
};

export const tensor = (...data: number[]): Tensor => ({ shape: [data.length], data: Float32Array.from(data) });

/** A backend that holds these tags as well; their arrays tell their step, unless `arrays` says what they are. */
export function holding(
  entries: readonly TagEntry[],
  header: Partial<MaximizationStep> = {},
  arrays?: (step: number) => Tensors,
): Backend {
  const base = mockBackend(TYPICAL);
  const own = new Set(entries.map(({ tag }) => tag));
  return {
    ...base,
    tags: async (run, signal) => {
      const listing = await base.tags(run, signal);
      return { ...listing, tags: [...listing.tags.filter(({ kind }) => kind !== "maximization"), ...entries] };
    },
    tensors: async (run, tag, step, signal): Promise<Tensors> =>
      own.has(tag)
        ? (arrays?.(step) ??
          new Map([
            ["values:stem", tensor(step)],
            ["values:stem:x", tensor(-1)],
            ["values:stem.weight", tensor(step + 1)],
            ["labels", tensor(5)],
          ]))
        : base.tensors(run, tag, step, signal),
    arrays: async (_run, _tag, step) => new Map([["0", tensor(step)]]),
    maximization: async (_run, _tag, step) => ({
      objectives: [1 + step, 2, 3, 4],
      top_samples: [],
      tokens: [],
      ascent_steps: [],
      ...header,
    }),
    imageUrl: (_run, _tag, step, unit) => `${step}/${unit}`,
  };
}
