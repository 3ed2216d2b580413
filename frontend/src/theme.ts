import { signal } from "@preact/signals";

/** Whether TensorBoard shows itself dark; the class on `:root` follows it, and so does what is drawn on canvases. */
export const dark = signal(false);
