import { act, fireEvent, render, screen } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { stepScale } from "../../src/charts/columns";
import { move, nearness, snapped } from "../../src/stepping";
import { Scrubber } from "../../src/views/scrubber";
import { layOut } from "../canvas";
import { opened, settled, TYPICAL } from "../fakes";

const STEP = "p.layerscope.step";

async function scrubber(hash = "", changes = {}) {
  const { store } = await opened(TYPICAL, hash, changes);
  const { container } = render(<Scrubber store={store} />);
  return { store, container, slider: screen.getByRole("slider") };
}

beforeEach(() => {
  layOut(600, 120);
  Element.prototype.setPointerCapture = () => undefined;
});

describe("keys", () => {
  test.each<[string, number, number]>([
    ["ArrowRight", 100, 150],
    ["ArrowUp", 100, 150],
    ["ArrowLeft", 100, 50],
    ["ArrowDown", 100, 50],
    ["Home", 100, 0],
    ["End", 100, 500],
    ["PageUp", 0, 500],
    ["PageDown", 500, 0],
    ["ArrowLeft", 0, 0],
    ["ArrowRight", 500, 500],
    ["ArrowRight", 120, 150], // between two saved steps: to the next saved one
    ["ArrowLeft", 120, 100],
  ])("%s at %i goes to %i", async (key, from, to) => {
    const { store, slider } = await scrubber(`#&${STEP}=${from}`);
    fireEvent.keyDown(slider, { key });
    expect(store.step.value).toBe(to);
    expect(store.following.value).toBe(to === 500);
  });

  test("others are left to the browser", async () => {
    const { store, slider } = await scrubber(`#&${STEP}=100`);
    for (const key of ["a", "Tab", "Escape"]) expect(fireEvent.keyDown(slider, { key })).toBe(true);
    expect(fireEvent.keyDown(slider, { key: "Home" })).toBe(false);
    expect(store.step.value).toBe(0);
  });
});

test("the slider says its range, its step, the nearest saved one and the value of the curve", async () => {
  const { store, slider } = await scrubber(`#&${STEP}=120`);
  const read = () => ["min", "max", "now"].map((name) => slider.getAttribute(`aria-value${name}`));
  expect(read()).toEqual(["0", "540", "120"]);
  const value = store.scalarCurve.value.data?.values[12] as number;
  expect(slider.getAttribute("aria-valuetext")).toBe(
    `step 120, nearest saved 100, loss/train ${Number(value.toPrecision(3))}`,
  );
  await act(() => store.goTo(150));
  expect(read()).toEqual(["0", "540", "150"]);
  expect(slider.getAttribute("aria-valuetext")).toMatch(/^step 150, 4 of 11 saved, loss\/train /);
  await act(() => store.goTo(500));
  expect(slider.getAttribute("aria-valuetext")).toMatch(/^step 500, latest, followed, /);
});

test("buttons go to the previous, the next and the latest saved step", async () => {
  const { store } = await scrubber(`#&${STEP}=100`);
  fireEvent.click(screen.getByLabelText("Next saved step"));
  expect(store.step.value).toBe(150);
  fireEvent.click(screen.getByLabelText("Previous saved step"));
  expect(store.step.value).toBe(100);
  fireEvent.click(screen.getByLabelText("Latest step, and follow it"));
  expect([store.step.value, store.following.value]).toEqual([500, true]);
});

test("dragging goes to the step under the pointer; moving without a button does not", async () => {
  const { store, slider, container } = await scrubber(`#&${STEP}=100`);
  const width = Number(container.querySelector(".track-plot svg")?.getAttribute("width"));
  const x = stepScale([0, 540], width, 8);
  fireEvent.pointerDown(slider, { clientX: x.x(320), buttons: 1, pointerId: 1 });
  expect(store.step.value).toBe(320);
  fireEvent.pointerMove(slider, { clientX: x.x(201), buttons: 1, pointerId: 1 });
  expect(store.step.value).toBe(200);
  fireEvent.pointerMove(slider, { clientX: x.x(400), buttons: 0, pointerId: 1 });
  expect(store.step.value).toBe(200);
});

test("a step snaps to a saved one within a few pixels, and stays in the run", () => {
  const x = stepScale([0, 1000], 1000);
  expect([snapped(103, x, [0, 100, 900]), snapped(140, x, [0, 100, 900])]).toEqual([100, 140]);
  expect([snapped(-50, x, []), snapped(2000, x, [])]).toEqual([0, 1000]);
});

test("what is shown at a step, in words", () => {
  expect(nearness(120, [], false)).toBe("nothing saved yet");
  expect(nearness(120, [100, 200], false)).toBe("nearest saved 100");
  expect(nearness(200, [100, 200], false)).toBe("2 of 2 saved");
  expect(nearness(200, [100, 200], true)).toBe("latest, followed");
});

test("another curve is chosen by its name; hostile names are text", async () => {
  const scalars = ["<img src=x>", "loss"];
  const { store } = await scrubber("", { tags: async () => ({ run: "baseline", tags: [], scalars, version: 1 }) });
  const picker = screen.getByTestId("scalar-picker") as HTMLSelectElement;
  expect([...picker.options].map((option) => option.text)).toEqual(scalars);
  expect(picker.value).toBe("loss");
  fireEvent.change(picker, { target: { value: "<img src=x>" } });
  expect(store.scalar.value).toBe("<img src=x>");
});

test("a run without scalars and without steps has a slider that stays where it is", async () => {
  const { store, slider } = await scrubber("", {
    tags: async () => ({ run: "baseline", tags: [], scalars: [], version: 1 }),
  });
  await settled();
  for (const key of ["ArrowRight", "Home", "End"]) fireEvent.keyDown(slider, { key });
  expect(store.step.value).toBe(0);
  expect(slider.getAttribute("aria-valuetext")).toBe("step 0, nothing saved yet");
  move(store, Number.NEGATIVE_INFINITY);
  expect(store.step.value).toBe(0);
});
