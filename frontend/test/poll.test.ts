import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { pollWhileVisible } from "../src/poll";

let resized: (height: number) => void;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(listener: (entries: object[]) => void) {
        resized = (height) => listener([{ contentRect: { height } }]);
      }
      observe(): void {}
      disconnect(): void {}
    },
  );
});

afterEach(() => {
  vi.useRealTimers();
});

test("looks every period while it can be seen, at once when it is seen again, never after the end", () => {
  const look = vi.fn();
  const end = new AbortController();
  pollWhileVisible(document.body, look, end.signal, 1000);
  vi.advanceTimersByTime(2500);
  expect(look).toHaveBeenCalledTimes(2);
  resized(0); // TensorBoard hides the tab
  vi.advanceTimersByTime(5000);
  expect(look).toHaveBeenCalledTimes(2);
  resized(600);
  expect(look).toHaveBeenCalledTimes(3);
  resized(700);
  vi.advanceTimersByTime(1000);
  expect(look).toHaveBeenCalledTimes(4);
  vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  vi.advanceTimersByTime(5000);
  expect(look).toHaveBeenCalledTimes(4);
  end.abort();
  document.dispatchEvent(new Event("visibilitychange"));
  vi.advanceTimersByTime(5000);
  expect(look).toHaveBeenCalledTimes(4);
});
