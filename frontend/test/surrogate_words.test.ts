import { describe, expect, test } from "vitest";
import { SURROGATES } from "../gallery/mock_surrogates";
import { doubtOf, fitOf, importanceHelp, scoreText, titleOf, titleOfName } from "../src/surrogate_words";
import type { Surrogate } from "../src/wire";

const surrogate = (changes: Partial<Surrogate>): Surrogate => ({
  ...(SURROGATES["inputs/random_forest"]?.(0) as Surrogate),
  ...changes,
});

test("a surrogate is called by its kind and by what it sees", () => {
  expect(titleOf(surrogate({}))).toEqual(["random forest", "of the inputs"]);
  expect(titleOf(surrogate({ of: "\u202Efc" }))).toEqual(["random forest", "of layer \u2039U+202E\u203Afc"]);
  expect(titleOfName("a/b/decision_tree")).toEqual(["decision tree", "of layer a/b"]);
});

test("a score is a share of samples or of the variance, which may be less than nothing", () => {
  expect(scoreText(surrogate({ score_name: "agreement" }), 0.9859)).toBe("98.6 %");
  expect(scoreText(surrogate({ score_name: "r2" }), 0.9134)).toBe("0.913");
  expect(scoreText(surrogate({ score_name: "r2" }), -0.12)).toBe("-0.12");
});

describe("how well it imitates", () => {
  test("is said of the samples that it was not fitted to", () => {
    expect(fitOf(surrogate({ score: 0.913 }))).toBe(
      "Fitted to what the network says of 427 samples, from the inputs. Of 142 samples held out it explains 91.3 % of the variance.",
    );
    expect(fitOf(surrogate({ score: -0.12, of: "fc1" }))).toBe(
      "Fitted to what the network says of 427 samples, from the output of layer fc1. Of 142 samples held out it says no more than their mean would.",
    );
    expect(fitOf(surrogate({ score: 0.5, score_name: "agreement", held_out_samples: 1 }))).toContain(
      "Of 1 sample held out it gives 50 % the same class.",
    );
  });

  test("is doubted where it is bad, or much better on what it was fitted to", () => {
    const doubt = (score: number, training_score: number, score_name = "r2") =>
      doubtOf(surrogate({ score, training_score, score_name })).split(" ").slice(0, 4).join(" ");
    expect(doubt(0.9, 0.95)).toBe("");
    expect(doubt(0.49, 0.5)).toBe("It imitates the network");
    expect(doubt(0.79, 0.79, "agreement")).toBe("It imitates the network");
    expect(doubt(0.81, 0.85, "agreement")).toBe("");
    expect(doubt(0.8, 0.95)).toBe("It does much better");
  });
});

test("the bars say what they are", () => {
  expect(importanceHelp(surrogate({ surrogate: "logistic_regression" }))).toContain("log odds");
  expect(importanceHelp(surrogate({ surrogate: "linear_regression" }))).toContain("adds to the output");
  expect(importanceHelp(surrogate({}))).toContain("splits");
});
