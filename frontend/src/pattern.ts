/**
 * What a person searches for: plain text, or `/a regular expression/`. Expressions run in RE2's automaton (re2js): the
 * time is linear in the text whatever the expression, where the browser's own engine can take hours for `(a+)+$`.
 */

import { RE2JS, RE2JSException } from "re2js";

/** A name is looked through up to here. */
const LONGEST_TEXT = 2000;
/** Letters that an expression may have. */
const LONGEST_EXPRESSION = 500;

export interface Pattern {
  /** Whether a text holds what is searched for, in any case of letters. */
  readonly test: (text: string) => boolean;
  /** Why the query is no expression, in words; then nothing matches. "" if all is well. */
  readonly problem: string;
}

const NOTHING = () => false;

/** True if the query stands between slashes. */
export function isExpression(query: string): boolean {
  return query.length >= 2 && query.startsWith("/") && query.endsWith("/");
}

/** The query as the other kind: `a.b` as `/a.b/` and back. */
export function asOtherKind(query: string): string {
  return isExpression(query) ? query.slice(1, -1) : `/${query}/`;
}

/** The pattern of a query; null if it asks for nothing. */
export function patternOf(query: string): Pattern | null {
  if (!isExpression(query)) {
    const wanted = query.trim().toLowerCase();
    return wanted === "" ? null : { test: (text) => text.toLowerCase().includes(wanted), problem: "" };
  }
  const source = query.slice(1, -1);
  if (source === "") return null;
  if (source.length > LONGEST_EXPRESSION) {
    return { test: NOTHING, problem: `the expression is longer than ${LONGEST_EXPRESSION} letters` };
  }
  try {
    const expression = RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
    return { test: (text) => expression.test(text.slice(0, LONGEST_TEXT)), problem: "" };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    return { test: NOTHING, problem: inWords(error.message, source) };
  }
}

/** "error parsing regexp: missing closing ): `(?i)(`" without its first words, its flag and the whole expression. */
function inWords(message: string, source: string): string {
  const reason = message.replace(/^error parsing regexp: /, "").replace(`: \`(?i)${source}\``, "");
  const foreign = /^invalid (?:or unsupported Perl syntax|escape sequence): `(.*)`$/s.exec(reason);
  return foreign ? `${foreign[1]} is not known here (look-around and back-references are not)` : reason;
}
