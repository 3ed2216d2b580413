// What one looks at: who saw the forward pass, how far it came, and what to know before trusting the picture.

import type { JSX } from "preact";
import { plural } from "../format";
import type { ModelGraph } from "../graph";
import { Drop } from "./drop";

/** How a graph came about, in words for people: the short form and the sentence. */
const RECORDERS: Readonly<Record<string, readonly [short: string, sentence: string]>> = {
  modes: ["recorded", "Recorded while the forward ran: every module call, every function, and the tensors between."],
  torchview: [
    "torchview",
    "Recorded by torchview while the forward ran, and checked against the calls of all modules.",
  ],
  modules: ["modules only", "Only the calls of modules were recorded: functions between them are not in the picture."],
  static: [
    "did not run",
    "Nothing ran: these are the modules as they are registered, without calls, tensors and shapes.",
  ],
};

/** How the graph came about, in a sentence. */
export function recorderSentence(graph: ModelGraph): string {
  return (RECORDERS[graph.recorder] ?? ["", "The log does not say how this was recorded."])[1];
}

/** Where and why the forward stopped, in words; "" if it ended. */
export function stopSentence(graph: ModelGraph): string {
  if (graph.stopped_in === null && graph.failure === "") return "";
  const where = graph.stopped_in === null ? "" : ` in ${graph.stopped_in}`;
  return `The forward stopped${where}: this is the part that ran. ${graph.failure}`.trim();
}

/** A badge that says what one looks at, and opens to all that is to be known; loud only where something is missing. */
export function Provenance({
  graph,
  onSelect,
}: {
  readonly graph: ModelGraph;
  readonly onSelect: (id: string) => void;
}): JSX.Element {
  const stop = stopSentence(graph);
  const [short = "", sentence] = RECORDERS[graph.recorder] ?? ["", recorderSentence(graph)];
  const partial = stop !== "" || graph.recorder === "static" || graph.recorder === "modules";
  const count = graph.warnings.length;
  const label = stop !== "" ? "stopped midway" : partial || count === 0 ? short || "unknown" : plural(count, "note");
  const loud = partial || count > 0;
  return (
    <Drop
      title={`What this picture shows: ${label}`}
      tone={loud ? "warn" : "plain"}
      label={
        <>
          {loud && <Triangle />}
          {label}
        </>
      }
    >
      <h3>What this picture shows</h3>
      <p>{sentence}</p>
      {stop !== "" && (
        <p>
          {stop}{" "}
          {graph.nodes.has(graph.stopped_in ?? "") && (
            <button type="button" onClick={() => onSelect(graph.stopped_in ?? "")}>
              Show it
            </button>
          )}
        </p>
      )}
      {count > 0 && (
        <ul>
          {graph.warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
    </Drop>
  );
}

function Triangle(): JSX.Element {
  return (
    <svg class="triangle" viewBox="0 0 10 10" aria-hidden="true">
      <path d="M5 .8 9.6 9.2H.4zM5 3.6v2.6M5 7.3v.6" />
    </svg>
  );
}
