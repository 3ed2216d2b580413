import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connectHost, type Host } from "../src/host";
import { dark } from "../src/theme";

let end: AbortController;

beforeEach(() => {
  end = new AbortController();
});

afterEach(() => {
  end.abort();
  document.documentElement.className = "";
  document.body.className = "";
  dark.value = false;
});

const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

/** A frame whose parent is this document's window: the plugin's iframe inside TensorBoard. */
function inside(): { host: Host; root: Element; posted: ReturnType<typeof vi.fn>; port: () => MessagePort } {
  const frame = document.implementation.createHTMLDocument();
  const posted = vi.spyOn(window, "postMessage").mockImplementation(() => undefined);
  const around = {
    document: frame,
    parent: window,
    MutationObserver: window.MutationObserver,
    location: { origin: "http://localhost" },
    matchMedia: () => {
      throw new Error("the system's theme is not asked for inside TensorBoard");
    },
  } as unknown as Window & typeof globalThis;
  return {
    host: connectHost(end.signal, around),
    root: frame.documentElement,
    posted,
    port: () => (posted.mock.calls[0] as unknown as [string, string, [MessagePort]])[2][0],
  };
}

describe("the address", () => {
  test("is read and replaced in the window that people see, without an entry in the history", () => {
    const { host } = inside();
    window.location.hash = "#layerscope&p.layerscope.step=3";
    expect(host.hash()).toBe("#layerscope&p.layerscope.step=3");
    const entries = window.history.length;
    const state = window.history.state;
    host.writeHash("#layerscope&p.layerscope.layer=a%2Fb");
    expect(window.location.hash).toBe("#layerscope&p.layerscope.layer=a%2Fb");
    expect(window.history.length).toBe(entries);
    expect(window.history.state).toEqual(state);
  });

  test("an entry in the history is made where that is asked for", () => {
    const { host } = inside();
    const entries = window.history.length;
    host.writeHash("#layerscope&p.layerscope.layer=c", true);
    expect(window.location.hash).toBe("#layerscope&p.layerscope.layer=c");
    expect(window.history.length).toBe(entries + 1);
  });

  test("can be made with another hash, and stays as it is", () => {
    const { host } = inside();
    window.location.hash = "#scalars";
    const { origin, pathname, search } = window.location;
    const start = window.location.href.slice(0, -"#scalars".length);
    expect(host.address("#layerscope&x=1")).toBe(`${start}#layerscope&x=1`);
    expect(start).toContain(`${origin === "null" ? "" : origin}${pathname === "blank" ? "" : pathname}${search}`);
    expect(window.location.hash).toBe("#scalars");
  });

  test("changes by other hands are heard until the end", () => {
    const { host } = inside();
    const heard = vi.fn();
    host.onHashChange(heard);
    window.dispatchEvent(new Event("hashchange"));
    expect(heard).toHaveBeenCalledTimes(1);
    end.abort();
    window.dispatchEvent(new Event("hashchange"));
    expect(heard).toHaveBeenCalledTimes(1);
  });
});

describe("the theme", () => {
  test("follows the class on TensorBoard's body until the end", async () => {
    document.body.classList.add("dark-mode");
    const { root } = inside();
    expect([dark.value, root.classList.contains("dark")]).toEqual([true, true]);
    document.body.classList.remove("dark-mode");
    await settled();
    expect([dark.value, root.classList.contains("dark")]).toEqual([false, false]);
    end.abort();
    document.body.classList.add("dark-mode");
    await settled();
    expect(dark.value).toBe(false);
  });

  test("follows the system where there is no TensorBoard", () => {
    const system = Object.assign(new EventTarget(), { matches: true });
    vi.spyOn(window, "matchMedia").mockReturnValue(system as unknown as MediaQueryList);
    connectHost(end.signal);
    expect([dark.value, document.documentElement.classList.contains("dark")]).toEqual([true, true]);
    system.matches = false;
    system.dispatchEvent(new Event("change"));
    expect([dark.value, document.documentElement.classList.contains("dark")]).toEqual([false, false]);
    end.abort();
    system.matches = true;
    system.dispatchEvent(new Event("change"));
    expect(dark.value).toBe(false);
  });
});

describe("TensorBoard's messages", () => {
  test("begin with one bootstrap message that carries a port, to our own origin only", () => {
    const { posted } = inside();
    expect(posted).toHaveBeenCalledTimes(1);
    const [message, origin, ports] = posted.mock.calls[0] as unknown as [string, string, unknown[]];
    expect([message, origin, ports.length]).toEqual(["experimental.bootstrap", "http://localhost", 1]);
  });

  test("a reload is heard and answered", async () => {
    const { host, port } = inside();
    const reloaded = vi.fn();
    host.onReload(reloaded);
    const answers: unknown[] = [];
    port().onmessage = (event) => void answers.push(JSON.parse(event.data));
    port().postMessage(JSON.stringify({ type: "experimental.DataReloaded", id: 4, payload: null, isReply: false }));
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    expect(reloaded).toHaveBeenCalledTimes(1);
    expect(answers[0]).toEqual({
      type: "experimental.DataReloaded",
      id: 4,
      payload: null,
      error: null,
      isReply: true,
    });
  });

  test("others, replies and nonsense are not", async () => {
    const { host, port } = inside();
    const reloaded = vi.fn();
    host.onReload(reloaded);
    for (const data of [
      "nonsense",
      "null",
      "3",
      JSON.stringify({ type: "experimental.SomethingElse" }),
      JSON.stringify({ type: "experimental.DataReloaded", isReply: true }),
    ]) {
      port().postMessage(data);
    }
    port().postMessage(JSON.stringify({ type: "experimental.RunsChanged", id: 1 }));
    await vi.waitFor(() => expect(reloaded).toHaveBeenCalled());
    expect(reloaded).toHaveBeenCalledTimes(1);
  });
});

test("a parent of another origin is no TensorBoard: the page stands for itself", () => {
  const stranger = {
    get document(): Document {
      throw new DOMException("blocked", "SecurityError");
    },
  };
  const frame = Object.create(window, {
    parent: { value: stranger },
    document: { value: document },
    location: { value: window.location },
    matchMedia: { value: () => Object.assign(new EventTarget(), { matches: false }) },
  }) as Window & typeof globalThis;
  window.location.hash = "#alone";
  expect(connectHost(end.signal, frame).hash()).toBe("#alone");
});
