import { describe, expect, test, vi } from "vitest";
import { mockBackend } from "../gallery/mock";
import type { Backend, Numbers } from "../src/backend";
import type { ModelGraph } from "../src/graph";
import { Store } from "../src/store";
import { decodeSelection } from "../src/url";
import type { Node, RunListing } from "../src/wire";
import { deferred, FakeHost, listingOf, opened, opening, settled, TYPICAL } from "./fakes";

const STEPS = [0, 50, 100, 150, 200, 250, 300, 350, 400, 450, 500];
const OURS = "p.layerscope";
const written = () => new Promise((resolve) => setTimeout(resolve, 200));

describe("without a choice", () => {
  test("the first run, the norm of gradients, the first method, the loss, the latest step", async () => {
    const { store } = await opened();
    expect(store.run.value).toBe("baseline");
    expect(store.measure.value?.id).toBe("gradients.norm");
    expect(store.method.value?.name).toBe("integrated_gradients");
    expect(store.scalar.value).toBe("loss/train");
    expect([store.step.value, store.following.value]).toEqual([500, true]);
    expect([store.layer.value, store.row.value, store.sample.value, store.query.value]).toEqual([null, null, 0, ""]);
    expect([...store.expanded.value]).toEqual(["blocks"]);
    expect(store.rows.value).toEqual(TYPICAL.layers);
  });

  test("the first measure where there are no gradients, and any scalar where none is a loss", async () => {
    const listing = await listingOf(TYPICAL, (tags) => tags.filter(({ tag }) => tag !== "layerscope/series/gradients"));
    const { store } = await opened(TYPICAL, "", { tags: async () => ({ ...listing, scalars: ["lr", "accuracy"] }) });
    expect(store.measure.value?.id).toBe("activations.norm");
    expect(store.scalar.value).toBe("lr");
  });

  test("a log directory without anything of ours", async () => {
    const { store } = await opened(TYPICAL, "", { runs: async () => ({ runs: [], version: 1 }) });
    expect(store.runs.value).toEqual({ data: [], error: "", loading: false });
    expect([store.run.value, store.measure.value, store.method.value, store.scalar.value]).toEqual([
      ...[null, null, null, null],
    ]);
    expect([store.steps.value, store.span.value, store.step.value]).toEqual([[], [0, 0], 0]);
    expect([store.rows.value, store.scale.value, [...store.expanded.value]]).toEqual([[], null, []]);
  });

  test("a run without anything: the span is still that of the user's own curve", async () => {
    const listing = { run: "baseline", tags: [], scalars: ["loss"], version: 1 };
    const { store } = await opened(TYPICAL, "", { tags: async () => listing });
    expect(store.span.value).toEqual([0, 540]);
    expect(store.steps.value).toHaveLength(55);
    expect(store.step.value).toBe(540);
  });
});

describe("a link", () => {
  const HASH =
    `#layerscope&${OURS}.run=lr%3D0.1%2C%20no%20warm-up&${OURS}.step=150&${OURS}.layer=blocks.1.conv` +
    `&${OURS}.row=blocks.1.conv.bias&${OURS}.measure=activations.mean&${OURS}.method=grad_cam&${OURS}.sample=3` +
    `&${OURS}.scalar=accuracy&${OURS}.query=conv&${OURS}.expanded=blocks%2Cblocks.1`;

  test("restores everything", async () => {
    const { store } = await opened(TYPICAL, HASH);
    expect(store.run.value).toBe("lr=0.1, no warm-up");
    expect([store.step.value, store.following.value]).toEqual([150, false]);
    expect([store.layer.value, store.row.value]).toEqual(["blocks.1.conv", "blocks.1.conv.bias"]);
    expect([store.measure.value?.id, store.column.value]).toEqual(["activations.mean", 1]);
    expect(store.scale.value?.kind).toBe("signed");
    expect([store.method.value?.name, store.sample.value, store.scalar.value]).toEqual(["grad_cam", 3, "accuracy"]);
    expect([store.query.value, [...store.expanded.value]]).toEqual(["conv", ["blocks", "blocks.1"]]);
  });

  test("made elsewhere shows the same, the step and the run that were defaults among it", async () => {
    const { store } = await opened(TYPICAL, "#scalars&keep=1");
    store.select("head");
    const link = store.link();
    expect(link).toContain("http://tensorboard/#layerscope&keep=1&");
    expect(decodeSelection(link.slice(link.indexOf("#")))).toMatchObject({
      run: "baseline",
      step: 500,
      layer: "head",
    });
    const again = await opened(TYPICAL, link.slice(link.indexOf("#")));
    expect([again.store.layer.value, again.store.step.value]).toEqual(["head", 500]);
  });

  test("to what is not there falls back, but keeps the layer's name", async () => {
    const gone = ["run", "row", "measure", "method", "scalar", "layer"].map((key) => `${OURS}.${key}=gone`).join("&");
    const { store } = await opened(TYPICAL, `#layerscope&${gone}`);
    expect([store.run.value, store.measure.value?.id, store.method.value?.name, store.scalar.value]).toEqual([
      ...["baseline", "gradients.norm", "integrated_gradients", "loss/train"],
    ]);
    expect([store.layer.value, store.row.value, store.layerRowNames.value]).toEqual(["gone", null, []]);
  });

  test.each(["constructor", "__proto__", "toString"])("to the layer %s of a model without one", async (layer) => {
    const { store } = await opened(TYPICAL, `#layerscope&${OURS}.layer=${layer}`);
    expect([store.layer.value, store.row.value]).toEqual([layer, null]);
  });
});

describe("the address", () => {
  test("is written a moment after a choice, with what is not ours kept", async () => {
    const { store, host } = await opened(TYPICAL, "#layerscope&tagFilter=x");
    store.choose({ step: 100 });
    store.choose({ step: 150, layer: "stem" });
    expect(host.written).toEqual([]);
    await written();
    expect(host.written).toEqual([`#layerscope&tagFilter=x&${OURS}.step=150&${OURS}.layer=stem`]);
  });

  test("changed by other hands changes the choice, all of it", async () => {
    const { store, host } = await opened(TYPICAL, `#layerscope&${OURS}.step=100&${OURS}.layer=stem`);
    host.go(`#layerscope&${OURS}.layer=head`);
    expect([store.layer.value, store.following.value]).toEqual(["head", true]);
    host.go("#layerscope");
    expect(store.layer.value).toBeNull();
  });

  test("is left alone after the end", async () => {
    const { store, host, end } = await opened();
    store.choose({ step: 100 });
    end.abort();
    store.choose({ step: 150 });
    await written();
    expect(host.written).toEqual([]);
  });
});

describe("steps", () => {
  test("are those of every sort of data, united; the ticks say which", async () => {
    const { store } = await opened(TYPICAL, "", {
      tags: async () =>
        listingOf(TYPICAL, (tags) =>
          tags.map((entry) => (entry.kind === "attribution" ? { ...entry, steps: [25, 200, 900] } : entry)),
        ),
    });
    expect(store.steps.value).toEqual([0, 25, ...STEPS.slice(1), 900]);
    expect(store.saved.value).toEqual([
      { label: "gradients", steps: STEPS },
      { label: "activations", steps: STEPS },
      { label: "attributions", steps: [25, 200, 900] },
      { label: "maximization", steps: [200, 400] },
    ]);
    expect(store.span.value).toEqual([0, 900]);
  });

  test("the latest is followed as it comes in, until another is chosen", async () => {
    let count = 3;
    const only = () => mockBackend({ ...TYPICAL, steps: count });
    const { store, host } = await opened(TYPICAL, "", {
      array: (...args) => only().array(...args),
      tags: async (run, signal) => {
        const listing = await only().tags(run, signal);
        return { ...listing, tags: listing.tags.filter(({ kind }) => kind === "series") };
      },
    });
    expect(store.step.value).toBe(100);
    count = 5;
    host.reload();
    await settled();
    expect([store.step.value, store.following.value]).toEqual([200, true]);
    store.goTo(100);
    count = 7;
    store.refresh();
    await settled();
    expect([store.step.value, store.following.value, store.steps.value.at(-1)]).toEqual([100, false, 300]);
    store.goTo(300);
    expect(store.following.value).toBe(true);
    count = 8;
    store.refresh();
    await settled();
    expect(store.step.value).toBe(350);
  });
});

describe("layers", () => {
  test("select chooses one and forgets the row", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.row=stem.bias&${OURS}.layer=stem`);
    expect(store.layerRowNames.value).toEqual(["stem", "stem.weight", "stem.bias"]);
    expect(store.row.value).toBe("stem.bias");
    store.select("head");
    expect([store.layer.value, store.row.value]).toEqual(["head", "head"]);
    store.select(null);
    expect([store.layer.value, store.row.value]).toEqual([null, null]);
  });

  test("reveal expands what is around the layer, and nothing else", async () => {
    const { store } = await opened();
    store.select("blocks.1.conv");
    expect([...store.expanded.value]).toEqual(["blocks"]);
    store.select("blocks.1.conv", true);
    expect([...store.expanded.value]).toEqual(["blocks", "blocks.1"]);
    store.select("stem", true);
    expect([...store.expanded.value]).toEqual(["blocks", "blocks.1"]);
  });

  test("up- and downstream are lit together or alone, and stand in the address", async () => {
    const { store, host } = await opened(TYPICAL, "#layerscope&p.layerscope.flow=sideways");
    expect(store.flow.value).toBeNull();
    const ways = (["up", "down", "up", "down"] as const).map((way) => {
      store.toggleFlow(way);
      return store.flow.value;
    });
    expect(ways).toEqual(["up", "both", "down", null]);
    store.toggleFlow("down");
    store.choose({ outline: true });
    await vi.waitFor(() => expect(host.hash()).toContain("p.layerscope.outline=1&p.layerscope.flow=down"));
    store.choose({ outline: false });
    await vi.waitFor(() => expect(host.hash()).not.toContain("outline"));
  });

  test("the structure has the tab to itself if asked for, or where the run holds nothing else", async () => {
    const { store, host } = await opened();
    expect([store.bare.value, store.wide.value]).toEqual([false, false]);
    store.choose({ wide: true });
    expect(store.wide.value).toBe(true);
    await vi.waitFor(() => expect(host.hash()).toContain("p.layerscope.wide=1"));
    const graphOnly = await listingOf(TYPICAL, (tags) => tags.filter(({ kind }) => kind === "graph"));
    const alone = await opened(TYPICAL, "", { tags: async () => ({ ...graphOnly, scalars: [] }) });
    expect([alone.store.bare.value, alone.store.wide.value]).toEqual([true, true]);
    const live = await opened(TYPICAL, "", { tags: async () => graphOnly });
    expect([live.store.bare.value, live.store.wide.value]).toEqual([false, false]);
  });

  test("toggle opens and closes, from the opening on", async () => {
    const { store } = await opened();
    store.toggle("blocks.0");
    expect([...store.expanded.value]).toEqual(["blocks", "blocks.0"]);
    store.toggle("blocks");
    expect([...store.expanded.value]).toEqual(["blocks.0"]);
    store.toggle("blocks.0");
    expect([...store.expanded.value]).toEqual([]);
  });

  test("a repeated call has the rows of its module", async () => {
    const { store } = await opened(TYPICAL, `#&${OURS}.layer=head%231`, {
      graph: async (...args) => {
        const graph = await mockBackend(TYPICAL).graph(...args);
        const head = graph.nodes.get("head") as Node;
        return { ...graph, nodes: new Map([...graph.nodes, ["head#1", { ...head, id: "head#1", call: 1 }]]) };
      },
    });
    expect(store.layerRowNames.value).toEqual(["head", "head.weight", "head.bias"]);
  });
});

test("one colour scale spans all layers and steps of the run, whatever is chosen", async () => {
  const { store } = await opened();
  const { low, high, kind } = store.scale.value as NonNullable<typeof store.scale.value>;
  const series = store.measured.value as NonNullable<typeof store.measured.value>;
  const all = TYPICAL.layers.flatMap((layer) =>
    STEPS.map((_, step) => series.value(step, series.row(layer) as number, 0)),
  );
  const sorted = all.sort((a, b) => a - b);
  expect(kind).toBe("log");
  expect([low, high]).toEqual([
    sorted[Math.round(0.02 * (all.length - 1))],
    sorted[Math.round(0.98 * (all.length - 1))],
  ]);
  store.choose({ step: 0, layer: "stem" });
  expect([store.scale.value?.low, store.scale.value?.high]).toEqual([low, high]);
});

describe("answers", () => {
  test("to a question that is no longer asked are dropped", async () => {
    const first = deferred<ModelGraph>();
    const signals: AbortSignal[] = [];
    const graph = await mockBackend(TYPICAL).graph("", "", 0, new AbortController().signal);
    const { store } = await opened(TYPICAL, "", {
      graph: (run, _tag, _step, signal) => {
        signals.push(signal);
        return run === "baseline" ? first.promise : Promise.resolve({ ...graph, class_name: "Second" });
      },
    });
    expect(store.graph.value).toEqual({ data: null, error: "", loading: true });
    store.choose({ run: "lr=0.1, no warm-up" });
    await settled();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    first.resolve({ ...graph, class_name: "First" });
    await settled();
    expect(store.graph.value.data?.class_name).toBe("Second");
  });

  test("of another run are not shown while its own are on their way", async () => {
    const waiting = deferred<Numbers>();
    const backend = mockBackend(TYPICAL);
    const { store } = await opened(TYPICAL, "", {
      scalar: (run, tag, signal) => (run === "baseline" ? backend.scalar(run, tag, signal) : waiting.promise),
    });
    expect(store.scalarCurve.value.data?.steps).toHaveLength(55);
    store.choose({ run: "lr=0.1, no warm-up" });
    await settled();
    expect(store.scalarCurve.value).toEqual({ data: null, error: "", loading: true });
  });

  test("that say the same wake nobody", async () => {
    const { store } = await opened();
    const { listing, series, scalarCurve, graph } = store;
    const before = [listing.value, series.value, scalarCurve.value, graph.value];
    const woken = vi.fn();
    store.saved.subscribe(woken);
    woken.mockClear();
    store.refresh();
    await settled();
    const after = [listing.value, series.value, scalarCurve.value, graph.value];
    after.forEach((state, index) => {
      expect(state).toBe(before[index]);
    });
    expect(woken).not.toHaveBeenCalled();
  });

  test("a look without news asks for no numbers; at first only the chosen series is asked for whole", async () => {
    const asked = vi.fn();
    const backend = mockBackend(TYPICAL);
    const array: Backend["array"] = (run, tag, wanted, signal) => {
      asked(tag, wanted);
      return backend.array(run, tag, wanted, signal);
    };
    const { store } = await opened(TYPICAL, "", { array });
    expect(asked.mock.calls).toEqual([
      ["layerscope/series/gradients", {}],
      ["layerscope/series/gradients", { rows: ["blocks"] }],
      ["layerscope/series/activations", { rows: ["blocks"] }],
    ]);
    asked.mockClear();
    store.refresh();
    await settled();
    expect(asked).not.toHaveBeenCalled();
    store.choose({ measure: "activations.mean" });
    await settled();
    expect(asked.mock.calls).toEqual([["layerscope/series/activations", {}]]);
    expect(store.measured.value?.name).toBe("activations");
    asked.mockClear();
    store.select("head");
    await settled();
    const rows = ["head", "head.weight", "head.bias"];
    expect(asked.mock.calls.filter(([tag]) => tag.includes("series"))).toEqual([
      ["layerscope/series/gradients", { rows }],
      ["layerscope/series/activations", { rows }],
    ]);
  });
});

describe("errors stay words, and everything else stays usable", () => {
  test("a structure that cannot be read", async () => {
    const refuse = () => Promise.reject(new Error("the graph was written in version 9."));
    const { store } = await opened(TYPICAL, "", { graph: refuse });
    expect(store.graph.value).toEqual({ data: null, error: "the graph was written in version 9.", loading: false });
    expect(store.measured.value?.steps).toEqual(STEPS);
    expect(store.rows.value).toEqual(TYPICAL.layers);
  });

  test("one series of two", async () => {
    const backend = mockBackend(TYPICAL);
    const { store } = await opened(TYPICAL, "", {
      array: (run, tag, wanted, signal) =>
        tag.endsWith("gradients")
          ? Promise.reject(new Error("its values are cut off."))
          : backend.array(run, tag, wanted, signal),
    });
    expect(store.series.value.error).toBe("");
    expect(store.series.value.data?.problems).toEqual(["layerscope/series/gradients: its values are cut off."]);
    expect(store.saved.value.map(({ label }) => label)).toEqual(["activations", "attributions", "maximization"]);
    expect([store.measured.value, store.scale.value, store.rows.value]).toEqual([null, null, []]);
  });

  test("a server that does not answer, and then does", async () => {
    let down = true;
    const { store } = await opened(TYPICAL, "", {
      runs: async (): Promise<RunListing> => {
        if (down) throw new Error("TensorBoard does not answer. Is it still running?");
        return { runs: ["baseline"], version: 1 };
      },
    });
    expect(store.runs.value.error).toBe("TensorBoard does not answer. Is it still running?");
    down = false;
    store.refresh();
    await settled();
    expect([store.runs.value.error, store.run.value, store.step.value]).toEqual(["", "baseline", 500]);
  });
});

test("the end aborts everything that is under way", async () => {
  const signals: AbortSignal[] = [];
  const end = new AbortController();
  const runs = (signal: AbortSignal) => {
    signals.push(signal);
    return new Promise<RunListing>(() => undefined);
  };
  new Store({ ...mockBackend(TYPICAL), runs }, new FakeHost(), end.signal, opening);
  end.abort();
  expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
});
