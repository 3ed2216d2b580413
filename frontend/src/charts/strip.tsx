import type { JSX } from "preact";
import type { ColourScale } from "../colour";
import { formatNumber } from "../format";

export interface StripProps {
  readonly values: ArrayLike<number>;
  readonly scale: ColourScale;
  readonly width: number;
  readonly height: number;
  readonly label: string;
}

/** One bar per feature, up from or down to zero, all on one scale; what is not finite is a cross. */
export function Strip({ values, scale, width, height, label }: StripProps): JSX.Element {
  const count = Math.max(1, values.length);
  const signed = scale.kind === "signed";
  const zero = signed ? height / 2 : height - 1;
  const room = signed ? height / 2 - 1 : height - 2;
  const bar = width / count;
  return (
    <svg class="strip" width={width} height={height} role="img" aria-label={label}>
      {Array.from(values, (value, index) => {
        const x = index * bar;
        if (!Number.isFinite(value)) {
          return <path key={index} class="broken" d={`M${x + bar / 2 - 2},${zero - 2}l4,4m0,-4l-4,4`} />;
        }
        const share = signed ? 2 * scale.position(value) - 1 : scale.position(value);
        const length = Math.max(0.75, Math.abs(share) * room);
        return (
          <rect
            key={index}
            x={x}
            y={share > 0 ? zero - length : zero}
            width={Math.max(0.5, bar - (bar > 3 ? 1 : 0))}
            height={length}
            fill={scale.css(value)}
          >
            <title>{`${index}: ${formatNumber(value)}`}</title>
          </rect>
        );
      })}
      <line class="axis" x1={0} x2={width} y1={zero} y2={zero} />
    </svg>
  );
}
