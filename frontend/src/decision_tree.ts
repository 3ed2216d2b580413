/**
 * The part of a surrogate's decision tree that is shown. A node is known by the way to it: "." is the root, ".yn" what
 * follows a yes and then a no. So what is open stays open while the step changes, and the tree with it.
 */

import { formatNumber, formatShare, plural } from "./format";
import type { Problem, ProblemEdge } from "./layout/problem";
import { visible } from "./token_text";
import type { Surrogate, TreeNode } from "./wire";

/** A node on view. */
export interface Branch {
  readonly path: string;
  readonly node: TreeNode;
  /** What is asked: the feature, and the threshold as people read it. Null in a leaf. */
  readonly question: { readonly feature: string; readonly threshold: string } | null;
  /** Whether its answers are on view. */
  readonly open: boolean;
  /** How many nodes lie below it. */
  readonly below: number;
}

export const ROOT = ".";
/** In the place of ways: everything, as far as a level has no more than `MOST_ABREAST` nodes. */
export const EVERYTHING = "*";
export const MOST_ABREAST = 128;

/** The nodes on view while the questions at `open` are open: each before what follows, yes before no. */
export function branchesOf(surrogate: Surrogate, open: ReadonlySet<string>): Branch[] {
  const { tree, feature_names: names } = surrogate;
  const below = countsBelow(tree);
  const found: Branch[] = [];
  const waiting: [path: string, index: number][] = [[ROOT, 0]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [path, index] = next;
    const node = tree[index];
    if (node === undefined) continue;
    const asks = node.feature >= 0;
    const feature = visible(names[node.feature] ?? `feature ${node.feature}`);
    const question = asks ? { feature, threshold: formatNumber(node.threshold) } : null;
    found.push({ path, node, question, open: asks && open.has(path), below: below[index] ?? 0 });
    if (asks && open.has(path)) waiting.push([`${path}n`, node.right], [`${path}y`, node.left]);
  }
  return found;
}

/** How many nodes lie below each; children stand behind their parents. */
function countsBelow(tree: readonly TreeNode[]): number[] {
  const counts = tree.map(() => 0);
  for (let index = tree.length - 1; index >= 0; index--) {
    const { feature, left, right } = tree[index] as TreeNode;
    if (feature >= 0) counts[index] = 2 + (counts[left] ?? 0) + (counts[right] ?? 0);
  }
  return counts;
}

/** The questions to open at first: whole levels, as long as none on view is wider than `widest` nodes; at least one. */
export function openingPaths({ tree }: Surrogate, widest: number): Set<string> {
  const open = new Set<string>();
  let level: [path: string, index: number][] = [[ROOT, 0]];
  for (;;) {
    const asking = level.filter(([, index]) => (tree[index]?.feature ?? -1) >= 0);
    if (asking.length === 0 || (2 * asking.length > widest && open.size > 0)) return open;
    for (const [path] of asking) open.add(path);
    level = asking.flatMap(([path, index]) => {
      const { left, right } = tree[index] as TreeNode;
      return [
        [`${path}y`, left],
        [`${path}n`, right],
      ] as [string, number][];
    });
  }
}

/** Where the arrow keys lead among the nodes on view; null for nowhere. */
export function neighbour(branches: readonly Branch[], path: string, key: string): string | null {
  const has = (other: string) => (branches.some((branch) => branch.path === other) ? other : null);
  if (key === "ArrowUp") return path === ROOT ? null : path.slice(0, -1);
  if (key === "ArrowDown") return has(`${path}y`);
  if (key === "Home") return ROOT;
  const level = branches.filter((branch) => branch.path.length === path.length).map((branch) => branch.path);
  const by = key === "ArrowLeft" ? -1 : key === "ArrowRight" ? 1 : 0;
  return by === 0 ? null : (level[level.indexOf(path) + by] ?? null);
}

/** What the tree says in its nodes: shares of classes, which sum to 1, or one number. */
export type Saying =
  | { readonly kind: "shares"; readonly names: readonly string[] }
  | { readonly kind: "number"; readonly name: string; readonly output: number; readonly span: [number, number] };

/** How to read the values of a tree; of several that are no shares, those of `output`. */
export function sayingOf({ tree, output_names: names }: Surrogate, output: number): Saying {
  const isShare = ({ value }: TreeNode) =>
    value.length > 1 && value.every((share) => share >= 0) && Math.abs(sum(value) - 1) < 1e-3;
  if (tree.every(isShare)) return { kind: "shares", names: names.map(visible) };
  const at = Math.min(output, Math.max(0, names.length - 1));
  const values = tree.map(({ value }) => value[at] ?? 0);
  const span = values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
  return { kind: "number", name: visible(names[at] ?? `output ${at}`), output: at, span };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** What the tree says in a node, in a word and a number. */
export function answerOf(saying: Saying, { value }: TreeNode): { readonly name: string; readonly number: string } {
  if (saying.kind === "number")
    return { name: `${saying.name}:`, number: formatNumber(value[saying.output] ?? Number.NaN) };
  const most = value.reduce((best, share, at) => (share > (value[best] ?? 0) ? at : best), 0);
  return { name: saying.names[most] ?? `output ${most}`, number: formatShare(value[most] ?? 0) };
}

/** The way to a node and what the tree says there, as a sentence. */
export function sentenceOf(branches: readonly Branch[], path: string, saying: Saying): string {
  const at = new Map(branches.map((branch) => [branch.path, branch]));
  const steps = Array.from(path.slice(1), (answer, depth) => {
    const { question } = at.get(path.slice(0, depth + 1)) ?? {};
    return question ? `${question.feature} ${answer === "y" ? "≤" : ">"} ${question.threshold}` : "";
  });
  const branch = at.get(path);
  if (branch === undefined) return "";
  const { name, number } = answerOf(saying, branch.node);
  return `${steps.join(", ") || "all"}: ${plural(branch.node.samples, "sample")}, ${name} ${number}`;
}

export interface BranchSize {
  readonly width: number;
  readonly height: number;
}

/** Where the answers leave a question, as a share of its width: yes on the left, no as far from the right. */
const YES = 0.2;
/** Graphviz leaves wide gaps between boxes; those of a tree may stand closer. */
export const CLOSER = 10;
/** Room below a question for the words yes and no. */
export const ANSWER_ROOM = 13;

/** The tree on view as a layout problem: sizes and positions in the list, nothing else. A level stands in one row. */
export function problemOf(branches: readonly Branch[], sizes: readonly BranchSize[]): Problem {
  const place = new Map(branches.map(({ path }, index) => [path, index]));
  const tallest = new Map<number, number>();
  branches.forEach(({ path, open }, index) => {
    const height = (sizes[index]?.height ?? 0) + (open ? ANSWER_ROOM : 0);
    tallest.set(path.length, Math.max(height, tallest.get(path.length) ?? 0));
  });
  const boxes = branches.map(({ path, open }, index) => {
    const width = Math.round((sizes[index]?.width ?? 0) - CLOSER);
    const outPorts = open ? [Math.round(YES * width), Math.round((1 - YES) * width)] : [];
    return { width, height: tallest.get(path.length) ?? 0, inPorts: [Math.round(width / 2)], outPorts };
  });
  const edges = branches.flatMap(({ path }, index): ProblemEdge[] => {
    const parent = place.get(path.slice(0, -1));
    return parent === undefined ? [] : [[parent, path.endsWith("y") ? 0 : 1, index, 0]];
  });
  return { boxes, inPorts: 0, outPorts: 0, edges };
}
