import { render } from "@testing-library/preact";
import { beforeEach, expect, test } from "vitest";
import { CHART_CASES } from "../../gallery/charts.cases";
import { PICTURE_CASES } from "../../gallery/pictures.cases";
import { type Drawn, type Rect, recordCanvases } from "../canvas";

let drawn: Drawn;

beforeEach(() => {
  drawn = recordCanvases();
});

/** Attributes that hold numbers of the picture: none may be broken, or the browser drops the mark without a word. */
const GEOMETRY = ["x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "d", "width", "height", "transform", "style"];

const CASES = [...CHART_CASES, ...PICTURE_CASES];

test.each(CASES.map(({ name, element }) => [name, element] as const))("%s", (_, element) => {
  const { container } = render(element());
  const geometry = [...container.querySelectorAll("*")].flatMap((mark) =>
    GEOMETRY.map((name) => mark.getAttribute(name) ?? ""),
  );
  expect(geometry.filter((value) => /NaN|undefined|Infinity/.test(value))).toEqual([]);
  const visible = ({ x, y, width, height }: Rect) => [x, y].every(Number.isFinite) && width > 0 && height > 0;
  expect(drawn.rects.filter((rect) => !visible(rect))).toEqual([]);
  const colour = /^(rgb\(\d+, \d+, \d+\)|rgba\(\d+, \d+, \d+, \d+\)|#[0-9a-f]{6,8}|pattern|texture)$/;
  expect(drawn.rects.filter(({ fill }) => !colour.test(fill))).toEqual([]);
  const named = container.querySelector("[aria-label], .legend-title");
  expect(named?.getAttribute("aria-label") ?? named?.textContent).toMatch(/\w/);
  expect(container).toMatchSnapshot();
});

test("the cases have names of their own", () => {
  expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
});
