import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { csv, fileName, nameParts, notDrawn, picture, save, type Table } from "../download";
import { formatName } from "../format";
import type { Store } from "../store";
import { Drop } from "./drop";
import "./downloads.css";

interface DownloadsProps {
  readonly store: Store;
  /** What the panel shows, as the end of the file's name: `gradients`. */
  readonly name: string;
  /** Its numbers, made when they are asked for. */
  readonly table?: () => Table;
}

/** A small menu that saves the panel around it: what is seen as a picture, its numbers as a table. */
export function Downloads({ store, name, table }: DownloadsProps): JSX.Element {
  const sheet = useRef<HTMLDetailsElement>(null);
  const [problem, setProblem] = useState("");
  const named = (kind: string) => fileName([...nameParts(store), name], kind);
  const saved = async (kind: string, make: () => Promise<Blob> | string) => {
    setProblem("");
    try {
      save(await make(), named(kind));
      if (sheet.current) sheet.current.open = false;
      sheet.current?.querySelector("summary")?.focus();
    } catch (error) {
      setProblem(`It cannot be saved. ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  /** What the picture is of; and, where its colours are those of the measure, what they stand for. */
  const caption = (): Node[] => {
    const words = document.createTextNode([...nameParts(store), formatName(store.measure.peek()?.id ?? "")].join(" "));
    const legend = panel().matches(".pane") ? document.querySelector(".header .legend") : null;
    return legend === null ? [words] : [words, legend.cloneNode(true)];
  };
  const panel = () => sheet.current?.closest<HTMLElement>(".panel, .pane, .scrubber") as HTMLElement;
  return (
    <span class="downloads" {...notDrawn}>
      <Drop details={sheet} label={<Arrow />} title={`Save ${name}`} tone="plain">
        <div class="downloads-kinds">
          <button type="button" onClick={() => saved("png", () => picture(panel(), "png", caption()))}>
            PNG
          </button>
          <button type="button" onClick={() => saved("svg", () => picture(panel(), "svg", caption()))}>
            SVG
          </button>
          {table !== undefined && (
            <button type="button" onClick={() => saved("csv", () => csv(table()))}>
              CSV
            </button>
          )}
        </div>
        {problem !== "" && <p class="problem">{problem}</p>}
      </Drop>
    </span>
  );
}

function Arrow(): JSX.Element {
  return (
    <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      <path d="M6 1.5v6M3.5 5 6 7.5 8.5 5M2 10.5h8" />
    </svg>
  );
}
