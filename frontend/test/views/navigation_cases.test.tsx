import { render } from "@testing-library/preact";
import { beforeEach, expect, test } from "vitest";
import { NAVIGATION_CASES } from "../../gallery/navigation.cases";
import { layOut, recordCanvases } from "../canvas";

beforeEach(() => {
  layOut(360, 260);
  recordCanvases();
});

test.each(NAVIGATION_CASES.map(({ name, element }) => [name, element] as const))("%s", (_, element) => {
  const { container } = render(element());
  expect(container.textContent).not.toMatch(/NaNpx|undefined|\[object/);
  expect(
    [...container.querySelectorAll("[style]")].filter((each) => /NaN/.test(each.getAttribute("style") ?? "")),
  ).toEqual([]);
  expect(container.querySelector("img, script")).toBeNull();
  expect(container.querySelector("button, summary, [role=treeitem], canvas")).not.toBeNull();
  expect(container).toMatchSnapshot();
});
