import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { effect, hue, share, tint } from "../attribution";
import { type ColourScale, css } from "../colour";
import { formatNumber, plural } from "../format";
import { spell } from "../token_text";
import "./tokens.css";

export interface TokensProps {
  /** One for each position; "" is padding and not shown. */
  readonly tokens: readonly string[];
  /** One attribution for each position. */
  readonly values: ArrayLike<number>;
  readonly scale: ColourScale;
  readonly label: string;
}

/** Thickness of the line under the token that matters most. */
const LINE_PX = 4;

/**
 * A text with the attribution of each token: as colour, as thickness of the line beneath (dashed where the token
 * opposes), and as a number for the token that is pointed at or focused. Arrow keys go from token to token.
 */
export function Tokens({ tokens, values, scale, label }: TokensProps): JSX.Element {
  const [at, setAt] = useState<number | null>(null);
  const spelled = spell(tokens);
  const shown = spelled.flatMap(({ text }, index) => (text === "" ? [] : [index]));
  const stop = at !== null && shown.includes(at) ? at : shown[0];
  const go = (event: KeyboardEvent & { readonly currentTarget: HTMLElement }) => {
    const place = shown.indexOf(stop ?? -1);
    const places: Record<string, number> = {
      ArrowRight: place + 1,
      ArrowDown: place + 1,
      ArrowLeft: place - 1,
      ArrowUp: place - 1,
      Home: 0,
      End: shown.length - 1,
    };
    const next = places[event.key];
    const target = next === undefined ? undefined : shown[next];
    if (target === undefined) return;
    event.preventDefault();
    event.currentTarget.querySelector<HTMLElement>(`[data-token="${target}"]`)?.focus();
  };
  if (shown.length === 0) {
    return (
      <p class="quiet" role="img" aria-label={`${label}: nothing but padding`}>
        nothing but padding
      </p>
    );
  }
  return (
    <div class="tokens">
      <p class="tokens-readout" aria-hidden="true">
        {at === null || tokens[at] === undefined ? (
          <span class="quiet">{plural(shown.length, "token")}</span>
        ) : (
          <>
            <bdi class="tokens-name">{spelled[at]?.text}</bdi>{" "}
            <b class="number">{formatNumber(values[at] ?? Number.NaN)}</b> {effect(scale, values[at] ?? Number.NaN)}
            <span class="quiet">
              {" "}
              token {at + 1} of {tokens.length}
            </span>
          </>
        )}
      </p>
      <div
        class="tokens-text"
        role="listbox"
        aria-label={label}
        aria-orientation="horizontal"
        dir="auto"
        tabIndex={-1}
        onKeyDown={go}
        onMouseLeave={() => setAt(null)}
      >
        {shown.map((index) => {
          const value = values[index] ?? Number.NaN;
          const { text, joined } = spelled[index] as { text: string; joined: boolean };
          return [
            joined ? "" : " ",
            <span
              key={index}
              role="option"
              aria-selected={index === at}
              aria-label={`${text}: ${formatNumber(value)} ${effect(scale, value)}`.trim()}
              class={Number.isFinite(value) ? "token" : "token broken-token"}
              data-token={index}
              tabIndex={index === stop ? 0 : -1}
              style={Number.isFinite(value) ? styleOf(scale, value) : {}}
              onMouseEnter={() => setAt(index)}
              onFocus={() => setAt(index)}
              onBlur={() => setAt(null)}
            >
              {text}
            </span>,
          ];
        })}
      </div>
    </div>
  );
}

function styleOf(scale: ColourScale, value: number): Record<string, string> {
  const thickness = Math.round(LINE_PX * share(scale, value));
  return {
    background: tint(scale, value),
    borderBottom: `${thickness}px ${scale.kind === "signed" && value < 0 ? "dashed" : "solid"} ${css(hue(scale, value))}`,
  };
}
