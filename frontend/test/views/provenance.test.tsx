import { fireEvent, render, screen } from "@testing-library/preact";
import { describe, expect, test, vi } from "vitest";
import { blocks } from "../../gallery/structure.cases";
import type { ModelGraph } from "../../src/graph";
import { Provenance } from "../../src/views/provenance";

const onSelect = vi.fn();
function badge(rest: Partial<ModelGraph>): HTMLElement {
  render(<Provenance graph={{ ...blocks(1), ...rest }} onSelect={onSelect} />);
  return document.querySelector("summary") as HTMLElement;
}
const sheet = () => document.querySelector(".drop-sheet")?.textContent;

describe("what a picture shows, in words", () => {
  test.each([
    ["modes", "recorded", "Recorded while the forward ran: every module call"],
    ["torchview", "torchview", "Recorded by torchview while the forward ran"],
    ["", "unknown", "The log does not say how this was recorded."],
    ["of a later version", "unknown", "The log does not say how this was recorded."],
  ])("%s is quiet: %s", (recorder, label, sentence) => {
    const summary = badge({ recorder });
    expect(summary.textContent).toBe(label);
    expect(summary.className).toBe("plain");
    expect(sheet()).toContain(sentence);
  });

  test.each([
    [{ recorder: "modules" }, "modules only", "functions between them are not in the picture"],
    [{ recorder: "static" }, "did not run", "Nothing ran"],
    [{ warnings: ["One.", "Two."] }, "2 notes", "One.Two."],
    [
      { failure: "ValueError: no", stopped_in: null },
      "stopped midway",
      "The forward stopped: this is the part that ran. ValueError: no",
    ],
  ])("what is missing is not: %o", (rest, label, sentence) => {
    const summary = badge(rest);
    expect(summary.textContent).toBe(label);
    expect(summary.className).toBe("warn");
    expect(sheet()).toContain(sentence);
  });

  test("where the forward stopped can be gone to", () => {
    badge({ stopped_in: "body.0.norm", failure: "ValueError: no", warnings: ["Also."] });
    expect(sheet()).toContain("The forward stopped in body.0.norm: this is the part that ran. ValueError: no");
    fireEvent.click(screen.getByText("Show it"));
    expect(onSelect).toHaveBeenCalledWith("body.0.norm");
  });

  test("Escape and a click elsewhere close it", () => {
    const details = badge({}).closest("details") as HTMLDetailsElement;
    details.open = true;
    fireEvent.pointerDown(details);
    expect(details.open).toBe(true);
    fireEvent.pointerDown(document.body);
    expect(details.open).toBe(false);
    details.open = true;
    fireEvent.keyDown(details, { key: "Escape" });
    expect(details.open).toBe(false);
  });
});
