/** Which layer of one run is which of another. */

import type { ComparisonListing, NodeComparison } from "./wire";

/** Names of layers and of their parameters in one run, and what they are in the other. */
export interface Counterpart {
  /** What a layer or parameter is called on the other side; null for nothing, or where there is none. */
  of(name: string | null): string | null;
  /** The way back. */
  from(name: string): string | null;
  /** What became of a layer; undefined where that is not known. */
  state(name: string): NodeComparison | undefined;
}

/** Every name is the same on both sides: two steps of one run, or runs of which one holds no structure. */
export const SAME_NAMES: Counterpart = { of: (name) => name, from: (name) => name, state: () => undefined };

/** By the answer of the backend; a parameter goes with the innermost module around it. */
export function counterpartOf({ nodes }: ComparisonListing): Counterpart {
  const forth = new Map<string, string | null>();
  const back = new Map<string, string | null>();
  const states = new Map<string, NodeComparison>();
  for (const node of nodes) {
    if (node.a !== null) {
      forth.set(node.a, node.b);
      states.set(node.a, node);
    }
    if (node.b !== null) back.set(node.b, node.a);
  }
  return {
    of: (name) => (name === null ? null : translated(name, forth)),
    from: (name) => translated(name, back),
    state: (name) => states.get(name),
  };
}

/** The counterpart as the other side sees it. */
export function reversed(counterpart: Counterpart): Counterpart {
  return {
    of: (name) => (name === null ? null : counterpart.from(name)),
    from: (name) => counterpart.of(name),
    state: (name) => {
      const back = counterpart.from(name);
      return back === null ? { a: null, b: name, state: "inserted", changes: [] } : counterpart.state(back);
    },
  };
}

/** A name with its longest known beginning replaced; as it is where nothing of it is known, null where that is gone. */
function translated(name: string, names: ReadonlyMap<string, string | null>): string | null {
  let end = name.length;
  while (end > 0) {
    const known = names.get(name.slice(0, end));
    if (known !== undefined) return known === null ? null : known + name.slice(end);
    end = name.lastIndexOf(".", end - 1);
  }
  return name;
}
