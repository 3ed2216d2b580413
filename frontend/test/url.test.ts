import { describe, expect, test } from "vitest";
import { decodeSelection, encodeSelection, NOTHING, type Selection } from "../src/url";

const ALL: Selection = {
  run: "lr=0.1 & more/2024-01-01",
  compareRun: "before, 1",
  compareStep: 7,
  compareAs: "side",
  swipe: true,
  overlay: "contour",
  opacity: 30,
  distributions: "ridgeline",
  zoom: [-3, 900],
  order: "smallest",
  folded: true,
  step: 1200,
  layer: "blocks.3.conv#2",
  row: "blocks.3.conv.weight",
  measure: "gradients.norm",
  method: "probe/grad_cam",
  sample: 7,
  unit: 3,
  parameter: "blocks.3.conv.weight",
  head: 11,
  window: 2,
  probeSet: "held out",
  smooth: true,
  colours: "linear",
  input: 1,
  allFeatures: true,
  surrogate: "fc1, ~/decision_tree",
  output: 1,
  tree: true,
  branches: [".", ".y"],
  scalar: "loss/train %",
  query: "conv|層 🔬",
  expanded: ["a,b", "c~d", "~", ",", "~0", "~1", "<img src=x>", "__proto__", "100%"],
  outline: true,
  wide: true,
  flow: "both",
  axis: "log",
  findings: true,
  finding: '["nan",7,"a.b","a.b.weight"]',
};

/** TensorBoard's `componentToDict` and `dictToComponent` (tensorboard/components/tf_storage/storage_utils.ts). */
function throughTensorBoard(hash: string): string {
  const items = new Map<string, string>();
  let tab = "";
  for (const token of hash.slice(1).split("&")) {
    const pair = token.split("=");
    if (pair.length === 1) tab = token;
    else if (pair.length === 2) items.set(decodeURIComponent(pair[0] ?? ""), decodeURIComponent(pair[1] ?? ""));
  }
  const rest = [...items].map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`);
  return `#${[tab, ...rest].join("&")}`;
}

describe("round trip", () => {
  test("of everything at once, also when TensorBoard decodes and encodes the address", () => {
    const hash = encodeSelection("", ALL);
    expect(decodeSelection(hash)).toEqual(ALL);
    expect(decodeSelection(throughTensorBoard(hash))).toEqual(ALL);
    expect(decodeSelection(throughTensorBoard(throughTensorBoard(hash)))).toEqual(ALL);
  });

  test.each(Object.keys(ALL) as (keyof Selection)[])("of %s alone", (key) => {
    const selection = { ...NOTHING, [key]: ALL[key] };
    expect(decodeSelection(encodeSelection("#layerscope", selection))).toEqual(selection);
  });

  test("nothing chosen leaves nothing in the address; nothing expanded is a choice", () => {
    expect(encodeSelection("", NOTHING)).toBe("#layerscope");
    expect(encodeSelection("", { ...NOTHING, expanded: [] })).toBe("#layerscope&p.layerscope.expanded=~");
    expect(decodeSelection("#layerscope&p.layerscope.expanded=~").expanded).toEqual([]);
    expect(decodeSelection("#layerscope&p.layerscope.expanded=").expanded).toEqual([]);
    expect(decodeSelection("#layerscope").expanded).toBeNull();
  });

  test("the address reads well", () => {
    const hash = encodeSelection("", { ...NOTHING, layer: "blocks.0.conv#1", step: 200, expanded: ["a", "b"] });
    expect(hash).toBe(
      "#layerscope&p.layerscope.step=200&p.layerscope.layer=blocks.0.conv%231&p.layerscope.expanded=a%2Cb",
    );
  });

  test("negative steps are steps", () => {
    expect(decodeSelection(encodeSelection("", { ...NOTHING, step: -3 })).step).toBe(-3);
  });
});

describe("what is not ours", () => {
  const foreign = "#scalars&tagFilter=loss%20x&p.mesh.run=a&_smoothing=0.6";

  test("is kept in its order, and our old keys are replaced", () => {
    const hash = encodeSelection(`${foreign}&p.layerscope.layer=old&p.layerscope.step=1`, { ...NOTHING, layer: "new" });
    expect(hash).toBe(`${foreign}&p.layerscope.layer=new`);
  });

  test("the tab stays, unless a link to ours is made", () => {
    expect(encodeSelection("#scalars", NOTHING)).toBe("#scalars");
    expect(encodeSelection("#scalars&a=1", NOTHING, true)).toBe("#layerscope&a=1");
    expect(encodeSelection("#a=1", { ...NOTHING, sample: 0 })).toBe("#layerscope&a=1&p.layerscope.sample=0");
  });

  test("keys of ours that we do not know are not read, and are dropped", () => {
    expect(decodeSelection("#layerscope&p.layerscope.constructor=1&p.layerscope.__proto__=x")).toEqual(NOTHING);
    expect(encodeSelection("#layerscope&p.layerscope.nonsense=1", NOTHING)).toBe("#layerscope");
  });
});

describe("hostile values count as not chosen", () => {
  test.each([
    "step=abc",
    "step=1e9",
    "step=NaN",
    "step=",
    "step=1.5",
    "step=9999999999999999",
    "sample=-1",
    "sample=1234567",
    "layer=",
    `layer=${"x".repeat(2001)}`,
    "layer=%E0%A4%A",
    "layer=%",
    "layer",
  ])("%s", (part) => {
    expect(decodeSelection(`#layerscope&p.layerscope.${part.slice(0, 2100)}`)).toEqual(NOTHING);
  });

  test("markup is a name like any other", () => {
    expect(decodeSelection("#layerscope&p.layerscope.layer=%3Cscript%3E").layer).toBe("<script>");
  });

  test("lists are bounded, in the address and out of it", () => {
    const many = Array.from({ length: 700 }, (_, i) => `n${i}`);
    expect(decodeSelection(`#&p.layerscope.expanded=${many.join()}`).expanded).toEqual(many.slice(0, 500));
    expect(decodeSelection(encodeSelection("", { ...NOTHING, expanded: many })).expanded).toEqual(many.slice(0, 500));
    const long = "y".repeat(2001);
    expect(decodeSelection(`#&p.layerscope.expanded=a,,${long},b`).expanded).toEqual(["a", "b"]);
  });

  test("the last of two equal keys counts", () => {
    expect(decodeSelection("#&p.layerscope.step=1&p.layerscope.step=2").step).toBe(2);
  });

  test("anything at all is an address", () => {
    for (const hash of ["", "#", "&&&", "#=&==&", "layerscope", "#p.layerscope.=3"]) {
      expect(decodeSelection(hash)).toEqual(NOTHING);
    }
  });
});

test("half a character, which can be typed, does not break the address", () => {
  const hash = encodeSelection("#", { ...NOTHING, query: "a\ud83d" });
  expect(decodeSelection(hash).query).toBe("a\ufffd");
});
