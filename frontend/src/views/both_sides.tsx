/** What the layer panel shows of both sides of a comparison. */

import type { JSX } from "preact";
import type { Store } from "../store";
import { Ended, Side, Titled } from "./compare";

const LEAST = 250; // px that a section needs
const GAP = 14;

interface SectionProps {
  readonly store: Store;
  readonly width: number;
}

interface BothProps extends SectionProps {
  readonly Section: (props: SectionProps) => JSX.Element | null;
}

/** A section of the layer panel, and, where two sides are compared, that of the other beside or below it. */
export function Both({ store, width, Section }: BothProps): JSX.Element {
  const other = store.other.value;
  const gone = store.layer.value !== null && other?.layer.value === null;
  if (other === null || gone) return <Section store={store} width={width} />;
  const beside = width >= 2 * LEAST + GAP;
  const each = beside ? Math.floor((width - GAP) / 2) : width;
  return (
    <div class="both" style={{ gridTemplateColumns: beside ? "1fr 1fr" : "1fr" }}>
      <Titled side="A" store={store}>
        <Section store={store} width={each} />
      </Titled>
      <Titled side="B" store={other}>
        <Section store={other} width={each} />
      </Titled>
    </div>
  );
}

const CHANGES: Readonly<Record<string, string>> = {
  class: "its class",
  settings: "its settings",
  shapes: "shapes",
  dtypes: "data types",
  parameters: "the number of its parameters",
  trainable: "whether it trained when traced",
  wiring: "what feeds it",
};

/** What the selected layer is on the other side, in words. */
export function CounterpartFacts({ store }: { readonly store: Store }): JSX.Element | null {
  const [other, layer, counterpart] = [store.other.value, store.layer.value, store.counterpart.value];
  const problem = store.comparison?.problem.value ?? "";
  if (other === null || layer === null || counterpart === null) return null;
  const name = counterpart.of(layer);
  const changes = counterpart.state(layer)?.changes ?? [];
  const differs = changes.map((change) => CHANGES[change] ?? change).join(", ");
  return (
    <p class="side-caption" data-testid="counterpart">
      <Side of="B" />
      {name === null ? (
        <span>
          <bdi>{other.run.value}</bdi> has no such layer.
        </span>
      ) : (
        <span>
          <bdi>{name}</bdi> in <bdi>{other.run.value}</bdi> at step {other.step.value}
          <Ended store={other} />
          {differs === "" ? "" : `; what differs: ${differs}`}
        </span>
      )}
      {problem !== "" && <span class="problem">{problem}</span>}
    </p>
  );
}
