/**
 * Opens TensorBoard's Projector on a tensor. Its page takes no address of one: it shows the largest tensor of the first
 * run. So the page is opened in a window of its own, and there, where it is ready, run and tensor are chosen for it.
 */

const PAGE = "projector/projector_binary.html";
const LOOK_EVERY_MS = 200;
const GIVE_UP_MS = 20_000;

/** What of the Projector's panel is used; the names are those of its Polymer element. */
interface DataPanel extends Element {
  runNames?: readonly string[];
  selectedRun?: string;
  tensorNames?: readonly { readonly name: string }[];
  selectedTensor?: string;
}

/** The address of the Projector's page, beside our own plugin's routes. */
export function projectorUrl(base: string = new URL(/* @vite-ignore */ "../..", import.meta.url).href): string {
  return new URL(PAGE, base).href;
}

/** Open the Projector on the features of a layer at a step, as `SummaryWriter.add_embedding` names them. */
export function openProjector(run: string, layer: string, step: number): void {
  const opened = window.open(projectorUrl(), "layerscope-projector");
  if (opened === null) return;
  const tensor = `${layer}:${String(step).padStart(5, "0")}`;
  const began = Date.now();
  const timer = setInterval(() => {
    if (opened.closed || Date.now() - began > GIVE_UP_MS || chosen(opened, run, tensor)) clearInterval(timer);
  }, LOOK_EVERY_MS);
}

/** Choose run and tensor in the window; whether that is done. */
export function chosen(opened: Pick<Window, "document">, run: string, tensor: string): boolean {
  const app = opened.document.querySelector("vz-projector-app");
  const projector = app?.shadowRoot?.querySelector("vz-projector") ?? opened.document.querySelector("vz-projector");
  const panel: DataPanel | null = projector?.shadowRoot?.querySelector("#data-panel") ?? null;
  if (!panel?.runNames?.includes(run)) return false;
  if (panel.selectedRun !== run) panel.selectedRun = run;
  if (!panel.tensorNames?.some(({ name }) => name === tensor)) return false;
  panel.selectedTensor = tensor;
  return true;
}
