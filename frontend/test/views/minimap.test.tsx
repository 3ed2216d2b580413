import { fireEvent, render, screen } from "@testing-library/preact";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { isPartial, Minimap, type MinimapProps, onView } from "../../src/views/minimap";
import { type Drawn, recordCanvases } from "../canvas";

const box = (id: string, y: number, rest = {}) => ({
  ...{ id, x: 0, y, width: 600, height: 400, depth: 0, expanded: false },
  ...rest,
});
const PICTURE = { width: 600, height: 1320, boxes: [box("a", 0, { expanded: true }), box("b", 500), box("c", 920)] };
const PANE = { width: 600, height: 660 };
const onMove = vi.fn();
let drawn: Drawn;

beforeEach(() => {
  drawn = recordCanvases();
  onMove.mockReset();
  const map = { left: 100, top: 200, width: 70, height: 142 };
  vi.spyOn(Element.prototype, "getBoundingClientRect").mockReturnValue(map as DOMRect);
  Element.prototype.setPointerCapture = () => undefined;
  Element.prototype.hasPointerCapture = () => true;
});

const minimap = (changes: Partial<MinimapProps> = {}) =>
  render(
    <Minimap
      {...{ picture: PICTURE, pane: PANE, transform: { x: 0, y: -660, k: 2 }, colour: () => "", onMove, ...changes }}
    />,
  );

describe("what is on view", () => {
  test("is the pane in the picture's coordinates", () => {
    expect(onView({ transform: { x: -100, y: 50, k: 0.5 }, pane: PANE })).toEqual({
      ...{ x: 200, y: -100, width: 1200, height: 1320 },
    });
  });

  test("a picture that is all there needs no map", () => {
    const whole = { picture: PICTURE, transform: { x: 30, y: 0, k: 0.5 }, pane: PANE };
    expect(isPartial(whole)).toBe(false);
    expect(isPartial({ ...whole, transform: { x: 30, y: 5, k: 0.5 } })).toBe(false); // a rounding's worth
    expect(isPartial({ ...whole, transform: { x: 30, y: 40, k: 0.5 } })).toBe(true);
    minimap({ transform: whole.transform });
    expect(screen.queryByTestId("minimap")).toBeNull();
  });
});

describe("the map", () => {
  test("shows the boxes to scale, in their data colours, open ones as frames", () => {
    minimap({ colour: (id) => (id === "b" ? "#123456" : "") });
    // 132 / 1320 = 0.1
    const [a, inner, b, c] = drawn.rects;
    expect(a).toMatchObject({ x: 0, y: 0, width: 60, height: 40 });
    expect(inner).toMatchObject({ x: 0.75, y: 0.75, width: 58.5, height: 38.5 });
    expect(b).toMatchObject({ x: 0, y: 50, width: 60, height: 40, fill: "#123456" });
    expect(c).toMatchObject({ y: 92 });
    expect(drawn.rects).toHaveLength(4);
  });

  test("frames what is on view", () => {
    minimap();
    const frame = screen.getByTestId("minimap").querySelector("i");
    expect(frame?.style.cssText).toBe("left: 5px; top: 38px; width: 30px; height: 33px;");
  });

  test("takes a small share of a small pane", () => {
    minimap({ pane: { width: 600, height: 330 } });
    expect(screen.getByTestId("minimap").querySelector("canvas")?.style.height).toBe("72.6px");
  });

  test("leaves out what is too small or too deep to see", () => {
    const boxes = [box("deep", 0, { depth: 4 }), box("small", 0, { height: 5 }), box("seen", 0)];
    minimap({ picture: { ...PICTURE, boxes } });
    expect(drawn.rects).toHaveLength(1);
  });

  test("a picture like a hair is still something to point at", () => {
    minimap({ picture: { width: 20, height: 13200, boxes: [] } });
    const canvas = screen.getByTestId("minimap").querySelector("canvas");
    expect(canvas?.style.width).toBe("26px");
  });

  test("a press or a drag brings that point to the middle", () => {
    minimap();
    fireEvent.pointerDown(screen.getByTestId("minimap"), {
      clientX: 100 + 5 + 30,
      clientY: 200 + 5 + 66,
      pointerId: 1,
    });
    expect(onMove.mock.lastCall?.map(Math.round)).toEqual([300, 660]);
    fireEvent.pointerMove(screen.getByTestId("minimap"), { clientX: 105, clientY: 205, pointerId: 1 });
    expect(onMove.mock.lastCall?.map(Math.round)).toEqual([0, 0]);
  });
});
