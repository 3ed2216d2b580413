import type { JSX } from "preact";
import { useSize } from "../charts/size";
import type { Store } from "../store";
import { titleOf } from "../surrogate_words";
import type { Surrogate } from "../wire";
import { Downloads } from "./downloads";
import { SurrogateTree } from "./surrogate_tree";

/** A surrogate's decision tree in the place of the structure. */
export function TreePane({ store, surrogate }: { readonly store: Store; readonly surrogate: Surrogate }): JSX.Element {
  const [ref, { width }] = useSize<HTMLDivElement>();
  const [kind, of] = titleOf(surrogate);
  const inner = Math.max(0, Math.floor(width));
  return (
    <section class="pane" aria-label="Decision tree" data-testid="tree-pane">
      <div class="pane-title">
        <h2>
          Surrogate: {kind} <bdi>{of}</bdi>
        </h2>
        <Downloads store={store} name={`surrogate-${kind}`} />
        <button type="button" class="plain" onClick={() => store.choose({ tree: null, branches: null })}>
          Show the structure
        </button>
      </div>
      <div class="pane-scroll">
        <div class="measured" ref={ref}>
          {inner > 0 && <SurrogateTree store={store} surrogate={surrogate} width={inner} />}
        </div>
      </div>
    </section>
  );
}
