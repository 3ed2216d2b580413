import { describe, expect, test } from "vitest";
import { spell, visible } from "../src/token_text";

/** The text as it flows. */
const written = (tokens: readonly string[]) =>
  spell(tokens)
    .map(({ text, joined }) => (joined ? text : ` ${text}`))
    .join("");

describe("tokens are written as people write", () => {
  test.each([
    ["whole words", ["so", "dumb", "!"], "so dumb !"],
    ["WordPiece", ["[CLS]", "un", "##believ", "##ably", "bad"], "[CLS] unbelievably bad"],
    ["SentencePiece", ["\u2581un", "believ", "ably", "\u2581bad", "."], "unbelievably bad."],
    ["byte-level BPE", ["Un", "believ", "\u0120bad", "!", "\u010A", "\u0120so"], "Unbeliev bad!\u21B5 so"],
    ["decoded tokens", ["Un", "believ", " bad", "\n", " so"], "Unbeliev bad\u21B5 so"],
    ["BPE with ends of words", ["un", "believ</w>", "bad</w>", "so"], "unbeliev bad so"],
    ["a hash that is no mark", ["#1", "##"], "#1 ##"],
    ["characters", ["a", "b", " ", "c"], "ab \u2423c"],
  ])("%s", (_, tokens, text) => {
    expect(written(tokens)).toBe(text);
  });

  test("padding stays nothing", () => {
    expect(spell(["a", "", ""]).map(({ text }) => text)).toEqual(["a", "", ""]);
  });
});

describe("what is invisible is told", () => {
  test.each([
    ["cat", "cat"],
    ["", "\u2423"],
    ["  ", "\u2423"],
    ["\u200F", "U+200F"],
    ["\u200B\u0301", "U+200B U+0301"],
    ["\u202Egnp.exe", "\u2039U+202E\u203Agnp.exe"],
    ["a\u2066b\u0007", "a\u2039U+2066\u203Ab\u2039U+0007\u203A"],
    ["\u{1F469}\u200D\u{1F52C}", "\u{1F469}\u200D\u{1F52C}"], // joined by what it needs
    ["\u0641\u064A\u0644\u0645", "\u0641\u064A\u0644\u0645"],
    ["<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"],
  ])("%j", (text, shown) => {
    expect(visible(text)).toBe(shown);
  });
});
