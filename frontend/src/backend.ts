/** The HTTP API of the plugin (viewing/http_api.md) as functions. Every URL is relative to this module's own. */

import { type ModelGraph, toGraph } from "./graph";
import { parseSafetensors, type Tensor, type Tensors } from "./safetensors";
import type {
  ComparisonListing,
  FindingsListing,
  GraphBlob,
  MaximizationStep,
  RunListing,
  SamplesBlob,
  Surrogate,
  TagListing,
} from "./wire";

/** The numbers of one tag: `values[(step * rows + row) * columns + column]`. */
export interface Numbers {
  readonly steps: readonly number[];
  readonly wallTimes: readonly number[];
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** Which of the numbers of a tag. */
export interface Wanted {
  /** Only these rows, in the order in which the tag has them. */
  readonly rows?: readonly string[];
  /** Only later steps than this. */
  readonly after?: number;
}

/** Where the data comes from; the gallery and the tests give their own. Failures are `Error`s in words. */
export interface Backend {
  runs(signal: AbortSignal): Promise<RunListing>;
  tags(run: string, signal: AbortSignal): Promise<TagListing>;
  findings(run: string, signal: AbortSignal): Promise<FindingsListing>;
  /** Which node of the structure of `other` each node of that of `run` is taken for. */
  comparison(run: string, other: string, signal: AbortSignal): Promise<ComparisonListing>;
  /** The numbers of a series or histograms tag, all of them or what `wanted` says. */
  array(run: string, tag: string, wanted: Wanted, signal: AbortSignal): Promise<Numbers>;
  /** One scalar of the user's. */
  scalar(run: string, tag: string, signal: AbortSignal): Promise<Numbers>;
  graph(run: string, tag: string, step: number, signal: AbortSignal): Promise<ModelGraph>;
  /** Samples or attribution maps. */
  tensors(run: string, tag: string, step: number, signal: AbortSignal): Promise<Tensors>;
  /** How to show samples; null in logs that do not tell. */
  description(run: string, tag: string, step: number, signal: AbortSignal): Promise<SamplesBlob | null>;
  maximization(run: string, tag: string, step: number, signal: AbortSignal): Promise<MaximizationStep>;
  surrogate(run: string, tag: string, step: number, signal: AbortSignal): Promise<Surrogate>;
  /** Arrays that are not the first of the blobs. */
  arrays(run: string, tag: string, step: number, index: number, signal: AbortSignal): Promise<Tensors>;
  /** The tensors of a run that TensorBoard's Projector has, by their names; none where it is not installed. */
  projected(run: string, signal: AbortSignal): Promise<readonly string[]>;
  /** Address of the Projector's page. */
  projectorUrl(): string;
  /** Address of the image of unit `unit` (from 0). */
  imageUrl(run: string, tag: string, step: number, unit: number): string;
}

/** The backend behind `base`, by default the plugin's own routes beside the directory of this module. */
export function httpBackend(base: string = new URL(/* @vite-ignore */ "..", import.meta.url).href): Backend {
  const url = (route: string, query: Query): string => {
    const target = new URL(route, base);
    for (const [key, value] of query) target.searchParams.append(key, String(value));
    return target.href;
  };
  const ask = async (route: string, query: Query, signal: AbortSignal): Promise<Response> => {
    const response = await reached(url(route, query), signal);
    if (!response.ok) throw new Error(await refusal(response));
    return response;
  };
  const json = async <T>(route: string, query: Query, signal: AbortSignal): Promise<T> =>
    (await ask(route, query, signal)).json() as Promise<T>;
  const tensors = async (route: string, query: Query, signal: AbortSignal): Promise<Tensors> =>
    parseSafetensors(await (await ask(route, query, signal)).arrayBuffer());
  const blob = (run: string, tag: string, step: number, index: number): Query => [
    ["run", run],
    ["tag", tag],
    ["step", step],
    ["index", index],
  ];
  return {
    runs: (signal) => json("runs", [], signal),
    tags: (run, signal) => json("tags", [["run", run]], signal),
    findings: (run, signal) => json("findings", [["run", run]], signal),
    comparison: (run, other, signal) =>
      json(
        "comparison",
        [
          ["run", run],
          ["other", other],
        ],
        signal,
      ),
    array: async (run, tag, { rows = [], after }, signal) => {
      const query: Query = [["run", run], ["tag", tag], ...rows.map((row): [string, string] => ["layer", row])];
      if (after !== undefined) query.push(["after", after]);
      return toNumbers(await tensors("array", query, signal));
    },
    scalar: async (run, tag, signal) => {
      const query: Query = [
        ["run", run],
        ["scalar", tag],
      ];
      return toNumbers(await tensors("array", query, signal));
    },
    graph: (run, tag, step, signal) => json<GraphBlob>("blob", blob(run, tag, step, 0), signal).then(toGraph),
    tensors: (run, tag, step, signal) => tensors("blob", blob(run, tag, step, 0), signal),
    arrays: (run, tag, step, index, signal) => tensors("blob", blob(run, tag, step, index), signal),
    description: async (run, tag, step, signal) => {
      const response = await reached(url("blob", blob(run, tag, step, 1)), signal);
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(await refusal(response));
      return response.json() as Promise<SamplesBlob>;
    },
    maximization: (run, tag, step, signal) => json("blob", blob(run, tag, step, 0), signal),
    surrogate: (run, tag, step, signal) => json("blob", blob(run, tag, step, 0), signal),
    projected: async (run, signal) => {
      const runs = await reached(url("../projector/runs", []), signal); // asked of a run without any, it complains
      if (!runs.ok || !((await runs.json()) as readonly string[]).includes(run)) return [];
      const response = await ask("../projector/info", [["run", run]], signal);
      const { embeddings = [] } = (await response.json()) as { embeddings?: { tensorName?: string }[] };
      return embeddings.flatMap(({ tensorName }) => tensorName ?? []);
    },
    projectorUrl: () => url("../projector/projector_binary.html", []),
    imageUrl: (run, tag, step, unit) => url("blob", blob(run, tag, step, unit + 1)),
  };
}

type Query = [string, string | number][];

async function reached(url: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Error("TensorBoard does not answer. Is it still running?");
  }
}

async function refusal(response: Response): Promise<string> {
  const type = response.headers.get("content-type") ?? "";
  const words = type.startsWith("text/plain") ? (await response.text()).trim() : "";
  return words || `TensorBoard answered ${response.status} ${response.statusText}.`;
}

/** Check the tensors of an `array` answer against each other. */
export function toNumbers(tensors: Tensors): Numbers {
  const steps = needed(tensors, "steps");
  const wallTimes = needed(tensors, "wall_times");
  const { shape, data } = needed(tensors, "values");
  const [count = 0, rows = 0, columns = 0] = shape;
  if (shape.length !== 3 || steps.data.length !== count || !(data instanceof Float32Array)) {
    throw new Error(`The array has values of shape [${shape.join(", ")}] but ${steps.data.length} steps.`);
  }
  return { steps: Array.from(steps.data), wallTimes: Array.from(wallTimes.data), rows, columns, values: data };
}

function needed(tensors: Tensors, name: string): Tensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`The answer lacks its tensor "${name}".`);
  return tensor;
}
