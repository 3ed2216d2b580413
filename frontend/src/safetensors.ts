/** Reads the safetensors format: u64 header length, JSON header, then the little-endian bytes of every tensor. */

export interface Tensor {
  readonly shape: readonly number[];
  /** F16 and BF16 are widened to float32, whole numbers of 64 bits to float64 (exact up to 2^53); BOOL is 0 or 1. */
  readonly data:
    | Float32Array
    | Float64Array
    | Uint8Array
    | Int8Array
    | Uint16Array
    | Int16Array
    | Uint32Array
    | Int32Array;
}

export type Tensors = ReadonlyMap<string, Tensor>;

const MAX_HEADER_BYTES = 100 << 20;

type Decode = (bytes: ArrayBuffer) => Tensor["data"];

const DTYPES: Readonly<Record<string, { width: number; decode: Decode }>> = {
  F64: { width: 8, decode: (bytes) => new Float64Array(bytes) },
  F32: { width: 4, decode: (bytes) => new Float32Array(bytes) },
  F16: { width: 2, decode: (bytes) => Float32Array.from(new Uint16Array(bytes), float16) },
  BF16: { width: 2, decode: bfloat16 },
  I64: { width: 8, decode: (bytes) => Float64Array.from(new BigInt64Array(bytes), Number) },
  U64: { width: 8, decode: (bytes) => Float64Array.from(new BigUint64Array(bytes), Number) },
  I32: { width: 4, decode: (bytes) => new Int32Array(bytes) },
  U32: { width: 4, decode: (bytes) => new Uint32Array(bytes) },
  I16: { width: 2, decode: (bytes) => new Int16Array(bytes) },
  U16: { width: 2, decode: (bytes) => new Uint16Array(bytes) },
  I8: { width: 1, decode: (bytes) => new Int8Array(bytes) },
  U8: { width: 1, decode: (bytes) => new Uint8Array(bytes) },
  BOOL: { width: 1, decode: (bytes) => new Uint8Array(bytes) },
};

/**
 * Parse a safetensors file. Tensors of a dtype that is not read here (complex, of less than a byte, of 8-bit floats)
 * are left out; the others are there.
 *
 * Throws an `Error` that says what is wrong: a header or tensor that reaches past the end, tensors that overlap, a size
 * that does not fit its shape.
 */
export function parseSafetensors(buffer: ArrayBuffer): Tensors {
  if (buffer.byteLength < 8) throw malformed(`it has ${buffer.byteLength} bytes, but its header length takes 8`);
  const headerBytes = Number(new DataView(buffer).getBigUint64(0, true));
  if (headerBytes > Math.min(buffer.byteLength - 8, MAX_HEADER_BYTES)) {
    throw malformed(`its header claims ${headerBytes} bytes of ${buffer.byteLength}`);
  }
  const start = 8 + headerBytes;
  const tensors = new Map<string, Tensor>();
  const header = parseHeader(buffer.slice(8, start));
  refuseOverlaps(header);
  for (const [name, entry] of Object.entries(header)) {
    const tensor = name === "__metadata__" ? null : parseTensor(buffer, start, name, entry);
    if (tensor !== null) tensors.set(name, tensor);
  }
  return tensors;
}

/** Tensors may not share bytes: a small file could else claim to be many large arrays. */
function refuseOverlaps(header: Record<string, unknown>): void {
  const extents = Object.entries(header).flatMap(([name, entry]) => {
    const offsets = isRecord(entry) && name !== "__metadata__" ? entry.data_offsets : null;
    return isSizes(offsets) ? [{ name, from: offsets[0] ?? 0, to: offsets[1] ?? 0 }] : [];
  });
  let reached = 0;
  for (const { name, from, to } of extents.sort((one, other) => one.from - other.from || one.to - other.to)) {
    if (from < reached) throw malformed(`tensor "${name}" begins at byte ${from}, but another reaches to ${reached}`);
    reached = Math.max(reached, to);
  }
}

function parseHeader(bytes: ArrayBuffer): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw malformed("its header is not JSON");
  }
  if (!isRecord(header)) throw malformed("its header is not a JSON object");
  return header;
}

function parseTensor(buffer: ArrayBuffer, start: number, name: string, entry: unknown): Tensor | null {
  if (!isRecord(entry)) throw malformed(`tensor "${name}" has no description`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string") throw malformed(`tensor "${name}" has no dtype`);
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw malformed(`tensor "${name}" has no valid shape or offsets`);
  }
  const [from, to] = offsets as [number, number];
  if (from > to || start + to > buffer.byteLength) {
    throw malformed(`tensor "${name}" lies at bytes ${from} to ${to}, outside the file`);
  }
  const type = Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
  if (type === undefined) return null;
  const bytes = shape.reduce((product, size) => product * size, type.width);
  if (bytes !== to - from) {
    throw malformed(`tensor "${name}" of shape [${shape.join(", ")}] needs ${bytes} bytes, but has ${to - from}`);
  }
  return { shape, data: type.decode(buffer.slice(start + from, start + to)) };
}

/** The upper halves of float32. */
function bfloat16(bytes: ArrayBuffer): Float32Array {
  const widened = Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16);
  return new Float32Array(widened.buffer);
}

function float16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
}

function malformed(what: string): Error {
  return new Error(`The arrays are not valid safetensors: ${what}.`);
}
