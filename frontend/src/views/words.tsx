import type { ComponentChildren, JSX } from "preact";
import type { Resource } from "../resource";
import type { Store } from "../store";
import { VERSION } from "../wire";

interface WaitingProps {
  readonly resource: Resource<unknown>;
  /** What to say when there is nothing: how to get some. */
  readonly children: ComponentChildren;
}

/** In the place of a picture that is not there: on its way, failed, or how to get it. */
export function Waiting({ resource, children }: WaitingProps): JSX.Element {
  if (resource.error !== "") return <p class="problem">{resource.error}</p>;
  if (resource.loading) return <p class="empty">Loading…</p>;
  return <div class="empty">{children}</div>;
}

/** What could not be read, each in the words of whoever noticed; everything else stays usable. */
export function Problems({ store }: { readonly store: Store }): JSX.Element | null {
  const listing = store.listing.value;
  const words: string[] = [store.runs.value.error, listing.error, store.graph.value.error, store.series.value.error];
  words.push(store.findings.value.error, store.recorded.value.error);
  if ((listing.data?.version ?? VERSION) > VERSION) {
    words.push("The server is newer than this page. Reload the page in the browser.");
  }
  for (const entry of listing.data?.tags ?? []) if (entry.problem !== "") words.push(entry.problem);
  words.push(...(store.series.value.data?.problems ?? []));
  for (const { problems } of store.recorded.value.data?.values() ?? []) words.push(...problems);
  const said = [...new Set(words.filter(Boolean))];
  if (said.length === 0) return null;
  return (
    <div role="alert">
      <details class="problems" open={said.length <= 2}>
        <summary>{said.length === 1 ? "One thing cannot be shown" : `${said.length} things cannot be shown`}</summary>
        <ul>
          {said.map((text) => (
            <li key={text}>{text}</li>
          ))}
        </ul>
      </details>
    </div>
  );
}
