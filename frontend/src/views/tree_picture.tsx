import type { JSX, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { category, css } from "../colour";
import {
  ANSWER_ROOM,
  answerOf,
  type Branch,
  type BranchSize,
  CLOSER,
  neighbour,
  ROOT,
  type Saying,
  sentenceOf,
} from "../decision_tree";
import { formatNumber, plural } from "../format";
import type { Solution } from "../layout/problem";
import { pathOf } from "./structure_edges";
import { fitText, textWidth } from "./structure_text";
import "./tree_picture.css";

const PAD = 8;
const LINE = 14;
const BAR = 6;
const NARROWEST = 84;
const WIDEST = 172;
/** Width of an edge that every sample takes. */
const THICKEST = 7;

/** How much room a node takes: its question, what the tree says there, and of how many samples. */
export function branchSize(branch: Branch, saying: Saying): BranchSize {
  const { feature, threshold } = branch.question ?? { feature: "", threshold: "" };
  const answer = answerOf(saying, branch.node);
  const widths = [
    textWidth(feature, "question"),
    textWidth(`≤ ${threshold}`, "question"),
    textWidth(`${answer.name} ${answer.number}`, "answer"),
    textWidth(footOf(branch), "answer"),
  ];
  const width = Math.ceil(Math.min(WIDEST, Math.max(NARROWEST, ...widths.map((room) => room + 2 * PAD))));
  return { width, height: PAD + (branch.question ? 2 * LINE + 4 : 0) + BAR + 2 * LINE + PAD };
}

/** The last line of a node; of a closed question it says that more follows. */
function footOf({ node, question, open, below }: Branch): string {
  return question && !open ? `${node.samples.toLocaleString("en")} · ▸ ${below} more` : plural(node.samples, "sample");
}

export interface TreePictureProps {
  readonly branches: readonly Branch[];
  readonly sizes: readonly BranchSize[];
  readonly solution: Solution;
  readonly saying: Saying;
  readonly scale: number;
  readonly label: string;
  readonly onToggle: (path: string) => void;
}

/**
 * A decision tree: questions with their answers yes (left) and no (right), as wide as the share of the samples that
 * take them; in each node what the tree says there. The way to the node that is pointed at or focused is lit, and told.
 */
export function TreePicture(props: TreePictureProps): JSX.Element {
  const { branches, solution, saying, scale, label, onToggle } = props;
  const [at, setAt] = useState<string | null>(null);
  const root = useRef<HTMLDivElement>(null);
  const stop = at !== null && branches.some(({ path }) => path === at) ? at : ROOT;
  const lit = at ?? "";
  const key = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = neighbour(branches, stop, event.key);
    if (event.key === "Enter" || event.key === " ") onToggle(stop);
    else if (next !== null) {
      const nodes = [...(root.current?.querySelectorAll<SVGElement>("[data-branch]") ?? [])];
      nodes.find((node) => node.getAttribute("data-branch") === next)?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  useStill(root, props, stop);
  const all = branches[0]?.node.samples ?? 0;
  const indexOf = new Map(branches.map(({ path }, index) => [path, index]));
  const edges = branches.filter(({ path }) => indexOf.has(path.slice(0, -1)));
  const [width, height] = [solution.width + CLOSER, solution.height + 2];
  return (
    <>
      <p class="tree-readout" aria-hidden="true">
        {at === null ? (
          <span class="quiet">{hintOf(saying)}</span>
        ) : (
          <bdi>{sentenceOf(branches, at, saying) || hintOf(saying)}</bdi>
        )}
      </p>
      <div
        class="tree-scroll"
        ref={root}
        role="tree"
        aria-label={label}
        tabIndex={-1}
        onKeyDown={key}
        onMouseLeave={() => setAt(null)}
      >
        <svg
          data-drawing=""
          class="tree"
          width={width * scale}
          height={height * scale}
          viewBox={`${-CLOSER / 2} -1 ${width} ${height}`}
          role="none"
        >
          {edges.map(({ path, node }, index) => (
            <path
              key={path}
              class={lit.startsWith(path) ? "tree-edge lit" : "tree-edge"}
              d={wayOf(solution.edges[index] ?? [])}
              style={{ strokeWidth: `${1 + ((THICKEST - 1) * node.samples) / Math.max(1, all)}px` }}
            />
          ))}
          {branches.map((branch, index) => (
            <Node
              key={branch.path}
              {...props}
              branch={branch}
              index={index}
              lit={lit.startsWith(branch.path)}
              stop={branch.path === stop}
              onPoint={setAt}
            />
          ))}
        </svg>
      </div>
    </>
  );
}

/** Keep a node where it is on the screen while the tree grows and shrinks around it; show the root first. */
function useStill(
  root: RefObject<HTMLDivElement | null>,
  { branches, solution, sizes, scale }: TreePictureProps,
  path: string,
) {
  const last = useRef<{ readonly path: string; readonly x: number } | null>(null);
  useLayoutEffect(() => {
    const pane = root.current;
    const index = branches.findIndex((branch) => branch.path === path);
    if (pane === null || index < 0) return;
    const x = scale * ((solution.boxes[index]?.x ?? 0) + (sizes[index]?.width ?? 0) / 2);
    if (last.current === null) pane.scrollLeft = x - pane.clientWidth / 2;
    else if (last.current.path === path) pane.scrollLeft += x - last.current.x;
    last.current = { path, x };
  }, [root, branches, solution, sizes, scale, path]);
}

/**
 * From the foot of a question to the head of what follows, in one bend: nothing lies between two levels of a tree, and
 * the ways around things that Graphviz takes from a port have more.
 */
function wayOf(spline: readonly number[]): string {
  const [fromX = 0, fromY = 0] = spline;
  const [toX = 0, toY = 0] = spline.slice(-2);
  const top = fromY - ANSWER_ROOM;
  const middle = (top + toY) / 2;
  return pathOf([fromX, top, fromX, middle, toX, middle, toX, toY]);
}

const HINT = "The more samples take a way, the thicker it is. Point at a node for the way to it.";

function hintOf(saying: Saying): string {
  const { kind } = saying;
  if (kind === "shares") return HINT;
  const [low, high] = saying.span;
  return `Bars reach from ${formatNumber(low)} to ${formatNumber(high)}. ${HINT}`;
}

interface NodeProps extends TreePictureProps {
  readonly branch: Branch;
  readonly index: number;
  readonly lit: boolean;
  readonly stop: boolean;
  readonly onPoint: (path: string | null) => void;
}

function Node(props: NodeProps): JSX.Element {
  const { branch, branches, sizes, solution, saying, index, lit, stop, onPoint, onToggle } = props;
  const { path, question, open } = branch;
  const { width, height } = sizes[index] as BranchSize;
  const corner = solution.boxes[index] ?? { x: 0, y: 0 };
  const room = width - 2 * PAD;
  const answer = answerOf(saying, branch.node);
  const barY = PAD + (question ? 2 * LINE + 4 : 0);
  const said = fitText(answer.name, "answer", room - textWidth(` ${answer.number}`, "answer"));
  return (
    <g
      class={`tree-node${question ? "" : " leaf"}${lit ? " lit" : ""}`}
      transform={`translate(${corner.x - CLOSER / 2},${corner.y})`}
      role="treeitem"
      data-branch={path}
      tabindex={stop ? 0 : -1}
      aria-level={path.length}
      aria-label={
        sentenceOf(branches, path, saying) + (question ? `. Asks ${question.feature} ≤ ${question.threshold}` : "")
      }
      {...(question && { "aria-expanded": open })}
      onMouseEnter={() => onPoint(path)}
      onFocus={() => onPoint(path)}
      onBlur={() => onPoint(null)}
      onClick={() => question && onToggle(path)}
    >
      <rect class="tree-box" width={width} height={height} rx={question ? 4 : 12} />
      {question && (
        <>
          <text class="tree-question" x={PAD} y={PAD + 11}>
            {fitText(question.feature, "question", room)}
          </text>
          <text class="tree-question" x={PAD} y={PAD + LINE + 11}>
            ≤ {question.threshold}
          </text>
        </>
      )}
      <Bar branch={branch} saying={saying} x={PAD} y={barY} width={room} />
      <text class="tree-answer" x={PAD} y={barY + BAR + LINE - 1}>
        {said} <tspan class="tree-number">{answer.number}</tspan>
      </text>
      <text class="tree-count" x={PAD} y={barY + BAR + 2 * LINE - 1}>
        {footOf(branch)}
      </text>
      {open && <Answers {...props} />}
    </g>
  );
}

/** The words yes and no beside the beginnings of their edges. */
function Answers({ index, sizes, solution, branches, branch }: NodeProps): JSX.Element {
  const own = solution.boxes[index] ?? { x: 0, y: 0 };
  const at = (answer: string) => {
    const child = branches.findIndex(({ path }) => path === branch.path + answer);
    return (solution.edges[child - 1]?.[0] ?? own.x) - own.x + CLOSER / 2;
  };
  const y = (sizes[index]?.height ?? 0) + ANSWER_ROOM - 3;
  return (
    <>
      <text class="tree-said" x={at("y") + 6} y={y}>
        yes
      </text>
      <text class="tree-said" x={at("n") - 6} y={y} text-anchor="end">
        no
      </text>
    </>
  );
}

interface BarProps {
  readonly branch: Branch;
  readonly saying: Saying;
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/** The shares of the classes side by side, or how far a number reaches between the least and the most of the tree. */
function Bar({ branch, saying, x, y, width }: BarProps): JSX.Element {
  const { value } = branch.node;
  const track = <rect class="tree-track" x={x} y={y} width={width} height={BAR} rx={1} />;
  if (saying.kind === "number") {
    const [low, high] = saying.span;
    const share = high > low ? ((value[saying.output] ?? low) - low) / (high - low) : 1;
    return (
      <>
        {track}
        <rect class="tree-reach" x={x} y={y} width={width * share} height={BAR} rx={1} />
      </>
    );
  }
  let left = x;
  return (
    <>
      {track}
      {value.map((share, at) => {
        const from = left;
        left += share * width;
        return share > 0 ? (
          <rect key={at} x={from} y={y} width={Math.max(0.5, share * width)} height={BAR} fill={css(category(at))} />
        ) : null;
      })}
    </>
  );
}
