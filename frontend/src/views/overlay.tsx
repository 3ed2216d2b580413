/** How attribution maps lie over images, chosen once for all of a panel. */

import { type ComponentChildren, createContext, type JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { MAX_ALPHA, type Overlay } from "../charts/map";
import { notDrawn } from "../download";
import type { Store } from "../store";
import { useHeldKeys } from "./shortcuts";

interface Chosen extends Overlay {
  /** The images alone. */
  readonly bare: boolean;
}

export const OverlayChoice = createContext<Chosen>({ contour: false, opacity: MAX_ALPHA, bare: false });

interface OverlaidProps {
  readonly store: Store;
  /** Whether there is an image that something lies over. */
  readonly images: boolean;
  readonly children: ComponentChildren;
}

/** The controls, and what they are for: colours or a contour, how opaque, and the image alone while `r` is held. */
export function Overlaid({ store, images, children }: OverlaidProps): JSX.Element {
  const contour = store.chosen("overlay") === "contour";
  const percent = store.chosen("opacity") ?? Math.round(100 * MAX_ALPHA);
  const [bare, setBare] = useBare();
  const choice = useMemo(() => ({ contour, opacity: percent / 100, bare }), [contour, percent, bare]);
  return (
    <OverlayChoice.Provider value={choice}>
      {images && (
        <div class="overlay-controls" {...notDrawn}>
          <button
            type="button"
            class="plain"
            data-testid="contour-toggle"
            aria-pressed={contour}
            title="A line around the strongest tenth instead of colours"
            onClick={() => store.choose({ overlay: contour ? null : "contour" })}
          >
            Contour
          </button>
          <button
            type="button"
            class="plain"
            data-testid="bare-toggle"
            aria-pressed={bare}
            title="The images alone (hold r)"
            onClick={() => setBare(!bare)}
          >
            Image
          </button>
          {!contour && (
            <label class="check">
              opacity
              <input
                type="range"
                min={10}
                max={100}
                step={5}
                value={percent}
                data-testid="opacity"
                onInput={(event) => store.choose({ opacity: Number(event.currentTarget.value) })}
              />
            </label>
          )}
        </div>
      )}
      {children}
    </OverlayChoice.Provider>
  );
}

/** Whether the images stand alone: toggled, or while the key is held down. */
function useBare(): [boolean, (bare: boolean) => void] {
  const [toggled, setToggled] = useState(false);
  const [held, setHeld] = useState(false);
  useHeldKeys(
    (key) => key === "r" && setHeld(true),
    () => setHeld(false),
  );
  return [toggled || held, setToggled];
}
