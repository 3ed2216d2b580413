import { beforeEach, describe, expect, test, vi } from "vitest";
import { httpBackend, toNumbers } from "../src/backend";
import type { Tensor } from "../src/safetensors";

const BASE = "https://example.org/some/prefix/data/plugin/layerscope/";
const { signal } = new AbortController();
const asked = vi.fn<typeof fetch>();

beforeEach(() => {
  asked.mockReset();
  vi.stubGlobal("fetch", asked);
});

const answer = (body: BodyInit | null, init: ResponseInit = {}) => asked.mockResolvedValue(new Response(body, init));
const url = () => String(asked.mock.calls[0]?.[0]);

/** Tensors of one byte header each, written by hand. */
function safetensors(tensors: Record<string, { dtype: string; shape: number[]; bytes: ArrayBufferView }>): ArrayBuffer {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.byteLength] };
    offset += bytes.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const whole = new Uint8Array(8 + json.length + offset);
  new DataView(whole.buffer).setBigUint64(0, BigInt(json.length), true);
  whole.set(json, 8);
  let at = 8 + json.length;
  for (const { bytes } of Object.values(tensors)) {
    whole.set(new Uint8Array(bytes.buffer), at);
    at += bytes.byteLength;
  }
  return whole.buffer;
}

const ARRAY = safetensors({
  steps: { dtype: "F64", shape: [2], bytes: Float64Array.of(0, 50) },
  wall_times: { dtype: "F64", shape: [2], bytes: Float64Array.of(1.5, 2.5) },
  values: { dtype: "F32", shape: [2, 1, 2], bytes: Float32Array.of(1, 2, 3, 4) },
});

describe("addresses lie beside the bundle, under whatever prefix, and are escaped", () => {
  const backend = httpBackend(BASE);

  test("runs", async () => {
    answer('{"runs": ["a"], "version": 1}');
    expect(await backend.runs(signal)).toEqual({ runs: ["a"], version: 1 });
    expect(url()).toBe(`${BASE}runs`);
    expect(asked.mock.calls[0]?.[1]).toEqual({ signal });
  });

  test("tags", async () => {
    answer("{}");
    await backend.tags("lr=0.1 & more/#2", signal);
    expect(url()).toBe(`${BASE}tags?run=lr%3D0.1+%26+more%2F%232`);
    expect(new URL(url()).searchParams.get("run")).toBe("lr=0.1 & more/#2");
  });

  test("findings", async () => {
    answer('{"run": "a", "findings": [], "examined": true, "version": 1}');
    expect(await backend.findings("a/b", signal)).toEqual({ run: "a", findings: [], examined: true, version: 1 });
    expect(url()).toBe(`${BASE}findings?run=a%2Fb`);
  });

  test("array, with each layer on its own", async () => {
    answer(ARRAY);
    await backend.array("r", "t", { rows: ["a,b", "../c"], after: 50 }, signal);
    const { pathname, searchParams } = new URL(url());
    expect(pathname).toBe("/some/prefix/data/plugin/layerscope/array");
    expect([...searchParams]).toEqual([
      ["run", "r"],
      ["tag", "t"],
      ["layer", "a,b"],
      ["layer", "../c"],
      ["after", "50"],
    ]);
  });

  test("scalar", async () => {
    answer(ARRAY);
    expect(await backend.scalar("r", "loss/train", signal)).toEqual({
      steps: [0, 50],
      wallTimes: [1.5, 2.5],
      rows: 1,
      columns: 2,
      values: Float32Array.of(1, 2, 3, 4),
    });
    expect(url()).toBe(`${BASE}array?run=r&scalar=loss%2Ftrain`);
  });

  test("blobs", async () => {
    answer('{"objectives": [1]}');
    expect(await backend.maximization("r", "t", 50, signal)).toEqual({ objectives: [1] });
    expect(url()).toBe(`${BASE}blob?run=r&tag=t&step=50&index=0`);
    expect(backend.imageUrl("r", "t", 50, 0)).toBe(`${BASE}blob?run=r&tag=t&step=50&index=1`);
  });

  test("graph and tensors", async () => {
    answer('{"nodes": [{"id": "2"}, {"id": "0"}], "class_name": "Net"}');
    const graph = await backend.graph("r", "g", 0, signal);
    expect(graph.class_name).toBe("Net");
    expect([...graph.nodes.keys()]).toEqual(["2", "0"]);
    expect(graph.nodes.get("0")).toEqual({ id: "0" });
    answer(safetensors({ "layer:fc": { dtype: "F32", shape: [1], bytes: Float32Array.of(9) } }));
    expect(await backend.tensors("r", "t", 1, signal)).toEqual(
      new Map([["layer:fc", { shape: [1], data: Float32Array.of(9) }]]),
    );
  });

  test("by default the directory above the module's own", async () => {
    answer("{}");
    await httpBackend().runs(signal);
    expect(url()).toMatch(/\/runs$/);
    expect(url()).not.toContain("/static/");
  });
});

describe("failures are words", () => {
  const backend = httpBackend(BASE);

  test("the server's own, where it has some", async () => {
    answer('no run "x"; there are "a" and "b".\n', { status: 404, headers: { "content-type": "text/plain" } });
    await expect(backend.tags("x", signal)).rejects.toThrow('no run "x"; there are "a" and "b".');
  });

  test("its status, where it has none or a page of markup", async () => {
    answer("<h1>Bad gateway</h1>", {
      status: 502,
      statusText: "Bad Gateway",
      headers: { "content-type": "text/html" },
    });
    await expect(backend.runs(signal)).rejects.toThrow("TensorBoard answered 502 Bad Gateway.");
    answer("", { status: 500, statusText: "Oops", headers: { "content-type": "text/plain" } });
    await expect(backend.runs(signal)).rejects.toThrow("TensorBoard answered 500 Oops.");
  });

  test("a question, where nobody answers", async () => {
    asked.mockRejectedValue(new TypeError("Failed to fetch"));
    await expect(backend.runs(signal)).rejects.toThrow("TensorBoard does not answer. Is it still running?");
  });

  test("but an abort stays an abort", async () => {
    const end = new AbortController();
    end.abort();
    asked.mockRejectedValue(new DOMException("aborted", "AbortError"));
    await expect(backend.runs(end.signal)).rejects.toMatchObject({ name: "AbortError" });
  });

  test("arrays that are none", async () => {
    answer("not at all");
    await expect(backend.scalar("r", "s", signal)).rejects.toThrow("The arrays are not valid safetensors");
  });
});

describe("an array answer must fit together", () => {
  const tensor = (data: Tensor["data"], shape = [data.length]): Tensor => ({ shape, data });
  const steps = tensor(Float64Array.of(0, 1));
  const fine = { steps, wall_times: steps, values: tensor(new Float32Array(6), [2, 3, 1]) };
  const check = (changes: Record<string, Tensor>) => () => toNumbers(new Map(Object.entries({ ...fine, ...changes })));

  test("as it does here", () => {
    expect(check({})()).toMatchObject({ steps: [0, 1], rows: 3, columns: 1 });
  });

  test.each<[string, Record<string, Tensor>, string]>([
    ["two axes", { values: tensor(new Float32Array(6), [2, 3]) }, "shape [2, 3] but 2 steps"],
    ["other steps", { values: tensor(new Float32Array(3), [3, 1, 1]) }, "shape [3, 1, 1] but 2 steps"],
    ["bytes", { values: tensor(new Uint8Array(2), [2, 1, 1]) }, "shape [2, 1, 1]"],
  ])("%s are refused", (_, changes, words) => {
    expect(check(changes)).toThrow(words);
  });

  test("and lack nothing", () => {
    expect(() => toNumbers(new Map([["steps", steps]]))).toThrow('The answer lacks its tensor "wall_times".');
  });
});

describe("the description of samples", () => {
  const backend = httpBackend(BASE);

  test("is their second blob", async () => {
    answer('{"inputs": [], "class_names": ["a"]}');
    expect(await backend.description("r", "t", 5, signal)).toEqual({ inputs: [], class_names: ["a"] });
    expect(url()).toBe(`${BASE}blob?run=r&tag=t&step=5&index=1`);
  });

  test("is null in a log without one, and otherwise fails in words", async () => {
    answer("no such index", { status: 404 });
    expect(await backend.description("r", "t", 5, signal)).toBeNull();
    answer("written by a newer version", { status: 400, headers: { "content-type": "text/plain" } });
    await expect(backend.description("r", "t", 5, signal)).rejects.toThrow("written by a newer version");
  });
});
