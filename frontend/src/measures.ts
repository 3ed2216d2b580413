/** What layers can be coloured by, and how they can be explained: what a run holds, by its names. */

import type { Tag } from "./data";
import type { AttributionMetadata, SeriesMetadata, Statistic } from "./wire";

/** One way to colour layers: a statistic of a series. */
export interface Measure {
  readonly id: string;
  readonly series: string;
  readonly statistic: Statistic;
}

/** The tags of one attribution method on one set of samples. */
export interface Method {
  readonly name: string;
  readonly tags: readonly Tag<AttributionMetadata>[];
  readonly samples: string;
}

/** The statistics of the series, in their order; of one that several tags have, the first. */
export function measuresOf(names: readonly string[], tags: readonly Tag<SeriesMetadata>[]): readonly Measure[] {
  const found = new Map<string, Measure>();
  for (const series of names) {
    for (const { metadata } of tags) {
      if (metadata.name !== series) continue;
      for (const statistic of metadata.statistics) {
        const id = `${series}.${statistic.name}`;
        if (!found.has(id)) found.set(id, { id, series, statistic });
      }
    }
  }
  return [...found.values()];
}

/** The attribution methods of a run: a method has several tags if the set of layers changed. */
export function methodsOf(tags: readonly Tag<AttributionMetadata>[]): readonly Method[] {
  return [...new Set(tags.map(({ metadata }) => metadata.name))].map((name) => {
    const own = tags.filter(({ metadata }) => metadata.name === name);
    return { name, tags: own, samples: own[0]?.metadata.samples ?? "" };
  });
}
