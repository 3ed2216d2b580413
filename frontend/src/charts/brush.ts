import { useRef, useState } from "preact/hooks";

const LEAST = 6; // px: less is a click

export interface Brush {
  /** From where to where the pointer is being drawn; null while it is not. */
  readonly range: readonly [number, number] | null;
  /** Whether the click that comes now ends a brush. */
  brushed(): boolean;
  onPointerDown(event: PointerEvent): void;
  onPointerMove(event: PointerEvent): void;
  onPointerUp(event: PointerEvent): void;
  onPointerCancel(): void;
}

/** Draws a range across an element: pixels from its left border. */
export function useBrush(
  element: { readonly current: Element | null },
  onBrush: (from: number, to: number) => void,
): Brush {
  const [range, setRange] = useState<readonly [number, number] | null>(null);
  const start = useRef<number | null>(null);
  const ended = useRef(false);
  const at = (event: PointerEvent): number => event.clientX - (element.current?.getBoundingClientRect().left ?? 0);
  const rangeTo = (to: number): readonly [number, number] | null => {
    const from = start.current;
    return from === null || Math.abs(to - from) < LEAST ? null : [Math.min(from, to), Math.max(from, to)];
  };
  return {
    range,
    brushed: () => ended.current,
    onPointerDown: (event) => {
      ended.current = false;
      const from = at(event);
      start.current = event.button === 0 && from >= 0 ? from : null;
      setRange(null);
    },
    onPointerMove: (event) => {
      if (start.current === null || event.buttons === 0) return;
      const drawn = rangeTo(at(event));
      // So that it goes on, and ends, wherever the pointer is; not before, or no row could be clicked.
      if (drawn !== null) (event.currentTarget as Element).setPointerCapture?.(event.pointerId);
      setRange(drawn);
    },
    onPointerUp: (event) => {
      const drawn = rangeTo(at(event));
      ended.current = drawn !== null;
      start.current = null;
      setRange(null);
      if (drawn !== null) onBrush(...drawn);
    },
    onPointerCancel: () => {
      start.current = null;
      setRange(null);
    },
  };
}
