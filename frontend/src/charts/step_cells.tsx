import type { JSX } from "preact";
import { effect, tint } from "../attribution";
import type { ColourScale } from "../colour";
import { formatNumber, formatStep } from "../format";
import "./step_cells.css";

export interface StepCellsProps {
  readonly names: readonly string[];
  readonly steps: readonly number[];
  /** The number of a row at a step, by their positions; null where there is none. */
  readonly value: (row: number, step: number) => number | null;
  readonly scale: ColourScale;
  /** The step that is shown elsewhere. */
  readonly current: number | null;
  readonly label: string;
  readonly onStep: (step: number) => void;
}

/** Named rows over a few steps: each cell has its number, on the colour of the scale. */
export function StepCells({ names, steps, value, scale, current, label, onStep }: StepCellsProps): JSX.Element {
  return (
    <table class="step-cells" aria-label={label}>
      <thead>
        <tr>
          <th scope="col">
            <span class="quiet">step</span>
          </th>
          {steps.map((step) => (
            <th key={step} scope="col">
              <button
                type="button"
                class="plain number"
                aria-pressed={step === current}
                aria-label={`Go to step ${step}`}
                onClick={() => onStep(step)}
              >
                {formatStep(step)}
              </button>
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((name, row) => (
          <tr key={row}>
            <th scope="row" title={name}>
              <bdi>{name}</bdi>
            </th>
            {steps.map((step, column) => (
              <Cell key={step} value={value(row, column)} scale={scale} where={`${name} at step ${step}`} />
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

interface CellProps {
  readonly value: number | null;
  readonly scale: ColourScale;
  readonly where: string;
}

function Cell({ value, scale, where }: CellProps): JSX.Element {
  if (value === null) return <td class="quiet">–</td>;
  if (!Number.isFinite(value)) return <td class="broken-cell number">{formatNumber(value)}</td>;
  return (
    <td
      class="number"
      style={{ background: tint(scale, value) }}
      title={`${where}: ${formatNumber(value)} ${effect(scale, value)}`.trim()}
    >
      {short(value)}
    </td>
  );
}

/** Two significant digits, so that it fits into a cell. */
function short(value: number): string {
  return formatNumber(Number(value.toPrecision(2)));
}
