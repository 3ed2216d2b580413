/** What a surrogate is and how far to believe it, in words. */

import { formatName, formatNumber, formatShare, plural } from "./format";
import { visible } from "./token_text";
import type { Surrogate } from "./wire";

/** Below this share of the variance, or of the samples, a surrogate says little of the network. */
const LITTLE: Readonly<Record<string, number>> = { r2: 0.5, agreement: 0.8 };
/** A surrogate that is better by this on the samples that it was fitted to has learned some of them by heart. */
const BY_HEART = 0.1;

/** Its kind and what it sees: "decision tree", "of the inputs". */
export function titleOf(surrogate: Pick<Surrogate, "surrogate" | "of">): readonly [kind: string, of: string] {
  const of = surrogate.of === "inputs" ? "of the inputs" : `of layer ${visible(surrogate.of)}`;
  return [formatName(surrogate.surrogate), of];
}

/** The same of a tag's name, for one that cannot be read. */
export function titleOfName(name: string): readonly [kind: string, of: string] {
  const cut = name.lastIndexOf("/");
  return titleOf({ surrogate: name.slice(cut + 1), of: name.slice(0, Math.max(0, cut)) });
}

export function scoreLabel({ score_name: name }: Surrogate): string {
  return name === "r2" ? "R²" : formatName(name);
}

/** A score as people read it: a share of the variance may be less than nothing. */
export function scoreText({ score_name: name }: Surrogate, score: number): string {
  return name === "agreement" ? formatShare(score) : formatNumber(score);
}

/** What it was fitted to, and how well it does on what it was not. */
export function fitOf(surrogate: Surrogate): string {
  const { held_out_samples: judged, training_samples: fitted, score, of } = surrogate;
  const seen = of === "inputs" ? "the inputs" : `the output of layer ${visible(of)}`;
  const start = `Fitted to what the network says of ${plural(fitted, "sample")}, from ${seen}. `;
  const others = `Of ${plural(judged, "sample")} held out `;
  if (surrogate.score_name === "agreement") return `${start}${others}it gives ${formatShare(score)} the same class.`;
  if (score <= 0) return `${start}${others}it says no more than their mean would.`;
  return `${start}${others}it explains ${formatShare(score)} of the variance.`;
}

/** Why not to take it for an explanation; "" if nothing speaks against it. */
export function doubtOf({ score, training_score: training, score_name: name }: Surrogate): string {
  if (score < (LITTLE[name] ?? 0)) return "It imitates the network badly: what it shows is not what the network does.";
  if (training - score > BY_HEART) return "It does much better on the samples that it was fitted to than on others.";
  return "";
}

/** What the bars of the features are. */
export function importanceHelp({ surrogate }: Surrogate): string {
  const known: Readonly<Record<string, string>> = {
    linear_regression: "What a standard deviation more of the feature adds to the output.",
    logistic_regression: "What a standard deviation more of the feature adds to the log odds of the class.",
  };
  return known[surrogate] ?? "Share of what the splits gain that is due to the feature.";
}
