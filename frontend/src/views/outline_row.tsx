// One row of the outline: name, class, parameters, and the painted value; of a fold, one cell for each repetition.

import type { JSX } from "preact";
import type { Flag } from "../findings";
import { formatCount } from "../format";
import type { ModelGraph } from "../graph";
import { hierarchyOf, labelOf } from "../layout/hierarchy";
import type { Fold, Node } from "../wire";
import { FlagGlyph } from "./flag";
import { foldTotals, headOf } from "./fold_totals";
import type { Row } from "./outline_tree";
import type { Paint } from "./structure_boxes";

/** Height of a row in pixels; outline.css has the same. */
export const ROW = 22;
const INDENT = 12;
/** Levels that are indented; deeper ones stand below each other. */
const DEEPEST = 12;

export interface OutlineRowProps {
  readonly id: string;
  readonly row: Row;
  readonly top: number;
  readonly graph: ModelGraph;
  readonly open: boolean;
  readonly active: boolean;
  readonly selected: boolean;
  /** Found by the search, or holding what is found. */
  readonly hit: "" | "hit" | "holds";
  readonly paint: (node: Node) => Paint | null;
  readonly flag: Flag | null;
  readonly onToggle: () => void;
  readonly onSelect: () => void;
}

export function OutlineRow(props: OutlineRowProps): JSX.Element {
  const { id, row, top, graph, open, active, selected, hit, paint, flag, onToggle, onSelect } = props;
  const node = graph.nodes.get(row.id);
  const fold = hierarchyOf(graph).folds.get(row.id);
  const total = node?.total_parameters ?? (fold ? foldTotals(graph, fold).parameters : 0);
  const paints = node ? [paint(node)] : fold ? repetitionPaints(graph, fold, paint) : [];
  const classes = ["outline-row", node?.kind ?? "fold", active && "active", selected && "selected", hit];
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree has the keys
    // biome-ignore lint/a11y/useFocusableInteractive: the tree has the focus and tells the active row
    <div
      id={id}
      class={classes.filter(Boolean).join(" ")}
      role="treeitem"
      aria-level={row.level}
      aria-posinset={row.position}
      aria-setsize={row.siblings}
      aria-expanded={row.inside > 0 ? open : undefined}
      aria-selected={selected}
      style={{ top: `${top}px`, paddingLeft: `${4 + INDENT * Math.min(row.level - 1, DEEPEST)}px` }}
      title={[node ? node.id : fold?.label, flag?.words].filter(Boolean).join("\n")}
      data-outline={row.id}
      onClick={onSelect}
      onDblClick={() => row.inside > 0 && onToggle()}
    >
      {row.inside > 0 ? <Chevron open={open} onToggle={onToggle} /> : <span class="outline-leaf" />}
      <span class="outline-name">{labelOf(graph, row.id)}</span>
      <span class="outline-class">{classOf(node ?? (fold && headOf(graph, fold, 0)))}</span>
      {flag && (
        <span class="outline-flag" role="img" aria-label={flag.words}>
          <FlagGlyph flag={flag} />
        </span>
      )}
      {(paints[0]?.frozen ?? node?.trainable === false) && node && <Lock />}
      {total > 0 && (
        <span class="outline-parameters" title={`${total.toLocaleString("en")} parameters`}>
          {formatCount(total)}
        </span>
      )}
      <Cells paints={paints} />
    </div>
  );
}

function classOf(node: Node | undefined): string {
  return node?.class_name || (node === undefined || node.kind === "function" ? "" : node.kind);
}

function Chevron({ open, onToggle }: { readonly open: boolean; readonly onToggle: () => void }) {
  const clicked = (event: MouseEvent) => {
    event.stopPropagation();
    onToggle();
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: a pointer's shortcut; the keyboard has Right and Left
    // biome-ignore lint/a11y/useKeyWithClickEvents: as above
    <span class="outline-chevron" onClick={clicked} onDblClick={(event) => event.stopPropagation()}>
      <svg viewBox="0 0 10 10" aria-hidden="true">
        <path d={open ? "M2 3.5 5 6.5 8 3.5" : "M3.5 2 6.5 5 3.5 8"} />
      </svg>
    </span>
  );
}

function Lock(): JSX.Element {
  return (
    <svg class="outline-lock" viewBox="0 0 10 12" role="img" aria-label="frozen">
      <title>frozen: no parameter requires a gradient</title>
      <path d="M1.5 5.5h7v5h-7zM3 5.5V3.6a2 2 0 0 1 4 0v1.9" />
    </svg>
  );
}

/** One painted cell with its number, or a strip of cells without; nothing where nothing is measured. */
function Cells({ paints }: { readonly paints: readonly (Paint | null)[] }): JSX.Element | null {
  if (paints.every((paint) => paint === null)) return null;
  const fill = (paint: Paint | null | undefined) =>
    paint?.mark === "" ? { background: paint.fill, color: paint.ink } : {};
  if (paints.length > 1) {
    return (
      <span class="outline-strip">
        {paints.map((paint, i) => (
          <span key={i} class={`outline-cell ${paint?.mark ?? "none"}`} style={fill(paint)} />
        ))}
      </span>
    );
  }
  const [paint] = paints;
  return (
    <span class={`outline-value outline-cell ${paint?.mark ?? "none"}`} style={fill(paint)}>
      {paint?.value || (paint?.mark === "nan" ? "NaN" : "–")}
    </span>
  );
}

/** Cells of a strip at most. Where one stands for several repetitions, what is not a number shows above all. */
const MOST_CELLS = 48;

/** What paints each repetition of a fold. */
function repetitionPaints(graph: ModelGraph, fold: Fold, paint: (node: Node) => Paint | null): (Paint | null)[] {
  const paints = fold.members.map((_, i) => {
    const head = headOf(graph, fold, i);
    return head ? paint(head) : null;
  });
  const each = Math.ceil(paints.length / MOST_CELLS);
  return Array.from({ length: Math.ceil(paints.length / each) }, (_, i) => {
    const some = paints.slice(i * each, (i + 1) * each);
    return some.find((one) => one?.mark === "nan") ?? some[0] ?? null;
  });
}
