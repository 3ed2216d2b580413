/** Findings as the views need them: in what order, how many, where in the model, and which one is looked at. */

import { formatStep } from "./format";
import type { Selection } from "./url";
import type { Finding } from "./wire";

export type Severity = "error" | "warning";

/** Anything that is no error counts as a warning, so that a name that is new here is not lost. */
export function severityOf({ severity }: Finding): Severity {
  return severity === "error" ? "error" : "warning";
}

/** What tells a finding from all others of its run: it is found once for each rule, row and step. */
export function keyOf({ detector, step, layer, row }: Finding): string {
  return JSON.stringify([detector, step, layer, row]);
}

/** Errors first, and of each severity what came first: the start of the trouble is on top. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const rank = (finding: Finding) => (severityOf(finding) === "error" ? 0 : 1);
  return [...findings].sort((one, other) => rank(one) - rank(other) || one.step - other.step);
}

export function counts(findings: readonly Finding[]): Record<Severity, number> {
  const errors = findings.filter((finding) => severityOf(finding) === "error").length;
  return { error: errors, warning: findings.length - errors };
}

/** How many, in words: `2 errors, 1 warning`. */
export function countWords({ error, warning }: Record<Severity, number>): string {
  const words = (count: number, one: string) => (count === 0 ? [] : [`${count} ${one}${count === 1 ? "" : "s"}`]);
  return [...words(error, "error"), ...words(warning, "warning")].join(", ");
}

/** What to choose so that a finding is seen: its layer, row and step, coloured by what shows it. */
export function placeOf(finding: Finding): Partial<Selection> {
  return {
    finding: keyOf(finding),
    findings: true,
    layer: finding.layer || null,
    row: finding.row || null,
    step: finding.step,
    ...(finding.measure ? { measure: finding.measure } : {}),
  };
}

/** Layer -> what was found there, the worst first. What is found of the model as a whole has no layer. */
export function byLayer(findings: readonly Finding[]): ReadonlyMap<string, readonly Finding[]> {
  const found = new Map<string, Finding[]>();
  for (const finding of inOrder(findings)) {
    if (finding.layer !== "") found.set(finding.layer, [...(found.get(finding.layer) ?? []), finding]);
  }
  return found;
}

/** What a glyph stands for: what was found in a place itself, or in what it holds. */
export interface Flag {
  readonly severity: Severity;
  /** False where only something inside has findings. */
  readonly own: boolean;
  /** False if all of it comes after the current step. */
  readonly reached: boolean;
  /** In words, for those who do not see the glyph, and for the tooltip. */
  readonly words: string;
}

const MOST_WORDS = 3;

/** The glyph of a place with these findings, at a step; null where there are none. */
export function flagOf(own: readonly Finding[], inside: readonly Finding[], step: number): Flag | null {
  const shown = own.length > 0 ? own : inside;
  if (shown.length === 0) return null;
  const told = own.length > 0 ? "" : "inside: ";
  const each = shown.slice(0, MOST_WORDS).map((finding) => `${titleOf(finding)} at step ${formatStep(finding.step)}`);
  const more = shown.length > MOST_WORDS ? [`${shown.length - MOST_WORDS} more`] : [];
  return {
    severity: shown.some((finding) => severityOf(finding) === "error") ? "error" : "warning",
    own: own.length > 0,
    reached: shown.some((finding) => finding.step <= step),
    words: `${told}${[...each, ...more].join(", ")}`,
  };
}

const TITLES: Readonly<Record<string, string>> = { nan: "NaN", infinity: "infinity", inf: "infinity" };

/** What was found, by the name of the rule: `vanishing`, `update ratio`, `NaN`. */
export function titleOf({ detector }: Finding): string {
  return Object.hasOwn(TITLES, detector) ? (TITLES[detector] as string) : detector.replaceAll("_", " ");
}
