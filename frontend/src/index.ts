/** What TensorBoard loads: it imports this module and calls `render()`. */

/**
 * Show the tab. TensorBoard drops a rejection silently, so whatever goes wrong is shown here, in words. The tab itself
 * is imported only now, so that a failure of loading it is among them.
 */
export async function render(): Promise<void> {
  const end = new AbortController();
  window.addEventListener("pagehide", (event) => event.persisted || end.abort());
  document.documentElement.lang = "en"; // TensorBoard's page around the module has neither
  document.title = "Layerscope";
  const root = document.createElement("div");
  root.id = "layerscope";
  document.body.append(root);
  try {
    const { mount } = await import("./app");
    mount(root, end.signal);
  } catch (error) {
    const words = document.createElement("p");
    words.setAttribute("role", "alert");
    words.style.cssText = "font: 14px system-ui, sans-serif; margin: 24px; max-width: 60em";
    words.textContent = `Layerscope could not start: ${error instanceof Error ? error.message : String(error)}`;
    root.replaceChildren(words);
    console.error(error);
  }
}
