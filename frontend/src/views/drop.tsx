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
    window.addEventListener("pointerdown", close);
    return () => window.removeEventListener("pointerdown", close);
  }, [ref]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !ref.current?.open) return;
    ref.current.open = false;
    ref.current.querySelector("summary")?.focus();
    event.stopPropagation();
  };
  return (
    <details class="drop" ref={ref} onKeyDown={onKeyDown}>
      <summary class={tone} title={title} aria-label={title}>
        {label}
      </summary>
      <div class="drop-sheet">{children}</div>
    </details>
  );
}
