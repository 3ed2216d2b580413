import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const SMALLEST = 0.16;
const KEY_STEP = 0.02;

/** Shares of the width after moving the border between `index` and the next by `by`; none gets too small. */
export function moved(shares: readonly number[], index: number, by: number): number[] {
  const [left = 0, right = 0] = [shares[index], shares[index + 1]];
  const change = Math.min(right - SMALLEST, Math.max(SMALLEST - left, by));
  return shares.map((share, i) => (i === index ? share + change : i === index + 1 ? share - change : share));
}

interface PanesProps {
  /** Shares of the width; when others are given, those count from then on. */
  readonly shares: readonly number[];
  readonly names: readonly string[];
  readonly children: readonly ComponentChildren[];
}

/** Panes side by side with borders that can be dragged, or moved with the arrow keys. */
export function Panes({ shares: initial, names, children }: PanesProps): JSX.Element {
  const [shares, setShares] = useState(initial);
  useEffect(() => setShares(initial), [initial]);
  const root = useRef<HTMLDivElement>(null);
  const drag = (index: number) => (event: PointerEvent) => {
    const target = event.currentTarget as Element;
    if (event.type === "pointerdown") {
      target.setPointerCapture(event.pointerId);
      event.preventDefault();
    } else if (target.hasPointerCapture(event.pointerId) && root.current) {
      const { left, width } = root.current.getBoundingClientRect();
      const before = shares.slice(0, index + 1).reduce((sum, share) => sum + share, 0);
      setShares(moved(shares, index, (event.clientX - left) / width - before));
    }
  };
  const key = (index: number) => (event: KeyboardEvent) => {
    const by = event.key === "ArrowLeft" ? -KEY_STEP : event.key === "ArrowRight" ? KEY_STEP : 0;
    if (by === 0) return;
    event.preventDefault();
    setShares(moved(shares, index, by));
  };
  return (
    <main class="panes" ref={root}>
      {children.flatMap((child, index) => [
        <div key={`pane-${names[index]}`} class="pane-slot" style={{ flexGrow: String(shares[index]) }}>
          {child}
        </div>,
        index < children.length - 1 ? (
          // biome-ignore lint/a11y/useSemanticElements: a separator that can be moved is no <hr>
          <div
            key={`border-${names[index]}`}
            class="border"
            role="separator"
            tabIndex={0}
            aria-orientation="vertical"
            aria-label={`Border between ${names[index]} and ${names[index + 1]}`}
            aria-valuenow={Math.round(100 * (shares[index] ?? 0))}
            onPointerDown={drag(index)}
            onPointerMove={drag(index)}
            onKeyDown={key(index)}
          />
        ) : null,
      ])}
    </main>
  );
}
