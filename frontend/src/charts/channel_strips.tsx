import { line } from "d3-shape";
import type { JSX } from "preact";
import { useCallback, useState } from "preact/hooks";
import { effect, tint } from "../attribution";
import type { ColourScale } from "../colour";
import { formatNumber } from "../format";
import { visible } from "../token_text";
import { Canvas, hatch, type Inks, screenDensity } from "./canvas";
import { stepScale } from "./columns";
import { thinned, valueScale } from "./line";
import "./channel_strips.css";

/** One channel of one sample of a time series. */
export interface Channel {
  /** "" if it has none. */
  readonly name: string;
  /** The input over time; null where it was not saved. */
  readonly values: ArrayLike<number> | null;
  readonly attributions: ArrayLike<number>;
}

export interface ChannelStripsProps {
  readonly channels: readonly Channel[];
  readonly scale: ColourScale;
  readonly width: number;
  readonly label: string;
}

const CURVE_HEIGHT = 34;
const STRIP_HEIGHT = 14;

/** Of each channel its curve, and beneath it, moment for moment, a strip of the colours of its attribution. */
export function ChannelStrips({ channels, scale, width, label }: ChannelStripsProps): JSX.Element {
  const [at, setAt] = useState<number | null>(null);
  const length = Math.max(0, ...channels.map(({ attributions }) => attributions.length));
  const move = (time: number) => setAt(Math.max(0, Math.min(length - 1, time)));
  const go = (event: KeyboardEvent & { readonly currentTarget: HTMLElement }) => {
    const time = at ?? 0;
    const page = Math.max(2, Math.round(length / 10));
    const times: Record<string, number> = {
      ArrowRight: time + 1,
      ArrowUp: time + 1,
      ArrowLeft: time - 1,
      ArrowDown: time - 1,
      PageUp: time + page,
      PageDown: time - page,
      Home: 0,
      End: length - 1,
    };
    const next = times[event.key];
    if (next === undefined) return;
    event.preventDefault();
    move(next);
  };
  const said = at === null ? "" : channels.map((channel) => reading(channel, at, scale)).join("; ");
  return (
    <div
      class="channels"
      role="slider"
      tabIndex={0}
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={Math.max(0, length - 1)}
      aria-valuenow={at ?? 0}
      aria-valuetext={at === null ? "no time chosen" : `time ${at}: ${said}`}
      onKeyDown={go}
      onFocus={() => setAt((known) => known ?? 0)}
      onBlur={() => setAt(null)}
      onMouseMove={(event) => {
        const { left } = event.currentTarget.getBoundingClientRect();
        move(Math.floor(((event.clientX - left) / Math.max(1, width)) * length));
      }}
      onMouseLeave={() => setAt(null)}
    >
      {channels.map((channel, index) => (
        <div key={index} class="channel">
          <div class="channel-title">
            <bdi class="channel-name">{visible(channel.name || `channel ${index}`)}</bdi>
            <span class="number quiet">{at === null ? "" : `time ${at}: ${reading(channel, at, scale)}`}</span>
          </div>
          {channel.values !== null && <Curve values={channel.values} width={width} />}
          <ColourStrip values={channel.attributions} scale={scale} width={width} height={STRIP_HEIGHT} />
        </div>
      ))}
      {at !== null && (
        <span class="channels-rule" style={{ left: `${((at + 0.5) / Math.max(1, length)) * width}px` }} />
      )}
    </div>
  );
}

function reading({ values, attributions }: Channel, at: number, scale: ColourScale): string {
  const attribution = attributions[at] ?? Number.NaN;
  const input = values === null ? "" : `${formatNumber(values[at] ?? Number.NaN)}, `;
  return `${input}attribution ${formatNumber(attribution)} ${effect(scale, attribution)}`.trim();
}

function Curve({ values, width }: { readonly values: ArrayLike<number>; readonly width: number }): JSX.Element {
  const half = width / Math.max(1, values.length) / 2;
  const x = stepScale([0, Math.max(1, values.length - 1)], width, half);
  const y = valueScale(values, "linear", CURVE_HEIGHT, 2);
  const path = line<[number, number]>()
    .defined(([, value]) => Number.isFinite(value))
    .x(([time]) => time)
    .y(([, value]) => y.y(value));
  const steps = Array.from(values, (_, time) => time);
  return (
    <svg class="line" width={width} height={CURVE_HEIGHT} aria-hidden="true">
      <path class="curve" d={path(thinned({ steps, values }, x)) ?? ""} />
    </svg>
  );
}

export interface ColourStripProps {
  readonly values: ArrayLike<number>;
  readonly scale: ColourScale;
  readonly width: number;
  readonly height: number;
  readonly label?: string;
}

/**
 * Values in a row as tints, what supports in the upper half and what opposes in the lower; where several share a
 * pixel, the one of greatest size; hatched where not a number.
 */
export function ColourStrip({ values, scale, width, height, label }: ColourStripProps): JSX.Element {
  const draw = useCallback(
    (context: CanvasRenderingContext2D, inks: Inks) => {
      let broken: CanvasPattern | string = "";
      const density = screenDensity(); // between cells that end inside a pixel of the screen there would be seams
      for (const { x, width: wide, value } of cellsOf(values, Math.round(width * density))) {
        if (!Number.isFinite(value)) broken ||= hatch(context, inks);
        context.fillStyle = Number.isFinite(value) ? tint(scale, value, 1) : broken;
        const half = scale.kind === "signed" && Number.isFinite(value) ? height / 2 : height;
        context.fillRect(x / density, value < 0 && half < height ? half : 0, wide / density, half);
      }
    },
    [values, scale, width, height],
  );
  return <Canvas width={width} height={height} draw={draw} {...(label !== undefined && { label })} />;
}

/** Whole pixels for each value; a pixel of several values shows what is not finite, or the greatest of them. */
export function cellsOf(values: ArrayLike<number>, width: number): { x: number; width: number; value: number }[] {
  const cells: { x: number; width: number; value: number }[] = [];
  const size = (value: number) => (Number.isFinite(value) ? Math.abs(value) : Number.POSITIVE_INFINITY);
  for (let index = 0; index < values.length; index++) {
    const value = values[index] ?? Number.NaN;
    const x = Math.floor((index / values.length) * width);
    const end = Math.max(x + 1, Math.floor(((index + 1) / values.length) * width));
    const before = cells.at(-1);
    if (before === undefined || before.x < x) cells.push({ x, width: end - x, value });
    else if (size(value) > size(before.value)) before.value = value;
  }
  return cells;
}
