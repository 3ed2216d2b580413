import { fireEvent, render, screen } from "@testing-library/preact";
import { expect, test } from "vitest";
import { moved, Panes } from "../../src/views/panes";

test("a border moves between its two panes only, and none gets too small", () => {
  const near = (values: number[]) => values.map((value) => expect.closeTo(value, 12));
  expect(moved([0.4, 0.3, 0.3], 0, 0.1)).toEqual(near([0.5, 0.2, 0.3]));
  expect(moved([0.4, 0.3, 0.3], 1, -0.05)).toEqual(near([0.4, 0.25, 0.35]));
  expect(moved([0.4, 0.3, 0.3], 0, 9)).toEqual(near([0.54, 0.16, 0.3]));
  expect(moved([0.4, 0.3, 0.3], 0, -9)).toEqual(near([0.16, 0.54, 0.3]));
});

test("borders are moved with the arrow keys, and say where they are", () => {
  const panes = (shares: number[]) => (
    <Panes shares={shares} names={["left", "right"]}>
      {[<p key="a">a</p>, <p key="b">b</p>]}
    </Panes>
  );
  const given = [0.5, 0.5];
  const { container, rerender } = render(panes(given));
  const border = screen.getByRole("separator");
  expect(border.getAttribute("aria-label")).toBe("Border between left and right");
  fireEvent.keyDown(border, { key: "ArrowRight" });
  fireEvent.keyDown(border, { key: "ArrowRight" });
  fireEvent.keyDown(border, { key: "ArrowLeft" });
  fireEvent.keyDown(border, { key: "a" });
  expect(border.getAttribute("aria-valuenow")).toBe("52");
  const shares = [...container.querySelectorAll<HTMLElement>(".pane-slot")].map((pane) => Number(pane.style.flexGrow));
  expect(shares[0]).toBeCloseTo(0.52, 12);
  expect(shares[1]).toBeCloseTo(0.48, 12);
  rerender(panes(given));
  expect(border.getAttribute("aria-valuenow")).toBe("52");
  rerender(panes([0.7, 0.3]));
  expect(border.getAttribute("aria-valuenow")).toBe("70");
});
