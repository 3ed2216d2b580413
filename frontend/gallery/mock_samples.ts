/** Samples of every kind of data, and attributions of them, for log directories that never were. */

import type { Tensor } from "../src/safetensors";
import type { ProbeInput, SamplesBlob } from "../src/wire";
import { seeded } from "./mock_numbers";

export const HOSTILE_TOKENS = ["<img", "src=x", "onerror=alert(1)>", "\u202Egnp.exe", "\u200F", "&amp;", "__proto__"];
const HELPFUL = "the service was not just slow , it was un ##believ ##ably awful and the soup arrived cold".split(" ");
const REVIEW = Array.from({ length: 9 }, () => HELPFUL).flat();
const ARABIC = "\u0647\u0630\u0627 \u0641\u064A\u0644\u0645 \u0631\u0627\u0626\u0639 \u062C\u062F\u0627".split(" ");
const LENGTH = 160;

/** Tokens, padded to one length: a short text, a long one, one that tries to be markup, one from right to left. */
export const TEXTS: readonly (readonly string[])[] = [
  ["[CLS]", ...HELPFUL, "[SEP]"],
  ["[CLS]", ...REVIEW, "[SEP]"],
  HOSTILE_TOKENS,
  ARABIC,
].map((tokens) => Array.from({ length: LENGTH }, (_, at) => tokens[at] ?? ""));

export const COLUMNS: readonly string[] = [
  ..."mean radius,mean texture,mean perimeter,mean area,mean smoothness,mean compactness,worst radius".split(","),
  ..."worst texture,worst perimeter,worst area,worst concave points,radius error,texture error,area error".split(","),
  "<img src=x onerror=alert(1)>",
  "\u202Ea name written backwards",
  "a_name_that_is_far_too_long_for_any_column_that_anybody_would_give_it",
];

const VARIABLES = ["acceleration x", "acceleration y", "<b>gyroscope</b>"];
const TIMES = 240;

export type Kind = "text" | "table" | "time_series";

export interface MockSamples {
  readonly inputs: Tensor;
  readonly description: SamplesBlob;
  /** Attributions at a time from 0 to 1 of the training; `index` tells inputs that differ. */
  readonly attributions: (t: number, signed: boolean) => Tensor;
}

export function mockSamples(kind: Kind): MockSamples {
  const shape = { text: [4, LENGTH], table: [4, COLUMNS.length], time_series: [3, TIMES, VARIABLES.length] }[kind];
  const size = shape.reduce((product, length) => product * length, 1);
  const described: ProbeInput = {
    name: "x",
    modality: kind,
    feature_names: kind === "table" ? [...COLUMNS] : kind === "time_series" ? [...VARIABLES] : [],
    tokens: kind === "text" ? TEXTS.map((text) => [...text]) : [],
  };
  const [random, values] = [seeded(5), new Float32Array(size)];
  for (let at = 0; at < size; at++) {
    const time = Math.floor(at / VARIABLES.length) % TIMES;
    values[at] =
      kind === "time_series" ? Math.sin(time / (9 + 7 * (at % VARIABLES.length))) + 0.2 * random() : 40 * random() ** 2;
  }
  return {
    inputs: { shape, data: values },
    description: { inputs: [described], class_names: ["positive", "<i>negative</i>", "\u202Eneutral", "other"] },
    attributions: (t, signed) => {
      const noise = seeded(11);
      const data = Float32Array.from(values, (_, at) => {
        const bump = kind === "time_series" ? Math.exp(-((((at / VARIABLES.length) % TIMES) - 120) ** 2) / 400) : 1;
        const value = 0.3 * noise() ** 4 * (noise() < 0.35 ? -1 : 1) * bump * (0.3 + 0.7 * t);
        return signed ? value : Math.abs(value);
      });
      if (kind === "text") data[3] = Number.NaN;
      return { shape, data };
    },
  };
}
