import { describe, expect, test } from "vitest";
import { parseSafetensors } from "../src/safetensors";

/** A file with this header, whatever it says, and these bytes after it. */
function file(header: unknown, bytes: ArrayBufferView = new Uint8Array()): ArrayBuffer {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const body = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = new Uint8Array(8 + json.length + body.length);
  new DataView(whole.buffer).setBigUint64(0, BigInt(json.length), true);
  whole.set(json, 8);
  whole.set(body, 8 + json.length);
  return whole.buffer;
}

function claiming(headerBytes: bigint, total: number): ArrayBuffer {
  const whole = new Uint8Array(total);
  new DataView(whole.buffer).setBigUint64(0, headerBytes, true);
  return whole.buffer;
}

function one(dtype: string, shape: number[], bytes: ArrayBufferView): number[] {
  const header = { x: { dtype, shape, data_offsets: [0, bytes.byteLength] } };
  const tensor = parseSafetensors(file(header, bytes)).get("x");
  expect(tensor?.shape).toEqual(shape);
  return Array.from(tensor?.data ?? []);
}

describe("dtypes", () => {
  test("F64, F32 and U8 come as they are", () => {
    expect(one("F64", [2], Float64Array.of(0.1, -1e300))).toEqual([0.1, -1e300]);
    expect(one("F32", [3], Float32Array.of(1.5, Number.NaN, -1 / 0))).toEqual([1.5, Number.NaN, -1 / 0]);
    expect(one("U8", [2, 2], Uint8Array.of(0, 1, 127, 255))).toEqual([0, 1, 127, 255]);
  });

  test("64 bits are exact to 2^53", () => {
    expect(one("I64", [3], BigInt64Array.of(-1n, 0n, 9007199254740991n))).toEqual([-1, 0, 9007199254740991]);
    expect(one("U64", [2], BigUint64Array.of(9007199254740991n, 2n ** 64n - 1n))).toEqual([2 ** 53 - 1, 2 ** 64]);
  });

  test("smaller whole numbers and truth values come as they are", () => {
    expect(one("I32", [2], Int32Array.of(-(2 ** 31), 2 ** 31 - 1))).toEqual([-(2 ** 31), 2 ** 31 - 1]);
    expect(one("U32", [2], Uint32Array.of(0, 2 ** 32 - 1))).toEqual([0, 2 ** 32 - 1]);
    expect(one("I16", [2], Int16Array.of(-32768, 32767))).toEqual([-32768, 32767]);
    expect(one("U16", [2], Uint16Array.of(0, 65535))).toEqual([0, 65535]);
    expect(one("I8", [2], Int8Array.of(-128, 127))).toEqual([-128, 127]);
    expect(one("BOOL", [2], Uint8Array.of(0, 1))).toEqual([0, 1]);
  });

  test("BF16 is the upper half of a float32", () => {
    const bits = [0x3f80, 0xc000, 0x4049, 0x7f7f, 0x0001, 0x8000, 0xff80, 0x7fc0];
    expect(one("BF16", [8], Uint16Array.from(bits))).toEqual([
      ...[1, -2, 3.140625, 255 * 2 ** 120, 2 ** -133, -0, Number.NEGATIVE_INFINITY, Number.NaN],
    ]);
  });

  test.each(["F8_E4M3", "C64", "toString", "__proto__"])("%s is not read, but what stands beside it is", (dtype) => {
    const header = {
      odd: { dtype, shape: [8], data_offsets: [0, 8] },
      even: { dtype: "U8", shape: [1], data_offsets: [8, 9] },
    };
    const tensors = parseSafetensors(file(header, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 7)));
    expect([...tensors]).toEqual([["even", { shape: [1], data: Uint8Array.of(7) }]]);
  });

  // Bit patterns and values of IEEE 754 binary16: one, two, the largest, the smallest normal and subnormal, 1/3.
  test.each([
    [0x3c00, 1],
    [0xc000, -2],
    [0x7bff, 65504],
    [0x0400, 2 ** -14],
    [0x0001, 2 ** -24],
    [0x03ff, 1023 * 2 ** -24],
    [0x3555, 0.333251953125],
    [0x0000, 0],
    [0x8000, -0],
    [0x7c00, Number.POSITIVE_INFINITY],
    [0xfc00, Number.NEGATIVE_INFINITY],
    [0x7e00, Number.NaN],
  ])("F16 %i is %d", (bits, value) => {
    expect(one("F16", [1], Uint16Array.of(bits))[0]).toBe(value);
  });

  test("a scalar has no axes, an empty tensor no bytes", () => {
    expect(one("F32", [], Float32Array.of(7))).toEqual([7]);
    expect(one("F32", [0, 3], new Float32Array())).toEqual([]);
  });

  test("bytes that are not aligned to their width", () => {
    const header = {
      a: { dtype: "U8", shape: [1], data_offsets: [0, 1] },
      b: { dtype: "F64", shape: [1], data_offsets: [1, 9] },
    };
    const bytes = new Uint8Array(9);
    bytes[0] = 9;
    new DataView(bytes.buffer).setFloat64(1, Math.PI, true);
    const tensors = parseSafetensors(file(header, bytes));
    expect(Array.from(tensors.get("a")?.data ?? [])).toEqual([9]);
    expect(Array.from(tensors.get("b")?.data ?? [])).toEqual([Math.PI]);
  });
});

test("several tensors in the order of the header, the metadata left out, hostile names kept", () => {
  const header = `{"__metadata__": {"format": "pt"},
    "__proto__": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]},
    "layer:a,b~c": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}`;
  const tensors = parseSafetensors(file(header, Uint8Array.of(5, 6)));
  expect([...tensors.keys()]).toEqual(["__proto__", "layer:a,b~c"]);
  expect(tensors.get("__proto__")?.data).toEqual(Uint8Array.of(6));
});

describe("refused in words", () => {
  const x = (changes: object) => ({ x: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...changes } });
  const eight = new Uint8Array(8);

  test.each<[string, ArrayBuffer, string]>([
    ["nothing at all", new ArrayBuffer(0), "it has 0 bytes, but its header length takes 8"],
    ["seven bytes", new ArrayBuffer(7), "it has 7 bytes, but its header length takes 8"],
    ["a header longer than the file", claiming(100n, 20), "its header claims 100 bytes of 20"],
    ["a header of 2^64 - 1 bytes", claiming(2n ** 64n - 1n, 16), "its header claims 18446744073709552000 bytes of 16"],
    ["a header that is not JSON", file("{nonsense"), "its header is not JSON"],
    ["an empty header", file(""), "its header is not JSON"],
    ["a header that is a list", file([]), "its header is not a JSON object"],
    ["a header that is null", file("null"), "its header is not a JSON object"],
    ["a tensor without description", file({ x: 3 }), 'tensor "x" has no description'],
    ["no dtype", file(x({ dtype: undefined }), eight), 'tensor "x" has no dtype'],
    ["a dtype that is a number", file(x({ dtype: 32 }), eight), 'tensor "x" has no dtype'],
    ["unread data past the end", file(x({ dtype: "F8_E4M3", data_offsets: [4, 12] }), eight), "outside the file"],
    ["a negative size", file(x({ shape: [-2] }), eight), 'tensor "x" has no valid shape or offsets'],
    ["a broken size", file(x({ shape: [1.5] }), eight), 'tensor "x" has no valid shape or offsets'],
    ["a size in words", file(x({ shape: ["2"] }), eight), 'tensor "x" has no valid shape or offsets'],
    ["one offset", file(x({ data_offsets: [0] }), eight), 'tensor "x" has no valid shape or offsets'],
    ["a negative offset", file(x({ data_offsets: [-8, 0] }), eight), 'tensor "x" has no valid shape or offsets'],
    ["offsets the wrong way round", file(x({ data_offsets: [8, 0] }), eight), 'tensor "x" lies at bytes 8 to 0'],
    ["data past the end", file(x({ data_offsets: [4, 12] }), eight), 'tensor "x" lies at bytes 4 to 12, outside'],
    ["a shape too small", file(x({ shape: [1] }), eight), 'tensor "x" of shape [1] needs 4 bytes, but has 8'],
    ["a shape too large", file(x({ shape: [2, 3] }), eight), 'tensor "x" of shape [2, 3] needs 24 bytes, but has 8'],
    [
      "a product beyond any number",
      file(x({ shape: Array(30).fill(2 ** 50) }), eight),
      "needs Infinity bytes, but has 8",
    ],
    [
      "two tensors on the same bytes",
      file({ a: { dtype: "U8", shape: [8], data_offsets: [0, 8] }, ...x({ shape: [1], data_offsets: [4, 8] }) }, eight),
      'tensor "x" begins at byte 4, but another reaches to 8',
    ],
  ])("%s", (_, buffer, words) => {
    expect(() => parseSafetensors(buffer)).toThrow(words);
    expect(() => parseSafetensors(buffer)).toThrow(/^The arrays are not valid safetensors: .*\.$/);
  });

  test("a header that is not UTF-8", () => {
    const buffer = file("{    }");
    new Uint8Array(buffer).set([0xff, 0xfe], 9);
    expect(() => parseSafetensors(buffer)).toThrow("its header is not JSON");
  });
});
