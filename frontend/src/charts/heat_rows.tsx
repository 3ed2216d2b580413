/** The rows of layers × steps: how high they are, and their names beside the picture. */

import type { JSX } from "preact";
import type { Flag } from "../findings";
import { FlagGlyph } from "../views/flag";
import { endText } from "../views/structure_text";
import { screenDensity } from "./canvas";

export const MIN_ROW = 4;
const MAX_ROW = 30;
const MAX_CANVAS = 16_000; // pixels of the screen; graphics cards hold 16,384 and Chromium draws nothing from 65,536 on
const LABEL_ROW = 12;
const PADDING = 10; // px beside a label, as in charts.css
const FLAG = 13; // px that its flag takes

/** Height of each row: fills what is there, between legible and generous, on a canvas that browsers still draw. */
export function rowHeight(rows: number, height: number, density = screenDensity()): number {
  const count = Math.max(1, rows);
  const wanted = Math.min(MAX_ROW, Math.max(MIN_ROW, Math.floor(height / count)));
  return Math.min(wanted, MAX_CANVAS / density / count);
}

/** Every how many rows a label fits. */
export function labelEvery(row: number): number {
  return Math.max(1, Math.ceil(LABEL_ROW / row));
}

interface RowLabels {
  /** With which ids begin. */
  readonly id: string;
  readonly rows: readonly string[];
  readonly row: number;
  /** Index of the selected row; -1 for none. */
  readonly at: number;
  readonly width: number;
  readonly hits: ReadonlySet<string> | null;
  readonly flags: ReadonlyMap<string, Flag>;
}

/** One option per row, of which as many are written out as there is room for; the selected one has its value told. */
export function rowLabels({ id, rows, row, at, width, hits, flags }: RowLabels): JSX.Element[] {
  const every = labelEvery(row);
  const height = `${Math.max(row, LABEL_ROW)}px`;
  return rows.map((name, index) => {
    const flag = flags.get(name);
    const written = index % every === 0 || index === at;
    const marks = `${index === at ? " selected" : ""}${hits?.has(name) ? " hit" : ""}${flag ? " flagged" : ""}`;
    return (
      <div
        key={name}
        id={`${id}-row-${index}`}
        data-row={index}
        role="option"
        tabIndex={-1}
        aria-selected={index === at}
        aria-label={flag ? `${name}, ${flag.words}` : name}
        aria-describedby={index === at ? `${id}-value` : undefined}
        class={`heat-label${marks}`}
        style={{ top: `${index * row}px`, height, lineHeight: height, "--row": `${row}px` }}
        title={flag ? `${name}\n${flag.words}` : name}
      >
        {flag && <FlagGlyph flag={flag} />}
        {written ? endText(name, "row", width - PADDING - (flag ? FLAG : 0)) : ""}
      </div>
    );
  });
}
