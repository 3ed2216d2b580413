import { act, fireEvent, render, screen } from "@testing-library/preact";
import { beforeEach, describe, expect, test } from "vitest";
import { tint } from "../../src/attribution";
import { ChannelStrips, ColourStrip, cellsOf } from "../../src/charts/channel_strips";
import { ColourScale } from "../../src/colour";
import { type Drawn, recordCanvases } from "../canvas";

const signed = new ColourScale("signed", -2, 2);
let drawn: Drawn;

beforeEach(() => {
  drawn = recordCanvases();
});

describe("the cells of a strip", () => {
  test("are whole pixels that fill the width", () => {
    expect(cellsOf([1, 2, 3], 10)).toEqual([
      { x: 0, width: 3, value: 1 },
      { x: 3, width: 3, value: 2 },
      { x: 6, width: 4, value: 3 },
    ]);
  });

  test("of more values than pixels show the greatest, and what is not finite above all", () => {
    expect(cellsOf([1, -5, 2, 0, Number.NaN, 9], 3).map(({ value }) => value)).toEqual([-5, 2, Number.NaN]);
    expect(cellsOf([], 3)).toEqual([]);
  });
});

test("a strip has what supports above what opposes, and hatches what is not a number", async () => {
  render(<ColourStrip values={[2, -1, Number.NaN]} scale={signed} width={30} height={14} label="strip" />);
  await act(() => undefined);
  expect(drawn.rects).toEqual([
    { x: 0, y: 0, width: 10, height: 7, fill: tint(signed, 2, 1) },
    { x: 10, y: 7, width: 10, height: 7, fill: tint(signed, -1, 1) },
    { x: 20, y: 0, width: 10, height: 14, fill: "pattern" },
  ]);
});

describe("channels", () => {
  const channels = [
    { name: "x", values: [0, 0.5, 1, 0.5], attributions: [0, 1, -2, 0] },
    { name: "", values: null, attributions: [1, 1, 1, Number.NaN] },
  ];
  const slider = () => {
    render(<ChannelStrips channels={channels} scale={signed} width={100} label="over time" />);
    return screen.getByRole("slider");
  };

  test("have their names, a curve where the input is known, and a strip", () => {
    const element = slider();
    expect([...element.querySelectorAll("bdi")].map((name) => name.textContent)).toEqual(["x", "channel 1"]);
    expect(element.querySelectorAll("path.curve")).toHaveLength(1);
    expect(element.querySelectorAll("canvas")).toHaveLength(2);
    expect(element.getAttribute("aria-label")).toBe("over time");
  });

  test("tell their numbers at the moment that is pointed at, or gone to by keys", () => {
    const element = slider();
    fireEvent.mouseMove(element, { clientX: 60 });
    expect(element.getAttribute("aria-valuetext")).toBe("time 2: 1, attribution -2 opposes; attribution 1 supports");
    fireEvent.mouseLeave(element);
    expect(element.getAttribute("aria-valuetext")).toBe("no time chosen");
    element.focus();
    const press = (key: string) => {
      fireEvent.keyDown(element, { key });
      return element.getAttribute("aria-valuenow");
    };
    expect(["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "PageUp"].map(press)).toEqual([
      "1",
      "2",
      "1",
      "3",
      "3",
      "0",
      "2",
    ]);
    press("End");
    expect(element.getAttribute("aria-valuetext")).toBe("time 3: 0.5, attribution 0; attribution NaN");
  });
});
