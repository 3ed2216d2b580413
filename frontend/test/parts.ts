/** Tags of series as the loader gives them, for tests. */

import type { Numbers } from "../src/backend";
import type { SeriesMetadata, Statistic } from "../src/wire";

export const statistic = (name: string, scale: string): Statistic => ({ name, scale, help: "" });
export const NORM = statistic("norm", "log");
export const MEAN = statistic("mean", "signed");
export const NAN_COUNT = statistic("nan_count", "count");

export function part(
  layers: string[],
  steps: number[],
  values: number[],
  changes: Partial<SeriesMetadata> = {},
  wallTimes: readonly number[] = steps,
): { metadata: SeriesMetadata; numbers: Numbers } {
  const statistics = changes.statistics ?? [NORM];
  return {
    metadata: { kind: "series", name: "gradients", layers, owners: layers, statistics, version: 1, ...changes },
    numbers: {
      steps,
      wallTimes,
      rows: layers.length,
      columns: statistics.length,
      values: Float32Array.from(values),
    },
  };
}
