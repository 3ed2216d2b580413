/** The glyphs of findings: an octagon for an error, a triangle for a warning; hollow where only something inside has one. */

import type { JSX } from "preact";
import type { Flag, Severity } from "../findings";
import "./flag.css";

const OCTAGON = "M3.2.8h3.6L9.2 3.2v3.6L6.8 9.2H3.2L.8 6.8V3.2z";
const TRIANGLE = "M5 .9 9.5 9H.5z";
const CROSS = "M3.5 3.5l3 3m0-3-3 3";
const STROKE = "M5 3.7v2.5M5 7.5v.2";

function classOf({ severity, own, reached }: Pick<Flag, "severity" | "own" | "reached">): string {
  return `flag ${severity}${own ? "" : " inside"}${reached ? "" : " later"}`;
}

function Shape({ severity }: { readonly severity: Severity }): JSX.Element {
  return (
    <>
      <path class="flag-shape" d={severity === "error" ? OCTAGON : TRIANGLE} />
      <path class="flag-sign" d={severity === "error" ? CROSS : STROKE} />
    </>
  );
}

/** A glyph in a line of text. What it says stands beside it, or in the name of what it marks. */
export function FlagGlyph({ flag }: { readonly flag: Pick<Flag, "severity" | "own" | "reached"> }): JSX.Element {
  return (
    <svg class={classOf(flag)} viewBox="0 0 10 10" width="11" height="11" aria-hidden="true">
      <Shape severity={flag.severity} />
    </svg>
  );
}

interface FlagMarkProps {
  readonly flag: Flag;
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** The same inside a picture, its corner at x and y; what it marks has it in its name. */
export function FlagMark({ flag, x, y, size }: FlagMarkProps): JSX.Element {
  return (
    <g class={`${classOf(flag)} mark`} transform={`translate(${x} ${y}) scale(${size / 10})`}>
      <Shape severity={flag.severity} />
    </g>
  );
}
