// What lies up- and downstream, for the picture to keep bright: of the node that one points at, else of the selected.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Direction, type Reach, reach } from "../flow";
import type { ModelGraph } from "../graph";

/** Milliseconds that the pointer rests on a box before it counts. */
const REST = 250;

interface Flow {
  /** Null while nothing is to be lit. */
  readonly lit: Reach | null;
  readonly onPointerOver: (event: PointerEvent) => void;
  readonly onPointerLeave: () => void;
}

/** The reach to light while `direction` is chosen, and the listeners of what holds the picture. */
export function useFlow(graph: ModelGraph, selected: string | null, direction: Direction | null): Flow {
  const [hovered, setHovered] = useState<string | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const point = useCallback((id: string | null) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setHovered(id), REST);
  }, []);
  useEffect(() => () => clearTimeout(timer.current), []);
  const of = hovered ?? selected;
  const lit = useMemo(
    () => (direction === null || of === null ? null : reach(graph, of, direction)),
    [graph, of, direction],
  );
  const onPointerOver = ({ target }: PointerEvent) => {
    if (direction !== null && target instanceof Element)
      point(target.closest("[data-node]")?.getAttribute("data-node") ?? null);
  };
  return { lit, onPointerOver, onPointerLeave: () => point(null) };
}
