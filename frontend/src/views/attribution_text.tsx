import type { JSX } from "preact";
import { tints } from "../attribution";
import { StepCells } from "../charts/step_cells";
import { Tokens } from "../charts/tokens";
import { spell } from "../token_text";
import type { AttributionView, FilmProps, SampleProps, Shown } from "./attribution_view";

const LIMIT = 12;

const tokensOf = ({ described, index }: Shown): readonly string[] => described?.tokens[index] ?? [];

/** The tokens of a text, coloured in their flow. */
export const text: AttributionView = {
  fits: (shown) => shown.map.shape.length === 1 && tokensOf(shown).length === shown.map.values.length,
  tiles: false,
  whole: false,
  values: (shown) => Array.from(shown.map.values).filter((_, at) => tokensOf(shown)[at] !== ""),
  ramp: (scale) => tints(scale),
  Sample,
  Film,
};

function Sample({ shown, scale }: SampleProps): JSX.Element {
  return (
    <Tokens
      tokens={tokensOf(shown)}
      values={shown.map.values}
      scale={scale}
      label={`attribution of tokens, sample ${shown.index}`}
    />
  );
}

/** The tokens that matter most at any of the steps, in their order. */
function Film({ frames, scale, current, onStep }: FilmProps): JSX.Element {
  const tokens =
    frames.map(({ shown }) => (shown === null ? [] : tokensOf(shown))).findLast((one) => one.length > 0) ?? [];
  const peak = (at: number) =>
    Math.max(0, ...frames.map(({ shown }) => Math.abs(shown?.map.values[at] ?? 0)).filter(Number.isFinite));
  const rows = tokens
    .flatMap((token, at) => (token === "" ? [] : [at]))
    .sort((one, other) => peak(other) - peak(one))
    .slice(0, LIMIT)
    .sort((one, other) => one - other);
  const spelled = spell(tokens);
  const value = (at: number, step: number) => {
    const shown = frames[step]?.shown ?? null;
    return shown !== null && tokensOf(shown)[at] === tokens[at] ? (shown.map.values[at] ?? null) : null;
  };
  return (
    <StepCells
      names={rows.map((at) => spelled[at]?.text ?? "")}
      steps={frames.map(({ step }) => step)}
      value={(row, step) => value(rows[row] ?? -1, step)}
      scale={scale}
      current={current}
      label="attribution of tokens at a few steps"
      onStep={onStep}
    />
  );
}
