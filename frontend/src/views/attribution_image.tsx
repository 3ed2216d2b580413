import type { JSX } from "preact";
import { useContext } from "preact/hooks";
import { AttributionMap } from "../charts/map";
import { filmOf } from "./attribution_film";
import type { AttributionView, SampleProps } from "./attribution_view";
import { pictureAt } from "./input_picture";
import { OverlayChoice } from "./overlay";

const TILE = 80;
const COMPARED_TILE = 104;

/** Grids [height, width], laid over the picture where there is one. */
export const image: AttributionView = {
  fits: ({ map }) => map.shape.length === 2,
  tiles: true,
  whole: false,
  Sample: Pair,
  Compared: (props) => <Overlay {...props} width={COMPARED_TILE} />,
  Film: filmOf(Overlay),
};

function Pair({ shown, scale, limit }: SampleProps): JSX.Element {
  const picture = pictureAt(shown.inputs, shown.index);
  return (
    <span class="pair">
      {picture !== null && (
        <AttributionMap map={null} scale={null} picture={picture} size={TILE} label={`input, sample ${shown.index}`} />
      )}
      <Overlay shown={shown} scale={scale} width={TILE} limit={limit} />
    </span>
  );
}

function Overlay({ shown, scale, width }: SampleProps): JSX.Element {
  const { bare, ...overlay } = useContext(OverlayChoice);
  return (
    <AttributionMap
      map={bare && shown.inputs !== null ? null : shown.map}
      overlay={overlay}
      scale={scale}
      picture={pictureAt(shown.inputs, shown.index)}
      size={width}
      label={`attribution, sample ${shown.index}`}
    />
  );
}
