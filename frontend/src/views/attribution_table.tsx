import type { JSX } from "preact";
import { hue } from "../attribution";
import { byMagnitude, FeatureBars } from "../charts/feature_bars";
import { sampleOf } from "../charts/map";
import { StepCells } from "../charts/step_cells";
import { css } from "../colour";
import type { AttributionView, FilmProps, SampleProps } from "./attribution_view";

const LIMIT = 12;

/** Columns of a table by their names, what matters most first. */
export const table: AttributionView = {
  fits: ({ map, described }) =>
    map.shape.length === 1 && map.values.length > 0 && described?.feature_names.length === map.values.length,
  tiles: false,
  whole: true,
  features: { word: "features", limit: LIMIT, count: ({ map }) => map.values.length },
  ramp: (scale) => [scale.low, scale.high].map((end) => `${css(hue(scale, end))} 50%`),
  Sample,
  Film,
};

function Sample({ shown, scale, limit }: SampleProps): JSX.Element {
  const input = shown.inputs === null ? null : sampleOf(shown.inputs, shown.index);
  const features = Array.from(shown.map.values, (attribution, at) => ({
    name: shown.described?.feature_names[at] ?? "",
    value: input?.values[at] ?? null,
    attribution,
  }));
  const listed = byMagnitude(features).slice(0, limit ?? features.length);
  return <FeatureBars features={listed} scale={scale} label={`attribution of features, sample ${shown.index}`} />;
}

/** The features that matter most at any of the steps. */
function Film({ frames, scale, current, onStep }: FilmProps): JSX.Element {
  const names = frames.find(({ shown }) => shown !== null)?.shown?.described?.feature_names ?? [];
  const peak = (at: number) =>
    Math.max(0, ...frames.map(({ shown }) => Math.abs(shown?.map.values[at] ?? 0)).filter(Number.isFinite));
  const rows = names
    .map((_, at) => at)
    .sort((one, other) => peak(other) - peak(one))
    .slice(0, LIMIT);
  return (
    <StepCells
      names={rows.map((at) => names[at] ?? "")}
      steps={frames.map(({ step }) => step)}
      value={(row, step) => frames[step]?.shown?.map.values[rows[row] ?? -1] ?? null}
      scale={scale}
      current={current}
      label="attribution of features at a few steps"
      onStep={onStep}
    />
  );
}
