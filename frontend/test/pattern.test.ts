import { describe, expect, test } from "vitest";
import { asOtherKind, isExpression, patternOf } from "../src/pattern";

describe("plain text", () => {
  test("is found anywhere, in any case of letters, and is no expression", () => {
    const pattern = patternOf(" Layer.1 ");
    expect(pattern?.test("encoder.LAYER.1.attention")).toBe(true);
    expect(pattern?.test("encoder.layer21")).toBe(false);
    expect(pattern?.problem).toBe("");
  });

  test("nothing asked is no pattern", () => {
    expect(patternOf("")).toBeNull();
    expect(patternOf("  ")).toBeNull();
    expect(patternOf("//")).toBeNull();
  });

  test("a lone slash and a path are plain text", () => {
    expect(isExpression("/")).toBe(false);
    expect(patternOf("/mask")?.test("input/mask")).toBe(true);
    expect(patternOf("input/")?.test("input/mask")).toBe(true);
  });
});

describe("expressions", () => {
  test("stand between slashes and match in any case", () => {
    const pattern = patternOf("/^layer\\.(1|2)\\..*conv$/");
    expect(pattern?.test("Layer.2.a.CONV")).toBe(true);
    expect(pattern?.test("layer.3.a.conv")).toBe(false);
    expect(pattern?.test("layer.1.a.conv.weight")).toBe(false);
  });

  test.each([
    ["/(/", "missing closing )"],
    ["/[z-a]/", "invalid character class range: `z-a`"],
    ["/*/", "missing argument to repetition operator: `*`"],
    ["/a(?=b)/", "(?= is not known here (look-around and back-references are not)"],
    ["/(a)\\1/", "\\1 is not known here (look-around and back-references are not)"],
    [`/${"a".repeat(501)}/`, "the expression is longer than 500 letters"],
  ])("%s: %s", (query, problem) => {
    const pattern = patternOf(query);
    expect(pattern?.problem).toBe(problem);
    expect(pattern?.test("a")).toBe(false);
  });

  test("what takes the browser's own engine for ever ends at once", () => {
    const text = `${"a".repeat(2000)}!`;
    const start = performance.now();
    expect(patternOf("/^(a+)+$/")?.test(text)).toBe(true); // the first 2000 letters count
    expect(patternOf("/^(a|a)*b$/")?.test(text)).toBe(false);
    expect(patternOf("/(.*)*(.*)*(.*)*=x/")?.test(text)).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  test("the toggle goes there and back", () => {
    expect(asOtherKind("a.b")).toBe("/a.b/");
    expect(asOtherKind("/a.b/")).toBe("a.b");
    expect(asOtherKind("")).toBe("//");
    expect(asOtherKind("//")).toBe("");
  });
});
