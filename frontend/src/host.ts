/**
 * TensorBoard around us: the address, the dark mode and the reload button.
 *
 * There is no npm package for this; the protocol is TensorBoard 2.21's. `GetURLPluginData` answers `{}` when a deep
 * link is first opened, so the parent's hash is read directly. Without a TensorBoard around (gallery, tests, a parent
 * of another origin) the page's own window takes its place. Everything ends with the AbortSignal.
 */

import { dark } from "./theme";

export interface Host {
  /** The hash of the address that people see. */
  hash(): string;
  /** Replace that hash; `entry` makes an entry in the history, so that "back" returns to what it was. */
  writeHash(hash: string, entry?: boolean): void;
  /** The address with another hash, to copy. */
  address(hash: string): string;
  /** Call `listener` when the hash changes by other hands (back, forward, edited). */
  onHashChange(listener: () => void): void;
  /** Call `listener` when TensorBoard has reloaded its data or runs came or went. */
  onReload(listener: () => void): void;
}

/** Connect to the TensorBoard around `frame`. */
export function connectHost(end: AbortSignal, frame: Window & typeof globalThis = window): Host {
  const outer = reachableParent(frame) ?? frame;
  const reloads: (() => void)[] = [];
  followTheme(frame, outer, end);
  if (outer !== frame) followMessages(frame, outer, end, () => reloads.forEach((listener) => void listener()));
  return {
    hash: () => outer.location.hash,
    writeHash: (hash, entry = false) => {
      const url = new URL(outer.location.href);
      url.hash = hash;
      if (entry) outer.history.pushState(outer.history.state, "", url);
      else outer.history.replaceState(outer.history.state, "", url);
    },
    address: (hash) => {
      const url = new URL(outer.location.href);
      url.hash = hash;
      return url.href;
    },
    onHashChange: (listener) => outer.addEventListener("hashchange", listener, { signal: end }),
    onReload: (listener) => void reloads.push(listener),
  };
}

function reachableParent(frame: Window): Window | null {
  try {
    return frame.parent !== frame && frame.parent.document ? frame.parent : null;
  } catch {
    return null; // another origin
  }
}

/** `:root.dark` and the signal follow the class on TensorBoard's body; alone, they follow the system. */
function followTheme(frame: Window & typeof globalThis, outer: Window, end: AbortSignal): void {
  const root = frame.document.documentElement;
  const apply = (isDark: boolean) => {
    dark.value = isDark;
    root.classList.toggle("dark", isDark);
  };
  if (outer === frame) {
    const system = frame.matchMedia("(prefers-color-scheme: dark)");
    apply(system.matches);
    system.addEventListener("change", () => apply(system.matches), { signal: end });
    return;
  }
  const body = outer.document.body;
  const read = () => apply(body.classList.contains("dark-mode"));
  const observer = new frame.MutationObserver(read);
  observer.observe(body, { attributes: true, attributeFilter: ["class"] });
  end.addEventListener("abort", () => observer.disconnect());
  read();
}

const RELOADS = new Set(["experimental.DataReloaded", "experimental.RunsChanged"]);

function followMessages(frame: Window, outer: Window, end: AbortSignal, reloaded: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener("message", (event) => {
    const message = parsed(event.data);
    if (message === null || message.isReply === true || !RELOADS.has(String(message.type))) return;
    reloaded();
    port1.postMessage(
      JSON.stringify({ type: message.type, id: message.id, payload: null, error: null, isReply: true }),
    );
  });
  port1.start();
  end.addEventListener("abort", () => port1.close());
  outer.postMessage("experimental.bootstrap", frame.location.origin, [port2]);
}

function parsed(data: unknown): Record<string, unknown> | null {
  try {
    const message: unknown = JSON.parse(String(data));
    return typeof message === "object" && message !== null ? (message as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
