import { line } from "d3-shape";
import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { formatShare } from "../format";
import { visible } from "../token_text";
import { ValueAxis, type ValueScale, valueScale } from "./line";
import "./depth.css";

export interface DepthProps {
  /** Layers in order of execution. */
  readonly layers: readonly string[];
  /** A share for each layer; NaN where there is none. */
  readonly values: readonly number[];
  /** The same at an earlier step, drawn faint; null where there is none. */
  readonly earlier: { readonly label: string; readonly values: readonly number[] } | null;
  /** What the values are to be compared with, for each layer. */
  readonly reference: { readonly label: string; readonly values: readonly number[] };
  /** The smallest share that the axis shows; it reaches to 1. */
  readonly low: number;
  readonly selected: string | null;
  readonly width: number;
  readonly height: number;
  /** What the values are. */
  readonly label: string;
  readonly onSelect: (layer: string) => void;
}

const AXIS = 46;
const INSET = 8;

/** A share against depth: a line over the layers. The layer that is pointed at or focused is told; a click selects it. */
export function Depth(props: DepthProps): JSX.Element {
  const { layers, values, earlier, reference, low, selected, width, height, label, onSelect } = props;
  const [at, setAt] = useState<number | null>(null);
  const root = useRef<SVGSVGElement>(null);
  const inner = Math.max(1, width - AXIS);
  const gap = (inner - 2 * INSET) / Math.max(1, layers.length - 1);
  const x = (index: number) => (layers.length > 1 ? INSET + index * gap : inner / 2);
  const y = valueScale([low, 1], "linear", height);
  const path = pathThrough(x, y);
  const own = selected === null ? -1 : layers.indexOf(selected);
  const stop = at ?? (own < 0 ? 0 : own);
  const told = at ?? (own < 0 ? null : own);
  const key = (event: KeyboardEvent) => {
    const places: Record<string, number> = { Home: 0, End: layers.length - 1 };
    const by = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
    const next = places[event.key] ?? stop + by;
    if (event.key === "Enter" || event.key === " ") onSelect(layers[stop] ?? "");
    else if ((by === 0 && !(event.key in places)) || layers[next] === undefined) return;
    else root.current?.querySelectorAll<SVGElement>("[role=option]")[next]?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div class="depth">
      <p class="depth-readout" aria-hidden="true">
        {told === null ? <Best {...props} /> : <Told {...props} at={told} />}
      </p>
      <div
        class="depth-chart"
        role="listbox"
        aria-label={label}
        aria-orientation="horizontal"
        tabIndex={-1}
        onKeyDown={key}
        onMouseLeave={() => setAt(null)}
      >
        <ValueAxis scale={y} height={height} format={formatShare} />
        <svg ref={root} class="line" width={inner} height={height} role="none">
          <line class="axis" x1={0} x2={inner} y1={height - 0.5} y2={height - 0.5} />
          {told !== null && <line class="depth-rule" x1={x(told)} x2={x(told)} y1={0} y2={height} />}
          <path class="depth-reference" d={path(reference.values)} />
          {Number.isFinite(reference.values.at(-1)) && (
            <text
              class="depth-label"
              x={inner - INSET}
              y={y.y(reference.values.at(-1) as number) - 4}
              text-anchor="end"
            >
              {reference.label}
            </text>
          )}
          {earlier && <path class="curve behind" d={path(earlier.values)} />}
          <path class="curve" d={path(values)} />
          {layers.map((layer, index) => (
            <g
              key={layer}
              role="option"
              aria-selected={index === own}
              aria-label={spoken(props, index)}
              tabindex={index === stop ? 0 : -1}
              onMouseEnter={() => setAt(index)}
              onFocus={() => setAt(index)}
              onBlur={() => setAt(null)}
              onClick={() => onSelect(layer)}
            >
              <rect class="depth-target" x={x(index) - gap / 2} y={0} width={Math.max(2, gap)} height={height} />
              {Number.isFinite(values[index]) && (gap >= 5 || index === told) && (
                <circle
                  class={index === own ? "depth-dot own" : "depth-dot"}
                  cx={x(index)}
                  cy={y.y(values[index] as number)}
                  r={index === told ? 4 : 2.2}
                />
              )}
            </g>
          ))}
        </svg>
        <p class="depth-ends quiet" aria-hidden="true">
          <bdi>{visible(layers[0] ?? "")}</bdi>
          {layers.length > 1 && <bdi>{visible(layers.at(-1) ?? "")}</bdi>}
        </p>
      </div>
    </div>
  );
}

function pathThrough(x: (index: number) => number, y: ValueScale): (values: readonly number[]) => string {
  const path = line<number>()
    .defined(Number.isFinite)
    .x((_, index) => x(index))
    .y((value) => y.y(value));
  return (values) => path([...values]) ?? "";
}

function spoken({ layers, values, earlier, reference }: DepthProps, at: number): string {
  const before = earlier ? `, ${earlier.label} ${share(earlier.values[at])}` : "";
  return `${visible(layers[at] ?? "")}: ${share(values[at])}${before}, ${reference.label} ${share(reference.values[at])}`;
}

function share(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "not measured" : formatShare(value);
}

/** The layer that is pointed at. */
function Told({ at, ...props }: DepthProps & { readonly at: number }): JSX.Element {
  const { layers, values, earlier, reference } = props;
  return (
    <>
      <bdi class="depth-name">{visible(layers[at] ?? "")}:</bdi> <b class="number">{share(values[at])}</b>{" "}
      <span class="quiet number">
        {earlier && `${earlier.label} ${share(earlier.values[at])} · `}
        {reference.label} {share(reference.values[at])}
      </span>
    </>
  );
}

/** Without one, the first of those that reach highest. */
function Best({ layers, values, reference }: DepthProps): JSX.Element {
  const finite = values.filter(Number.isFinite);
  const best = values.indexOf(Math.max(...finite));
  if (best < 0) return <span class="quiet">not measured</span>;
  return (
    <>
      <span class="quiet">highest in</span> <bdi class="depth-name">{visible(layers[best] ?? "")}:</bdi>{" "}
      <b class="number">{share(values[best])}</b>{" "}
      <span class="quiet number">
        {reference.label} {share(reference.values[best])}
      </span>
    </>
  );
}
