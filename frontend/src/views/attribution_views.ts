/** Which view draws the attributions of which kind of input (wire.MODALITIES). */

import { cells } from "./attribution_cells";
import { image } from "./attribution_image";
import { table } from "./attribution_table";
import { text } from "./attribution_text";
import { timeSeries } from "./attribution_time_series";
import type { AttributionView, Shown } from "./attribution_view";

const VIEWS: ReadonlyMap<string, AttributionView> = new Map([
  ["image", image],
  ["text", text],
  ["table", table],
  ["time_series", timeSeries],
  ["tensor", cells],
]);

/** The view of the input's kind; where that cannot draw the map, as of most layers, one that goes by its shape. */
export function viewOf(shown: Shown): AttributionView | null {
  const own = VIEWS.get(shown.described?.modality ?? "");
  return [own, image, cells].find((view) => view?.fits(shown)) ?? null;
}
