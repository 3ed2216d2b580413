/** Surrogates that never were: shares of classes, one number, a tree that is too deep, names that try to be markup. */

import type { Surrogate, TreeNode } from "../src/wire";
import { seeded } from "./mock_numbers";
import { COLUMNS } from "./mock_samples";

const CLASSES = ["malignant", "benign"];

/** A tree of so many levels whose nodes say shares of the classes (or one number); some questions end early, by chance. */
export function mockTree(depth: number, outputs: number, seed = 3, early = 0.2): TreeNode[] {
  const random = seeded(seed);
  const nodes: TreeNode[] = [];
  const grow = (level: number, samples: number): number => {
    const place = nodes.length;
    const raw = Array.from({ length: outputs }, () => random() ** (1 + level));
    const total = raw.reduce((sum, value) => sum + value, 0);
    const value = outputs === 1 ? [random() * 4 - 1] : raw.map((share) => share / total);
    nodes.push({ samples, value, feature: -1, threshold: 0, left: -1, right: -1 });
    if (level < depth && (samples > 1 || early === 0) && (level < 2 || random() > early)) {
      const yes = Math.max(1, Math.round(samples * (0.2 + 0.6 * random())));
      const left = grow(level + 1, yes);
      const right = grow(level + 1, Math.max(1, samples - yes));
      const feature = Math.floor(random() * COLUMNS.length);
      nodes[place] = { samples, value, feature, threshold: (random() - 0.4) * 10 ** (level % 4), left, right };
    }
    return place;
  };
  grow(0, 427);
  return nodes;
}

const base: Surrogate = {
  ...{ surrogate: "decision_tree", of: "inputs", feature_names: [...COLUMNS], output_names: CLASSES, tree: [] },
  ...{ score: 0.9, training_score: 0.95, score_name: "r2", training_samples: 427, held_out_samples: 142 },
  importances: [COLUMNS.map((_, at) => 0.4 * 0.6 ** at)],
};
const coefficients = COLUMNS.map((_, at) => Math.sin(3 * at) * 4 * 0.8 ** at);

/** By the end of their tags' names, in which hostile ones stand too. */
export const SURROGATES: Readonly<Record<string, (t: number) => Surrogate>> = {
  "inputs/decision_tree": (t) => ({
    ...{ ...base, tree: mockTree(4, 2, 3 + Math.round(10 * t)) },
    ...{ score: 0.6 + 0.35 * t, training_score: 0.98 },
  }),
  "inputs/logistic_regression": (t) => ({
    ...{ ...base, surrogate: "logistic_regression", score_name: "agreement", score: 0.95 + 0.03 * t },
    ...{ training_score: 1, importances: [coefficients, coefficients.map((value) => -value)] },
  }),
  "inputs/random_forest": (t) => ({ ...base, surrogate: "random_forest", score: 0.9 + 0.08 * t, training_score: 0.99 }),
  "inputs/linear_regression": () => ({
    ...{ ...base, surrogate: "linear_regression", score: -0.12, training_score: 0.4 },
    ...{ output_names: ["<b>price</b>"], importances: [coefficients] },
  }),
  "fc1/decision_tree": () => ({
    ...{ ...base, of: "fc1", output_names: ["<b>price</b>"], tree: mockTree(12, 1) },
    ...{ score: 0.71, training_score: 0.999 },
  }),
};
