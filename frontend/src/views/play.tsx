import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { move } from "../stepping";
import type { Store } from "../store";
import { useShortcuts } from "./shortcuts";

const FRAME_MS = 350;

/** Goes from saved step to saved step until the last; from there, it begins anew. */
export function Play({ store }: { readonly store: Store }): JSX.Element {
  const [playing, setPlaying] = useState(false);
  const toggle = () => {
    const steps = store.steps.peek();
    if (!playing && store.step.peek() >= (steps.at(-1) ?? 0)) store.goTo(steps[0] ?? 0);
    setPlaying(!playing);
  };
  useShortcuts({ k: toggle });
  useEffect(() => {
    if (!playing) return;
    const timer = setInterval(() => {
      move(store, 1);
      if (store.step.peek() >= (store.steps.peek().at(-1) ?? 0)) setPlaying(false);
    }, FRAME_MS);
    return () => clearInterval(timer);
  }, [playing, store]);
  const label = playing ? "Stop (k)" : "Play the steps (k)";
  return (
    <button type="button" class="icon" data-testid="play" aria-label={label} title={label} onClick={toggle}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        <path d={playing ? "M4 2.5v7M8 2.5v7" : "M4 2.5 9 6 4 9.5Z"} />
      </svg>
    </button>
  );
}
