import type { JSX } from "preact";
import { Strip } from "../charts/strip";
import { filmOf } from "./attribution_film";
import type { AttributionView, SampleProps } from "./attribution_view";

/** Features without names, in their order. */
export const cells: AttributionView = {
  fits: ({ map }) => map.shape.length === 1,
  tiles: false,
  whole: false,
  Sample: Bars,
  Film: filmOf(Bars),
};

function Bars({ shown: { map, index }, scale, width }: SampleProps): JSX.Element {
  return (
    <Strip
      values={map.values}
      scale={scale}
      width={width}
      height={36}
      label={`attribution of ${map.values.length} features, sample ${index}`}
    />
  );
}
