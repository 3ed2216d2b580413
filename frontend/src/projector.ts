/**
 * Opens TensorBoard's Projector on a tensor. Its page takes no address of one: it shows the first tensor of the first
 * run. So the page is opened in a window of its own, and there, once it is ready, run and tensor are chosen for it.
 */

import { nearestIndex } from "./series";

const LOOK_EVERY_MS = 200;
const GIVE_UP_MS = 30_000;

/** What of the Projector is used; the names are those of its elements. */
interface Projector extends Element {
  /** Null while a tensor is loaded. */
  originalDataSet?: object | null;
}

/** What of its panel is used. */
interface DataPanel extends Element {
  runNames?: readonly string[];
  selectedRun?: string;
  tensorNames?: readonly { readonly name: string }[];
  selectedTensor?: string;
}

/** The tensor of a layer at the step nearest to `step`, as `SummaryWriter.add_embedding` names it; null for none. */
export function tensorOf(tensors: readonly string[], layer: string, step: number): string | null {
  const own = tensors.flatMap((name) => {
    const colon = name.lastIndexOf(":");
    return name.slice(0, colon) === layer && /^\d+$/.test(name.slice(colon + 1))
      ? [{ name, step: Number(name.slice(colon + 1)) }]
      : [];
  });
  own.sort((one, other) => one.step - other.step);
  const steps = own.map((one) => one.step);
  return own[nearestIndex(steps, step)]?.name ?? null;
}

/** Open the Projector's page on a tensor of a run. */
export function openProjector(page: string, run: string, tensor: string): void {
  const opened = window.open(page, "layerscope-projector");
  if (opened === null) return;
  const began = Date.now();
  const timer = setInterval(() => {
    if (opened.closed || Date.now() - began > GIVE_UP_MS || chosen(opened.document, run, tensor)) clearInterval(timer);
  }, LOOK_EVERY_MS);
}

/** Choose run and tensor on the page, one after the other as it is ready for them; whether both are shown. */
export function chosen(page: Document, run: string, tensor: string): boolean {
  const dashboard = page.querySelector("vz-projector-dashboard")?.shadowRoot;
  const projector: Projector | null = dashboard?.querySelector("vz-projector") ?? null;
  const panel: DataPanel | null = projector?.shadowRoot?.querySelector("#data-panel") ?? null;
  if (!panel?.runNames?.includes(run)) return false;
  // What arrives for one tensor when another was chosen meanwhile is joined to the metadata of that one.
  if (projector?.originalDataSet === null) return false;
  if (panel.selectedRun !== run) {
    panel.selectedRun = run;
    return false; // the tensors of that run come later, and the first of them is shown then
  }
  if (panel.selectedTensor === tensor) return true;
  if (panel.tensorNames?.some(({ name }) => name === tensor)) panel.selectedTensor = tensor;
  return false;
}
