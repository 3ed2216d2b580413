import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/safetensors";
import { scoresOf } from "../../src/views/trust";

const tensor = (...values: number[]): Tensor => ({ shape: [values.length], data: Float32Array.from(values) }) as Tensor;

describe("how far to trust an attribution", () => {
  test("scores are means over the samples, beside those of a random order and of the input", () => {
    const scores = scoresOf(
      new Map([
        ["deletion", tensor(0.1, 0.3)],
        ["deletion_random", tensor(0.5, 0.7)],
        ["deletion_input", tensor(0.25, 0.25)],
      ]),
    );
    expect(scores.map(({ name, doubt }) => [name, doubt])).toEqual([["deletion", ""]]);
    expect(scores[0]?.value).toBeCloseTo(0.2);
    expect(scores[0]?.beside.map(({ label, value }) => [label, Math.round(100 * value)])).toEqual([
      ["random", 60],
      ["raw input", 25],
    ]);
  });

  test("what speaks against it is said", () => {
    const doubts = (...entries: [string, Tensor][]) => scoresOf(new Map(entries)).map(({ doubt }) => doubt);
    expect(doubts(["completeness", tensor(0.3)])).toEqual(["above 0.1: it does not add up to what it should explain"]);
    expect(doubts(["completeness", tensor(0.01)])).toEqual([""]);
    expect(doubts(["deletion", tensor(0.6)], ["deletion_random", tensor(0.5)])).toEqual([
      "no better than a random order",
    ]);
    expect(doubts(["insertion", tensor(0.6)], ["insertion_random", tensor(0.5)])).toEqual([""]);
    expect(doubts(["randomization", tensor(0.9)])).toEqual(["above 0.5: random weights give much the same map"]);
  });

  test("samples without a score do not count, and scores without any are left out", () => {
    const scores = scoresOf(
      new Map([
        ["noise", tensor(Number.NaN, 0.2)],
        ["completeness", tensor(Number.NaN)],
      ]),
    );
    expect(scores.map(({ name }) => name)).toEqual(["noise"]);
    expect(scores[0]?.value).toBeCloseTo(0.2);
  });
});
