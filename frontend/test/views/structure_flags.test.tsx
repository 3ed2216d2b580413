import { render } from "@testing-library/preact";
import { expect, test } from "vitest";
import { FINDINGS } from "../../gallery/mock";
import { blocks } from "../../gallery/structure.cases";
import { byLayer, flagOf } from "../../src/findings";
import type { ModelGraph } from "../../src/graph";
import { BoxFlags, boxFlags, treeFlags } from "../../src/views/structure_flags";
import type { Finding } from "../../src/wire";

const finding = (layer: string, severity: string, step: number) =>
  ({ ...(FINDINGS[0] as Finding), layer, severity, step }) as Finding;
const found = byLayer([
  finding("body.1.norm", "warning", 50),
  finding("body.1.norm", "error", 100),
  finding("body.2", "warning", 200),
]);
const graph: ModelGraph = blocks(3);
const folded: ModelGraph = {
  ...graph,
  folds: [
    {
      ...{ id: "fold", parent: "body", members: [["body.0"], ["body.1"], ["body.2"]], label: "0…2 (3)" },
      ...{ shared: false, uniform: true },
    },
  ],
};
const told = (flags: ReadonlyMap<string, { severity: string; own: boolean; reached: boolean }>) =>
  Object.fromEntries([...flags].map(([id, { severity, own, reached }]) => [id, [severity, own, reached]]));

test("a box has the glyph of what was found in it; closed, of what it holds; far away, whoever hides it", () => {
  const at = (expanded: string[], model = graph, step = 100) => told(boxFlags(model, new Set(expanded), found, step));
  expect(at(["body", "body.1"])).toMatchObject({
    "body.1.norm": ["error", true, true],
    "body.2": ["warning", true, false],
  });
  expect(at(["body"])).toMatchObject({ "body.1": ["error", false, true], "body.2": ["warning", true, false] });
  expect(at([])).toMatchObject({ body: ["error", false, true] });
  expect(at(["body"], folded)).toMatchObject({ fold: ["error", false, true] });
});

test("in the outline everything around it has one, closed or not", () => {
  expect(told(treeFlags(folded, found, 70))).toEqual({
    "body.1.norm": ["error", true, true],
    "body.2": ["warning", true, false],
    body: ["error", false, true],
    fold: ["error", false, true],
    "body.1": ["error", false, true],
  });
});

test("its words are those of the place itself, or say that it is inside; of many the first", () => {
  const [warning, error] = [finding("a", "warning", 50), finding("a", "error", 100)];
  expect(flagOf([warning], [error], 60)?.words).toBe("vanishing at step 50");
  expect(flagOf([], [warning, error], 60)?.words).toBe("inside: vanishing at step 50, vanishing at step 100");
  const many = Array.from({ length: 5 }, (_, step) => finding("a", "warning", step));
  expect(flagOf(many, [], 9)?.words).toBe("vanishing at step 0, vanishing at step 1, vanishing at step 2, 2 more");
  expect(flagOf([], [], 0)).toBeNull();
});

test("glyphs keep their size on the screen; of those over each other the worst stays", () => {
  const box = (id: string, x: number) => ({ id, x, y: 0, width: 100, height: 60, depth: 0, expanded: false });
  const flags = new Map([
    ["near", flagOf([finding("near", "warning", 0)], [], 0)],
    ["worse", flagOf([finding("worse", "error", 0)], [], 0)],
    ["apart", flagOf([], [finding("apart", "warning", 0)], 0)],
  ]) as ReadonlyMap<string, NonNullable<ReturnType<typeof flagOf>>>;
  const boxes = [box("near", 0), box("worse", 20), box("apart", 200), box("none", 300)];
  const drawn = (k: number) => {
    const { container } = render(
      <svg aria-hidden="true">
        <BoxFlags boxes={boxes} flags={flags} k={k} />
      </svg>,
    );
    return [...container.querySelectorAll("[data-flag]")].map((glyph) => [
      glyph.getAttribute("data-flag"),
      glyph.firstElementChild?.getAttribute("transform"),
    ]);
  };
  expect(drawn(1)).toEqual([
    ["worse", "translate(12.5 -7.5) scale(1.5)"],
    ["near", "translate(-7.5 -7.5) scale(1.5)"],
    ["apart", "translate(192.5 -7.5) scale(1.5)"],
  ]);
  expect(drawn(0.5)).toEqual([
    ["worse", "translate(5 -15) scale(3)"],
    ["apart", "translate(185 -15) scale(3)"],
  ]);
});
