// @vitest-environment node
// Folds: what stands in them, what they show, how they are wired, and how what is open stands in the address.

import { describe, expect, test } from "vitest";
import { blocks, folded, graphOf, node, unrolled } from "../gallery/structure.cases";
import {
  compact,
  counterpart,
  everythingOpen,
  expansionOf,
  revealing,
  showing,
  toggled,
} from "../src/layout/expansion";
import { foldState, hierarchyOf, pathTo, shownChildren, visibleBox } from "../src/layout/hierarchy";
import { openingExpansion } from "../src/layout/opening";
import { decodeSelection, encodeSelection, NOTHING } from "../src/url";
import { drawn, everything, expectBoxesInOrder, expectEdgesToJoin } from "./layout.geometry";

const graph = folded(12);
const hierarchy = hierarchyOf(graph);
const FOLD = "body.*";
const open = (...words: string[]) => new Set(words);

describe("the tree", () => {
  test("a fold stands in the place of its members, and they stand in it", () => {
    expect(hierarchy.children.get(null)).toEqual(["x", "mask", "body", "head"]);
    expect(hierarchy.children.get("body")).toEqual([FOLD]);
    expect(hierarchy.children.get(FOLD)).toEqual(Array.from({ length: 12 }, (_, i) => `body.${i}`));
    expect(pathTo(hierarchy, "body.3.act")).toEqual(["body", FOLD, "body.3", "body.3.act"]);
  });

  test("folds in folds", () => {
    const ids = ["a", "b", "c", "d", "e", "f"];
    const nested = graphOf(
      "Nested",
      ids.map((id) => node(id)),
      [],
      [
        {
          id: "outer",
          parent: null,
          members: [
            ["left", "c"],
            ["right", "f"],
          ],
          label: "",
          shared: false,
          uniform: true,
        },
        { id: "left", parent: null, members: [["a"], ["b"]], label: "", shared: false, uniform: true },
        { id: "right", parent: null, members: [["d"], ["e"]], label: "", shared: false, uniform: true },
      ],
    );
    const { children } = hierarchyOf(nested);
    expect(children.get(null)).toEqual(["outer"]);
    expect(children.get("outer")).toEqual(["left", "c", "right", "f"]);
    expect(children.get("right")).toEqual(["d", "e"]);
  });

  test.each([
    ["a member that is not there", [["body.0"], ["nowhere"]], "body"],
    ["a member that stands elsewhere", [["body.0"], ["body.1.act"]], "body"],
    ["a member twice", [["body.0"], ["body.0"]], "body"],
    ["one repetition", [["body.0"]], "body"],
    ["another parent", [["body.0"], ["body.1"]], null],
  ])("%s: no fold", (_, members, parent) => {
    const { nodes } = blocks(3);
    const broken = { id: "fold", parent, members, label: "", shared: false, uniform: true };
    const tree = hierarchyOf(graphOf("Broken", [...nodes.values()], [], [broken]));
    expect(tree.folds.size).toBe(0);
    expect(tree.children.get("body")).toEqual(["body.0", "body.1", "body.2"]);
  });
});

describe("what is shown", () => {
  test("closed, at one repetition, unfolded", () => {
    const state = (word: string) => foldState(hierarchy, open("body", word), FOLD);
    expect([state(""), state(FOLD), state(`${FOLD}@4`), state(`${FOLD}@99`), state(`${FOLD}@*`)]).toEqual([
      ...[null, 0, 4, 11],
      "all",
    ]);
    expect(shownChildren(hierarchy, open(`${FOLD}@4`), FOLD)).toEqual(["body.4"]);
    expect(shownChildren(hierarchy, open(`${FOLD}@*`), FOLD)).toHaveLength(12);
  });

  test("a hidden member is shown by its fold", () => {
    const box = (...words: string[]) => visibleBox(hierarchy, open("body", ...words), "body.4.act");
    expect([box(), box(FOLD), box(`${FOLD}@4`), box(`${FOLD}@4`, "body.4"), box(`${FOLD}@*`)]).toEqual([
      ...[FOLD, FOLD, "body.4", "body.4.act", "body.4"],
    ]);
  });

  test("a click opens the first repetition and closes any", () => {
    expect(toggled(graph, open("body"), FOLD)).toEqual(open("body", FOLD));
    expect(toggled(graph, open("body", `${FOLD}@4`), FOLD)).toEqual(open("body"));
  });

  test("going to another repetition opens in it what was open, and unfolding in all", () => {
    const at3 = showing(graph, open("body", FOLD, "body.0"), FOLD, 3);
    expect(at3).toEqual(open("body", "body.0", "body.3", `${FOLD}@3`));
    const all = showing(graph, at3, FOLD, "all");
    for (let i = 0; i < 12; i++) expect(all.has(`body.${i}`)).toBe(true);
    expect(counterpart(graph, FOLD, 7, "body.3.linear")).toBe("body.7.linear");
    expect(counterpart(graph, FOLD, 7, "head")).toBeNull();
  });

  test("what is hidden in a fold is revealed at its repetition", () => {
    const shown = revealing(graph, open(), "body.5.act");
    expect(visibleBox(hierarchy, shown, "body.5.act")).toBe("body.5.act");
    const unfolded = open("body", `${FOLD}@*`);
    expect(foldState(hierarchy, revealing(graph, unfolded, "body.5.act"), FOLD)).toBe("all");
  });

  test("the opening opens a fold only for want of anything else, and unfolds it if that makes 15 boxes", () => {
    expect(openingExpansion(graph)).toEqual(open("body", `${FOLD}@*`)); // three boxes and twelve blocks
    expect(openingExpansion(folded(50))).toEqual(open("body", FOLD, "body.0")); // all 50 would be too many
  });
});

describe("the address", () => {
  const sets = {
    nothing: open(),
    some: open("body", `${FOLD}@4`),
    "all, folded": everythingOpen(graph),
    "all, unfolded": everythingOpen(graph, true),
    "all but one": new Set([...everythingOpen(graph, true)].filter((word) => word !== "body.3")),
  };
  test.each(Object.entries(sets))("%s comes back", (_, expanded) => {
    const hash = encodeSelection("", { ...NOTHING, expanded: compact(graph, expanded) });
    const back = decodeSelection(hash).expanded ?? [];
    expect(expansionOf(graph, back)).toEqual(expanded);
  });

  test("everything is one word, everything but one two", () => {
    expect(compact(graph, sets["all, folded"])).toEqual(["*"]);
    expect(compact(graph, sets["all, unfolded"])).toEqual(["**"]);
    expect(compact(graph, sets["all but one"])).toEqual(["**", "-body.3"]);
  });
});

describe("the picture", () => {
  test.each([
    ["closed", open("body")],
    ["unfolded, a block open", open("body", `${FOLD}@*`, "body.5")],
    ["everything", everything(graph)],
  ])("%s: boxes lie apart, edges join", async (_, expanded) => {
    const { picture } = await drawn(graph, expanded);
    expectBoxesInOrder(graph, expanded, picture);
    expectEdgesToJoin(graph, expanded, picture);
  });

  const at = (i: number) => open("body", i ? `${FOLD}@${i}` : FOLD, `body.${i}`);

  test.each([0, 5, 11])("repetition %d is wired as the whole is", async (i) => {
    const { picture } = await drawn(graph, at(i));
    expectBoxesInOrder(graph, at(i), picture);
    const ends = picture.edges.filter(({ arrow }) => arrow).map(({ points }) => points.slice(-2));
    const inputsOf = (id: string) => {
      const box = picture.boxes.find((each) => each.id === id) ?? { x: 0, y: 0, width: 0, height: 0 };
      const touches = ([x = 0, y = 0]: number[]) =>
        x >= box.x - 1 && x <= box.x + box.width + 1 && y >= box.y - 1 && y <= box.y + box.height + 1;
      return ends.filter(touches).length;
    };
    const names = ["norm", "linear", "act"].map((name) => `body.${i}.${name}`);
    expect(names.map(inputsOf)).toEqual([1, 2, 2]); // from before; norm and mask; linear and norm
    expect(inputsOf("head")).toBe(1);
  });

  test("every repetition is laid out like the first", async () => {
    const corners = async (i: number) => {
      const { picture } = await drawn(graph, at(i));
      return picture.boxes.map(({ id, x, y }) => [id.replace(`body.${i}`, "body.n"), Math.round(x), Math.round(y)]);
    };
    const names = async (i: number) => (await corners(i)).filter(([id]) => id !== FOLD);
    expect(await names(7)).toEqual(await names(0));
  });

  test("the mask is a tag at each unfolded block, and a line where there is one taker", async () => {
    const unfolded = await drawn(graph, open("body", `${FOLD}@*`));
    expect(unfolded.picture.stubs.map(({ box }) => box)).toEqual(hierarchy.children.get(FOLD));
    expect(new Set(unfolded.picture.stubs.map(({ from }) => from))).toEqual(new Set(["mask"]));
    expect((await drawn(graph, at(0))).picture.stubs).toEqual([]);
  });

  test("an unrolled cell unfolds into columns, each step beside what feeds it", async () => {
    const cells = unrolled(60);
    const { picture } = await drawn(cells, everything(cells));
    expectBoxesInOrder(cells, everything(cells), picture);
    expectEdgesToJoin(cells, everything(cells), picture);
    expect(picture.width / picture.height).toBeGreaterThan(0.6);
    expect(picture.width / picture.height).toBeLessThan(3);
  });
});
