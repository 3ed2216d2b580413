import { css, inkOn } from "./colour";
import { formatNumber, formatValue } from "./format";
import { nodeOf } from "./graph";
import type { Store } from "./store";
import type { Paint } from "./views/structure";
import type { Node } from "./wire";

const BLANK: Paint = { fill: "", ink: "", value: "", mark: "none" };

/** Series that have numbers of a node only where it trains, at that very step. */
const OF_WHAT_TRAINS = new Set(["gradients", "updates"]);

/** What the other side of a comparison does not have. */
const UNMATCHED: Paint = { fill: "", ink: "", value: "only here", mark: "unmatched" };

/**
 * How the structure paints its nodes: by the chosen measure at the saved step nearest to the chosen one, on the scale
 * of the whole run. A repeated call without numbers of its own has those of its module. Where the measure tells what
 * trains, that is told of every node, too. Where two sides are compared and not shown side by side, by their
 * difference.
 */
export function painter(store: Store): (node: Node) => Paint | null {
  const { comparison } = store;
  const [counterpart, held] = [store.counterpart.value, comparison?.held.value ?? null];
  const alone = held !== null || comparison?.sideBySide.value;
  const comparing = store.other.value !== null && !alone;
  const own = comparing ? differencePainter(store) : held === "B" ? otherPainter(store) : measurePainter(store);
  return counterpart === null ? own : (node) => (counterpart.of(node.id) === null ? UNMATCHED : own(node));
}

/** Each node as its counterpart is painted. */
function otherPainter(store: Store): (node: Node) => Paint | null {
  const other = store.other.value;
  const graph = other?.graph.value.data ?? null;
  const [paint, counterpart] = [other === null ? null : measurePainter(other), store.counterpart.value];
  return ({ id }) => {
    const node = nodeOf(graph, counterpart?.of(id) ?? null);
    return node === undefined || paint === null ? BLANK : paint(node);
  };
}

function measurePainter(store: Store): (node: Node) => Paint | null {
  const series = store.measured.value;
  const scale = store.scale.value;
  const column = store.column.value;
  const kind = store.measure.value?.statistic.scale ?? "";
  const trainable = series?.statistics.findIndex(({ name }) => name === "trainable") ?? -1;
  const step = store.step.value;
  return (node) => {
    if (series === null || series.steps.length === 0 || node.kind !== "module") return null;
    const row = series.row(node.id) ?? series.row(node.module);
    const at = row === undefined ? -1 : series.at(row, step);
    if (row === undefined || at < 0) return BLANK;
    const mark = series.mark(at, row, column);
    const share = trainable < 0 ? Number.NaN : series.value(at, row, trainable);
    const trains = share > 0 || (OF_WHAT_TRAINS.has(series.name) && mark !== "none");
    const frozen = Number.isNaN(share) && !trains ? {} : { frozen: !trains };
    const value = series.value(at, row, column);
    if (mark === "none") return { ...BLANK, ...frozen };
    if (mark === "frozen") return { ...BLANK, ...frozen, mark, value: "frozen", at: 0 };
    if (mark === "nan" || scale === null) return { ...BLANK, ...frozen, value: formatNumber(value), mark: "nan" };
    const colour = scale.rgb(value);
    const text = formatValue(kind, value);
    return { fill: css(colour), ink: inkOn(colour), value: text, mark: "", at: scale.position(value), ...frozen };
  };
}

/** How the structure paints the difference to what is compared with; without a number where that is not known. */
function differencePainter(store: Store): (node: Node) => Paint | null {
  const difference = store.comparison?.difference.value ?? null;
  if (difference === null) return ({ kind }) => (kind === "module" ? BLANK : null);
  const step = store.step.value;
  const { scale, kind } = difference;
  const alone = measurePainter(store);
  return (node) => {
    if (node.kind !== "module") return null;
    const { value, mark } = difference.at(node.id, step);
    const frozen = alone(node)?.frozen;
    const trains = frozen === undefined ? {} : { frozen }; // here, at this step
    if (mark === "none") return { ...BLANK, ...trains };
    if (mark === "nan" || scale === null) return { ...BLANK, ...trains, value: formatNumber(value), mark: "nan" };
    const colour = scale.rgb(value);
    return {
      ...trains,
      fill: css(colour),
      ink: inkOn(colour),
      value: formatValue(kind, value),
      mark: "",
      at: scale.position(value),
    };
  };
}
