import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { copied } from "../src/clipboard";

const written = vi.fn<(text: string) => Promise<void>>();
let selected: string[];

beforeEach(() => {
  selected = [];
  written.mockReset().mockResolvedValue();
  vi.stubGlobal("navigator", { clipboard: { writeText: written } });
  document.execCommand = () => selected.push((document.activeElement as HTMLTextAreaElement).value) > 0;
});

afterEach(() => {
  vi.unstubAllGlobals();
  Reflect.deleteProperty(document, "featurePolicy");
  document.body.replaceChildren();
});

const policy = (allowed: boolean) =>
  Object.defineProperty(document, "featurePolicy", {
    configurable: true,
    value: { allowsFeature: (feature: string) => feature === "clipboard-write" && allowed },
  });

test("text is written to the clipboard", async () => {
  policy(true);
  expect(await copied("one")).toBe(true);
  expect([written.mock.calls, selected]).toEqual([[["one"]], []]);
});

test("a browser that refuses is asked by way of a selection, and the focus stays where it was", async () => {
  written.mockRejectedValue(new Error("not allowed"));
  const button = document.createElement("button");
  document.body.append(button);
  button.focus();
  expect(await copied("two")).toBe(true);
  expect(selected).toEqual(["two"]);
  expect([document.activeElement, document.querySelector("textarea")]).toEqual([button, null]);
});

test("where the page around does not allow it, it is not even tried", async () => {
  policy(false);
  expect(await copied("three")).toBe(true);
  expect([written.mock.calls, selected]).toEqual([[], ["three"]]);
});
