// Keys that work anywhere in the tab, and the list of all keys.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Drop } from "./drop";

/** Whether keys mean something where the focus is: text is typed there, or one of several is chosen. */
export function typedInto(target: EventTarget | null): boolean {
  return target instanceof Element && target.matches("input:not([type=checkbox], [type=range]), select, textarea");
}

/** Call the function of a key that is pressed anywhere in the tab, unless somebody types or it has another meaning. */
export function useShortcuts(keys: Readonly<Record<string, () => void>>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (typedInto(event.target) || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const call = latest.current[event.key];
      if (call === undefined) return;
      event.preventDefault();
      call();
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, []);
}

/** Call `press` with a key that is pressed anywhere in the tab, and `release` when any is let go, or the focus leaves. */
export function useHeldKeys(press: (key: string) => void, release: () => void): void {
  const latest = useRef({ press, release });
  latest.current = { press, release };
  useEffect(() => {
    const down = (event: KeyboardEvent) => {
      if (typedInto(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
      latest.current.press(event.key);
    };
    const up = () => latest.current.release();
    window.addEventListener("keydown", down);
    window.addEventListener("keyup", up);
    window.addEventListener("blur", up);
    return () => {
      window.removeEventListener("keydown", down);
      window.removeEventListener("keyup", up);
      window.removeEventListener("blur", up);
    };
  }, []);
}

const KEYS: readonly (readonly [keys: readonly string[], meaning: string])[] = [
  [["↓", "↑"], "to what takes the tensor, to what made it"],
  [["←", "→"], "to the box before and after in the same module"],
  [["Enter"], "select; once more: open or close"],
  [["Space"], "open or close"],
  [["PgUp", "PgDn"], "of a fold: the repetition before and after; * all of them"],
  [["Esc"], "out to the enclosing module"],
  [["u", "d"], "light up everything upstream, downstream"],
  [["f"], "fit the whole model"],
  [["o"], "outline"],
  [["w"], "the structure alone, and back"],
  [["[", "]"], "saved step before and after; with Shift of what is compared with"],
  [["k"], "play the steps, and stop"],
  [["z", "Z"], "the steps around this one closer; all steps"],
  [["l"], "colours evenly spaced, or by orders of magnitude"],
  [["g"], "layers × steps: one row for what is closed in the structure"],
  [["c"], "compare with another run or step, and no longer"],
  [["x"], "exchange the two sides"],
  [["r"], "held down: images without the maps over them"],
  [["a", "b"], "held down: this side alone, to see what changes"],
  [["!"], "list of findings, and away again"],
  [["n", "p"], "next and previous finding"],
  [["/"], "search; Enter and Shift+Enter: next and previous match"],
  [["?"], "these keys"],
];

/** A button that lists the keys. */
export function KeysHelp(): JSX.Element {
  const toggle = useRef<HTMLDetailsElement>(null);
  useShortcuts({
    "?": () => {
      if (toggle.current) toggle.current.open = !toggle.current.open;
    },
  });
  return (
    <Drop details={toggle} label="?" title="Keys (?)">
      <h3>Keys</h3>
      <dl class="keys">
        {KEYS.map(([keys, meaning]) => (
          <div key={meaning}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Drop>
  );
}
