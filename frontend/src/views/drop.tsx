import type { ComponentChildren, JSX, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import "./drop.css";

interface DropProps {
  /** What opens it. */
  readonly label: ComponentChildren;
  readonly title: string;
  readonly children: ComponentChildren;
  readonly details?: RefObject<HTMLDetailsElement | null>;
  /** Class of the button, beside its own. */
  readonly tone?: string;
}

/** A button that opens a small sheet below it; a click elsewhere or Escape closes it. */
export function Drop({ label, title, children, details, tone = "" }: DropProps): JSX.Element {
  const own = useRef<HTMLDetailsElement>(null);
  const ref = details ?? own;
  useEffect(() => {
    const close = (event: Event) => {
      const sheet = ref.current;
      if (!sheet?.open || (event.target instanceof Node && sheet.contains(event.target))) return;
      sheet.open = false;
    };
    // Wherever the focus is, and before Escape means anything else.
    const onEscape = (event: KeyboardEvent) => {
      const sheet = ref.current;
      if (event.key !== "Escape" || !sheet?.open) return;
      sheet.open = false;
      if (sheet.contains(document.activeElement)) sheet.querySelector("summary")?.focus();
      event.stopPropagation();
      event.preventDefault();
    };
    window.addEventListener("pointerdown", close);
    window.addEventListener("keydown", onEscape, true);
    return () => {
      window.removeEventListener("pointerdown", close);
      window.removeEventListener("keydown", onEscape, true);
    };
  }, [ref]);
  return (
    <details class="drop" ref={ref}>
      <summary class={tone} title={title} aria-label={title}>
        {label}
      </summary>
      <div class="drop-sheet">{children}</div>
    </details>
  );
}
