const PERIOD_MS = 5000;

/**
 * Call `look` every few seconds while `element` can be seen, and at once when it comes into sight again. TensorBoard
 * hides a tab by giving it no height while the document stays "visible", so both are watched.
 */
export function pollWhileVisible(element: Element, look: () => void, end: AbortSignal, period = PERIOD_MS): void {
  let timer: ReturnType<typeof setInterval> | undefined;
  let sized = true;
  let seen = true;
  const update = () => {
    const visible = sized && document.visibilityState === "visible";
    clearInterval(timer);
    if (visible) timer = setInterval(look, period);
    if (visible && !seen) look();
    seen = visible;
  };
  const observer = new ResizeObserver(([entry]) => {
    const now = entry === undefined || (entry.contentRect.height > 0 && window.innerHeight > 0);
    if (now === sized) return;
    sized = now;
    update();
  });
  observer.observe(element);
  document.addEventListener("visibilitychange", update, { signal: end });
  end.addEventListener("abort", () => {
    clearInterval(timer);
    observer.disconnect();
  });
  update();
}
