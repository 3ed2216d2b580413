// What a fold tells: what is repeated, how often, with whose weights, and which repetitions are not like the others.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { formatBytes, formatCount, formatShape, plural } from "../format";
import type { ModelGraph } from "../graph";
import { hierarchyOf, labelOf, membersOf } from "../layout/hierarchy";
import type { Fold, Node } from "../wire";
import { Fact } from "./fact";
import { foldTotals, headOf } from "./fold_totals";

const FEW = 24;

interface FoldFactsProps {
  readonly graph: ModelGraph;
  readonly fold: Fold;
  readonly onSelect: (id: string) => void;
}

export function FoldFacts({ graph, fold, onSelect }: FoldFactsProps): JSX.Element {
  const { parameters, bytes } = foldTotals(graph, fold);
  const different = useMemo(() => differences(graph, fold), [graph, fold]);
  const first = fold.members.map(([id]) => id ?? "");
  return (
    <div class="identity">
      <div class="identity-head">
        <h3 class="identity-name">{fold.label}</h3>
      </div>
      <p class="identity-class">
        {fold.members.length} × {repeated(graph, fold)}
        {fold.shared ? ": calls of the same weights" : ": each with weights of its own"}
      </p>
      <dl class="facts">
        {parameters > 0 && (
          <Fact name="parameters">
            <span title={plural(parameters, "parameter")}>
              {formatCount(parameters)}
              {bytes > 0 && <span class="quiet"> {formatBytes(bytes)}</span>}
            </span>
          </Fact>
        )}
        <Fact name="alike">
          {different.length === 0 && fold.uniform
            ? "all, in shapes and parameters"
            : different.length === 0
              ? "in structure; something inside differs in shapes or parameters"
              : "in structure, but for"}
          {different.length > 0 && (
            <ul class="fold-different">
              {different.slice(0, FEW).map(({ id, what }) => (
                <li key={id}>
                  <Member graph={graph} id={id} onSelect={onSelect} /> <span class="quiet">{what}</span>
                </li>
              ))}
              {different.length > FEW && <li class="quiet">and {different.length - FEW} more</li>}
            </ul>
          )}
        </Fact>
        <Fact name="members">
          <span class="fold-members">
            {first.slice(0, FEW).map((id) => (
              <Member key={id} graph={graph} id={id} onSelect={onSelect} />
            ))}
            {first.length > FEW && <span class="quiet">and {first.length - FEW} more</span>}
          </span>
        </Fact>
      </dl>
    </div>
  );
}

/** "Block", or of a longer period "Block and 2 more nodes". */
function repeated(graph: ModelGraph, fold: Fold): string {
  const head = headOf(graph, fold, 0);
  const more = (fold.members[0]?.length ?? 1) - 1;
  return `${head?.class_name || head?.op || "node"}${more > 0 ? ` and ${plural(more, "more node")}` : ""}`;
}

function Member({
  graph,
  id,
  onSelect,
}: {
  readonly graph: ModelGraph;
  readonly id: string;
  onSelect(id: string): void;
}) {
  return (
    <button type="button" class="member" title={id} onClick={() => onSelect(id)}>
      {labelOf(graph, id)}
    </button>
  );
}

export interface Difference {
  /** Id of the node that is not like its counterparts. */
  readonly id: string;
  /** In which respect, in words. */
  readonly what: string;
}

/** What two repetitions are compared by, place by place. */
const RESPECTS: readonly (readonly [name: string, of: (node: Node) => string])[] = [
  ["class", (node) => node.class_name || node.op],
  ["out", (node) => node.output_shapes.map(formatShape).join(", ")],
  ["parameters", (node) => formatCount(node.total_parameters)],
  ["trains", (node) => (node.trainable === false ? "frozen" : node.trainable === null ? "nothing" : "trainable")],
];

/** The nodes of a fold that differ from most of their counterparts in the other repetitions. */
export function differences(graph: ModelGraph, fold: Fold): Difference[] {
  const hierarchy = hierarchyOf(graph);
  const repetitions = fold.members.map((_, i) =>
    membersOf(hierarchy, fold, i).flatMap((id) => graph.nodes.get(id) ?? []),
  );
  const found: Difference[] = [];
  const longest = Math.max(0, ...repetitions.map(({ length }) => length));
  for (let place = 0; place < longest; place++) {
    const nodes = repetitions.flatMap((repetition) => repetition[place] ?? []);
    const usual = RESPECTS.map(([, of]) => mostCommon(nodes.map(of)));
    for (const node of nodes) {
      const unlike = RESPECTS.flatMap(([name, of], i) =>
        of(node) === usual[i] ? [] : [`${name} ${of(node)} instead of ${usual[i]}`],
      );
      if (unlike.length > 0) found.push({ id: node.id, what: unlike.join(", ") });
    }
  }
  const order = new Map(repetitions.flat().map(({ id }, i) => [id, i]));
  return found.sort((a, b) => (order.get(a.id) ?? 0) - (order.get(b.id) ?? 0));
}

/** The value that stands there most often, the earliest of several. */
function mostCommon(values: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce<[string, number]>((best, one) => (one[1] > best[1] ? one : best), ["", 0])[0];
}
