import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { asOtherKind, isExpression } from "../pattern";
import type { Store } from "../store";
import { useShortcuts } from "./shortcuts";
import { find, neighbour } from "./structure_search";
import "./search.css";

/** Search by name, class or operation: plain text or an expression; Enter goes to the next hit. `/` comes here. */
export function Search({ store }: { readonly store: Store }): JSX.Element {
  const input = useRef<HTMLInputElement>(null);
  const graph = store.graph.value.data;
  const query = store.query.value;
  const selected = store.layer.value;
  useShortcuts({
    "/": () => {
      input.current?.focus();
      input.current?.select();
    },
  });
  const found = graph === null ? null : find(graph, query);
  const go = (by: 1 | -1) => {
    const next = graph !== null && found !== null ? neighbour(graph, found, selected, by) : null;
    if (next !== null) store.select(next, true);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") go(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape" && query === "") input.current?.blur();
    else if (event.key === "Escape") store.choose({ query: null });
    else return;
    event.preventDefault();
  };
  const expression = isExpression(query);
  const problem = found?.problem ?? "";
  const count = found?.ids.size ?? 0;
  const at = found !== null && selected !== null ? [...found.ids].indexOf(selected) + 1 : 0;
  return (
    <search class={problem !== "" || (found !== null && count === 0) ? "search nothing" : "search"}>
      <input
        ref={input}
        type="search"
        placeholder="Search layers  /"
        aria-label="Search layers by name or class"
        aria-invalid={problem !== ""}
        aria-describedby="search-found"
        data-testid="search"
        value={query}
        onInput={(event) => store.choose({ query: event.currentTarget.value || null })}
        onKeyDown={onKeyDown}
      />
      <button
        type="button"
        class="plain"
        aria-label="Regular expression"
        aria-pressed={expression}
        title="Regular expression: the search stands between slashes"
        onClick={() => {
          const next = asOtherKind(query);
          store.choose({ query: next || null });
          const end = next.length - (isExpression(next) ? 1 : 0);
          setTimeout(() => {
            input.current?.focus();
            input.current?.setSelectionRange(end, end);
          });
        }}
      >
        .*
      </button>
      <output id="search-found" class="number" data-testid="search-found">
        {problem || (found === null ? "" : count === 0 ? "no match" : at > 0 ? `${at} of ${count}` : String(count))}
      </output>
      {count > 0 && (
        <>
          <Arrow label="Previous match (Shift+Enter)" path="M4 10 8 6l4 4" onClick={() => go(-1)} />
          <Arrow label="Next match (Enter)" path="M4 6l4 4 4-4" onClick={() => go(1)} />
        </>
      )}
    </search>
  );
}

function Arrow(props: { readonly label: string; readonly path: string; readonly onClick: () => void }): JSX.Element {
  return (
    <button type="button" class="plain icon" aria-label={props.label} title={props.label} onClick={props.onClick}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={props.path} />
      </svg>
    </button>
  );
}
