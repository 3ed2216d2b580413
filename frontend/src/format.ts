/** Numbers, shapes and steps as people read them. */

/** A number in at most three significant digits: `0.123`, `1.2e-5`, `NaN`, `∞`. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) {
    return value.toExponential(Number(value.toExponential(0)) === value ? 0 : 1).replace("e+", "e");
  }
  return String(Number(value.toPrecision(3)));
}

/** A step: `950`, `9500`, `10,000`. */
export function formatStep(step: number): string {
  return Math.abs(step) < 10_000 ? String(step) : step.toLocaleString("en");
}

/** A number of elements: `950`, `12.3k`, `4.6M`, `1.2B`. */
export function formatCount(count: number): string {
  // Three digits round 999,500 up, so that it reads 1M and not 1000k.
  for (const [size, unit] of [
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const) {
    if (count >= size * 0.9995) return `${Number((count / size).toPrecision(3))}${unit}`;
  }
  return String(count);
}

/** A number of bytes: `512 B`, `36.3 KiB`, `1.2 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1023.5 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${size >= 1000 ? Math.round(size) : Number(size.toPrecision(3))} ${units[unit]}`;
}

/** A number of floating-point operations: `950 FLOP`, `1.2 GFLOP`. */
export function formatFlops(flops: number): string {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  let size = flops;
  let prefix = 0;
  while (size >= 999.5 && prefix < prefixes.length - 1) {
    size /= 1000;
    prefix++;
  }
  return `${Number(size.toPrecision(3))} ${prefixes[prefix]}FLOP`;
}

/** A tensor shape: `32×3×224×224`; a scalar is `scalar`. */
export function formatShape(shape: readonly number[]): string {
  return shape.length ? shape.join("×") : "scalar";
}

/** A share: `0 %`, `12.3 %`, `100 %`; never 100 % or 0 % of what is only nearly so. */
export function formatShare(share: number): string {
  if (!Number.isFinite(share)) return formatNumber(share);
  const percent = Number((share * 100).toPrecision(3));
  if (share < 1 && percent >= 99.95) return "> 99.9 %";
  return share > 0 && percent < 0.01 ? "< 0.01 %" : `${percent} %`;
}

/** The value of a statistic by its scale: shares in per cent, what differs with its sign, others as numbers. */
export function formatValue(scale: string, value: number): string {
  if (scale === "fraction") return formatShare(value);
  if (scale === "ratio") return formatRatio(value);
  const sign = value > 0 ? "+" : "";
  if (scale === "points") return `${sign}${Number((100 * value).toPrecision(3))} points`;
  return scale === "difference" ? sign + formatNumber(value) : formatNumber(value);
}

/** How many times as much, given as a power of 2: `×1.5`, or that one side is 0. */
function formatRatio(power: number): string {
  if (power > MOST_POWER) return "from 0";
  return power < -MOST_POWER ? "to 0" : `×${formatNumber(2 ** power)}`;
}

const MOST_POWER = 300;

const WORDS: Readonly<Record<string, string>> = { nan: "NaN", inf: "infinity", std: "standard deviation" };

/** A statistic or series name as words: `zero_fraction` becomes `zero fraction`, `nan_count` `NaN count`. */
export function formatName(name: string): string {
  const word = (part: string) => (Object.hasOwn(WORDS, part) ? WORDS[part] : part);
  return name.split("_").map(word).join(" ");
}

/** One thing and many: `1 layer`, `3 layers`. */
export function plural(count: number, one: string): string {
  return `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
}
