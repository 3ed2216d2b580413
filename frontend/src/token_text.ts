/** How tokenizers write the spaces between words, and what of it people should see. */

/** What is shown of a token. */
export interface Spelled {
  readonly text: string;
  /** Whether it continues the word before it, without a space between them. */
  readonly joined: boolean;
}

// SentencePiece, byte-level BPE, and tokenizers that leave the space itself: all mark where a word begins.
const BEGINS_WORD = /^[\u2581\u0120 ]/;
const CONTINUES_WORD = /^##(?=.)/; // WordPiece
const ENDS_WORD = /(?<=.)<\/w>$/; // BPE as in CLIP
const LINE_BREAK = /^(?:\u010A|\r?\n)+$/;
// Embeddings, overrides and isolates of writing direction, and control characters: a name could pose as another.
const DECEPTIVE = /[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu;
const INVISIBLE = /^[\p{C}\p{Z}\p{M}]*$/u;

/** Spell the tokens of one text as people write it. `""` (padding) stays `""`. */
export function spell(tokens: readonly string[]): Spelled[] {
  const begins = tokens.some((token) => BEGINS_WORD.test(token));
  const ends = tokens.some((token) => ENDS_WORD.test(token));
  const joined = (token: string, before: string | undefined) => {
    if (before === undefined) return true;
    if (begins) return !BEGINS_WORD.test(token);
    return ends ? !ENDS_WORD.test(before) : CONTINUES_WORD.test(token);
  };
  return tokens.map((token, index) => ({ text: shown(token), joined: joined(token, tokens[index - 1]) }));
}

function shown(token: string): string {
  if (token === "") return "";
  if (LINE_BREAK.test(token)) return "\u21B5";
  const text = token.replace(BEGINS_WORD, "").replace(CONTINUES_WORD, "").replace(ENDS_WORD, "");
  return visible(text);
}

/** The text with the numbers of characters that would turn it round, or, where it leaves no ink, of all of them. */
export function visible(text: string): string {
  if (text.trim() === "") return "\u2423";
  if (INVISIBLE.test(text)) return Array.from(text, numberOf).join(" ");
  return text.replace(DECEPTIVE, (sign) => `\u2039${numberOf(sign)}\u203A`);
}

function numberOf(sign: string): string {
  return `U+${(sign.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}
