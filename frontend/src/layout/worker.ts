// The module worker that runs Graphviz. It is emitted as a file of its own: TensorBoard's content policy forbids
// blob: and data: workers.

import { Graphviz } from "@hpcc-js/wasm-graphviz";
import { solveWithGraphviz } from "./graphviz";
import { type Problem, WALL } from "./problem";
import type { Reply, Request } from "./solver";

const reply = (message: Reply) => postMessage(message);
// The first layout takes several times as long as the later ones: it is one that nobody waits for.
const TRIAL: Problem = {
  boxes: Array.from({ length: 4 }, () => ({ width: 100, height: 40, inPorts: [20], outPorts: [20] })),
  ...{ inPorts: 1, outPorts: 1 },
  edges: [
    [WALL, 0, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 2, 0],
    [1, 0, 3, 0],
    [2, 0, 3, 0],
    [3, 0, WALL, 0],
  ],
};
const loading = Graphviz.load().then((graphviz) => {
  solveWithGraphviz(graphviz, TRIAL);
  return graphviz;
});
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
