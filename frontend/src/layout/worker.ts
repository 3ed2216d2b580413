// The module worker that runs Graphviz. It is emitted as a file of its own: TensorBoard's content policy forbids
// blob: and data: workers.

import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { solveWithGraphviz } from "./graphviz";
import type { Reply, Request } from "./solver";

const reply = (message: Reply) => postMessage(message);
const loading = Graphviz.load();
loading.then(
  () => reply({ type: "ready" }),
  (error: unknown) => reply({ type: "broken", problem: String(error) }),
);

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  try {
    reply({ type: "solved", id: data.id, solution: solveWithGraphviz(await loading, data.problem) });
  } catch (error) {
    reply({ type: "failed", id: data.id, problem: String(error) });
  }
});
