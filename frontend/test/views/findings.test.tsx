import { act, fireEvent, render, screen, within } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { APP_CASES, FINDINGS, type Shape } from "../../gallery/mock";
import { Findings } from "../../src/views/findings";
import { FindingsBadge } from "../../src/views/findings_badge";
import { Header } from "../../src/views/header";
import { LayersSteps } from "../../src/views/layers_steps";
import { Overview } from "../../src/views/overview";
import type { Finding } from "../../src/wire";
import { layOut, recordCanvases } from "../canvas";
import { opened, settled, TYPICAL } from "../fakes";

const SHAPE = APP_CASES.findings as Shape;

beforeEach(() => {
  layOut(400, 300);
  recordCanvases();
  Element.prototype.scrollIntoView = () => undefined;
});

async function tab(shape: Shape = SHAPE, hash = "") {
  const { store } = await opened(shape, hash);
  const { container } = render(
    <>
      <Header store={store} />
      <Findings store={store} />
      <Overview store={store} />
      <LayersSteps store={store} />
    </>,
  );
  await act(settled);
  return { store, container };
}

const heads = () => [...screen.getByTestId("findings").querySelectorAll<HTMLElement>(".finding-head")];

describe("the list", () => {
  test("says of each its severity, rule, place and step, and hostile text is text", async () => {
    const { container } = await tab();
    expect(heads().map((head) => [...head.querySelectorAll("span, b")].map((part) => part.textContent))).toEqual([
      ["error: ", "NaN", "blocks.2.conv2.weight", "step 1050", FINDINGS[1]?.message],
      ["warning: ", "vanishing", "stem", "step 500", FINDINGS[0]?.message],
      ["warning: ", "dead", "blocks.1.act", "step 800", FINDINGS[2]?.message],
      ["warning: ", "loss spike", "the model as a whole", "step 1000", FINDINGS[3]?.message],
      ["warning: ", "<img src=x onerror=alert(1)>", "head.weight", "step 1200", FINDINGS[4]?.message],
    ]);
    expect(container.querySelector("img, script, b b")).toBeNull();
    expect(heads()[0]?.querySelector(".flag")?.getAttribute("class")).toBe("flag error");
  });

  test("opens what is clicked to its evidence and goes to its place; once more puts it away", async () => {
    const { store } = await tab();
    fireEvent.click(heads()[0] as HTMLElement);
    await act(settled);
    const body = screen.getByTestId("findings").querySelector(".finding-body") as HTMLElement;
    const numbers = [...body.querySelectorAll("dt, dd")].map((part) => part.textContent);
    expect(numbers).toEqual(["NaN count", "64", "elements", "2304"].map((text) => text.replace("2304", "2300")));
    expect(body.textContent).toContain(`Rule: ${FINDINGS[1]?.rule}`);
    expect(body.textContent).toContain(`Source: ${FINDINGS[1]?.source}`);
    expect([store.layer.value, store.row.value, store.step.value]).toEqual([
      ...["blocks.2.conv2", "blocks.2.conv2.weight", 1050],
    ]);
    expect(heads().map((head) => head.getAttribute("aria-expanded"))).toEqual([
      ...["true", "false", "false", "false", "false"],
    ]);
    fireEvent.click(within(body).getByText("blocks.3.conv1"));
    await act(settled);
    expect([store.layer.value, store.finding.value?.detector]).toEqual(["blocks.3.conv1", "nan"]);
    fireEvent.click(heads()[0] as HTMLElement);
    expect(store.finding.value).toBeNull();
  });

  test("says where a finding shows in what this run does not hold", async () => {
    await tab();
    fireEvent.click(heads()[4] as HTMLElement);
    await act(settled);
    expect(screen.getByText("It shows in gone · norm, which this run does not hold.")).toBeTruthy();
  });

  test("is walked with the arrow keys, opened and closed as a whole, and cut where it is too long", async () => {
    const many = Array.from({ length: 203 }, (_, step) => ({ ...(FINDINGS[0] as Finding), step }));
    const { store } = await tab({ ...SHAPE, findings: many });
    expect(heads()).toHaveLength(200);
    expect(screen.getByText("3 more, not listed here")).toBeTruthy();
    heads()[0]?.focus();
    fireEvent.keyDown(heads()[0] as HTMLElement, { key: "ArrowDown" });
    expect(document.activeElement).toBe(heads()[1]);
    fireEvent.keyDown(heads()[1] as HTMLElement, { key: "ArrowUp" });
    fireEvent.keyDown(heads()[0] as HTMLElement, { key: "ArrowUp" });
    expect(document.activeElement).toBe(heads()[0]);
    fireEvent.click(screen.getByText("Findings"));
    expect([store.findingsOpen.value, heads()]).toEqual([false, []]);
  });
});

test("what could not be judged is told, and has no tick", async () => {
  const unjudged = [{ detectors: ["no_gradient", "frozen"], reason: "it takes 3 records of updates, and there is 1" }];
  await tab({ ...TYPICAL, unjudged });
  const badge = screen.getByTestId("findings-badge");
  expect(badge.querySelector("summary")?.textContent).toBe("nothing found so far");
  expect(badge.querySelector("svg path")).toBeNull();
  const line = "not judged: no gradient, frozen (it takes 3 records of updates, and there is 1)";
  expect(screen.getAllByText(line)).toHaveLength(2); // on the sheet of the badge, and in the panel of the model
});

describe("the header", () => {
  test("counts them by severity, and opens and closes the list", async () => {
    const { store } = await tab();
    const badge = screen.getByTestId("findings-badge");
    expect([badge.getAttribute("aria-label"), badge.textContent]).toEqual([
      "Findings: 1 error, 4 warnings",
      "1 error 4 warnings",
    ]);
    fireEvent.click(badge);
    expect(store.findingsOpen.value).toBe(false);
    fireEvent.keyDown(document.body, { key: "!" });
    expect(store.findingsOpen.value).toBe(true);
    fireEvent.keyDown(document.body, { key: "n" });
    expect(store.finding.value?.detector).toBe("nan");
    fireEvent.keyDown(document.body, { key: "p" });
    expect(store.finding.value?.step).toBe(1200);
  });

  test.each([
    ["examined", TYPICAL, "nothing found", "nothing wrong was found"],
    ["not examined", APP_CASES["not examined"] as Shape, "not examined", "not even that all is well"],
  ])("tells a run without findings that was %s", async (_, shape, short, sentence) => {
    const { container } = await tab(shape);
    const badge = screen.getByTestId("findings-badge");
    const summary = badge.querySelector("summary");
    expect([badge.tagName, summary?.textContent]).toEqual(["SPAN", short]);
    expect(summary?.getAttribute("title")).toContain(sentence);
    expect(screen.queryByTestId("findings")).toBeNull();
    expect(container.querySelector(".empty")?.textContent).toContain(sentence);
  });

  test("says nothing as long as nothing is known", async () => {
    const { store } = await opened(SHAPE, "", { findings: () => new Promise(() => undefined) });
    expect(render(<FindingsBadge store={store} />).container.textContent).toBe("");
  });
});

test("layers × steps has a glyph at each row and step, whatever the current step", async () => {
  const { container } = await tab(SHAPE, "#&p.layerscope.step=0");
  const named = [...container.querySelectorAll(".heat-label.flagged")].map((row) => row.getAttribute("aria-label"));
  expect(named).toEqual([
    "stem, vanishing at step 500",
    "blocks.1.act, dead at step 800",
    "blocks.2.conv2, NaN at step 1050",
    "head, <img src=x onerror=alert(1)> at step 1200",
  ]);
  const glyphs = [...container.querySelectorAll(".heat-cross .flag")];
  expect(glyphs.map((glyph) => glyph.getAttribute("class")).sort()).toEqual([
    ...["flag error mark", "flag warning mark", "flag warning mark", "flag warning mark"],
  ]);
});
