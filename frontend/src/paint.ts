import { css, inkOn } from "./colour";
import { formatNumber } from "./format";
import { nearestIndex } from "./series";
import type { Store } from "./store";
import type { Paint } from "./views/structure";
import type { Node } from "./wire";

const BLANK: Paint = { fill: "", ink: "", value: "", mark: "none" };

/**
 * How the structure paints its nodes: by the chosen measure at the saved step nearest to the chosen one, on the scale
 * of the whole run. A repeated call without numbers of its own has those of its module.
 */
export function painter(store: Store): (node: Node) => Paint | null {
  const series = store.measured.value;
  const scale = store.scale.value;
  const column = store.column.value;
  const step = series === null ? -1 : nearestIndex(series.steps, store.step.value);
  return (node) => {
    if (series === null || step < 0 || node.kind !== "module") return null;
    const row = series.row(node.id) ?? series.row(node.module);
    if (row === undefined) return BLANK;
    const mark = series.mark(step, row, column);
    const value = series.value(step, row, column);
    if (mark === "none") return BLANK;
    if (mark === "nan" || scale === null) return { ...BLANK, value: formatNumber(value), mark: "nan" };
    const colour = scale.rgb(value);
    return { fill: css(colour), ink: inkOn(colour), value: formatNumber(value), mark: "", at: scale.position(value) };
  };
}
