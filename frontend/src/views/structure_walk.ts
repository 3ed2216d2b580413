// Walking through the picture with the arrow keys: along the edges, along the siblings, and out of a container.

import type { RefObject } from "preact";
import { adjacencyOf, contentOf } from "../flow";
import type { ModelGraph } from "../graph";
import { hierarchyOf, isOpen, pathTo, shownChildren, visibleBox } from "../layout/hierarchy";

export type Step = "producer" | "consumer" | "previous" | "next" | "out";

/** The box that a step from the box `from` leads to while `expanded` is open; null if there is none. */
export function walk(graph: ModelGraph, expanded: ReadonlySet<string>, from: string, step: Step): string | null {
  const hierarchy = hierarchyOf(graph);
  const path = pathTo(hierarchy, from);
  const container = path.at(-2) ?? null;
  if (path.length === 0 || step === "out") return container;
  if (step === "previous" || step === "next") {
    const siblings = shownChildren(hierarchy, expanded, container);
    return siblings[siblings.indexOf(from) + (step === "next" ? 1 : -1)] ?? null;
  }
  if (step === "consumer" && isOpen(hierarchy, expanded, from))
    return shownChildren(hierarchy, expanded, from)[0] ?? null;
  const ends = neighbours(graph, expanded, from, new Set(path), step);
  const order = [...graph.nodes.keys()];
  const place = new Map(order.map((id, index) => [id, index]));
  // Of several, the nearest in order of execution: what takes it first, what was made last.
  const sorted = [...ends].sort((a, b) => (place.get(a[1]) ?? 0) - (place.get(b[1]) ?? 0));
  return (step === "consumer" ? sorted[0] : sorted.at(-1))?.[0] ?? null;
}

/**
 * The boxes at the other ends of the edges of `from`, each with the node there. Where an edge leads to a repetition
 * that its fold does not show, the way goes on through that until something is on view.
 */
function neighbours(
  graph: ModelGraph,
  expanded: ReadonlySet<string>,
  from: string,
  around: ReadonlySet<string>,
  step: "producer" | "consumer",
): Map<string, string> {
  const hierarchy = hierarchyOf(graph);
  const edges = adjacencyOf(graph)[step === "consumer" ? "down" : "up"];
  const seen = contentOf(graph, from);
  const found = new Map<string, string>();
  const waiting = [...seen];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    for (const index of edges.get(next) ?? []) {
      const end = graph.edges[index]?.[step === "consumer" ? "target" : "source"] ?? "";
      if (seen.has(end) || !graph.nodes.has(end)) continue;
      seen.add(end);
      const box = visibleBox(hierarchy, expanded, end);
      if (box === null || around.has(box)) waiting.push(end);
      else if (!found.has(box)) found.set(box, end);
    }
  }
  return found;
}

const STEPS: Readonly<Record<string, Step>> = {
  ArrowUp: "producer",
  ArrowDown: "consumer",
  ArrowLeft: "previous",
  ArrowRight: "next",
};

export interface Walking {
  readonly graph: ModelGraph;
  /** What is open in the picture that is drawn. */
  readonly expanded: ReadonlySet<string>;
  readonly selected: string | null;
  readonly onSelect: (id: string | null) => void;
  readonly onToggle: (id: string) => void;
}

/**
 * The keys of the picture, for its `onKeyDownCapture`: arrows walk and select, Enter selects and then opens and closes,
 * Escape goes to what is around, and from the top to nothing. What has no meaning here goes on to the boxes.
 */
export function walkingKeys(root: RefObject<Element | null>, walking: Walking): (event: KeyboardEvent) => void {
  const { graph, expanded, selected, onSelect, onToggle } = walking;
  const go = (id: string) => {
    onSelect(id);
    const box = root.current?.querySelector<SVGElement>(`[data-node="${CSS.escape(id)}"]`);
    box?.focus();
  };
  const answered = (key: string, box: string | null): boolean => {
    if (key === "Escape") {
      const around = selected === null ? null : walk(graph, expanded, selected, "out");
      if (around === null) onSelect(null);
      else go(around);
      return true;
    }
    if (key === "Enter") {
      if (box === null || box !== selected || !hierarchyOf(graph).children.has(box)) return false;
      onToggle(box);
      return true;
    }
    const step = STEPS[key];
    if (step === undefined) return false;
    const from = box ?? (selected && visibleBox(hierarchyOf(graph), expanded, selected));
    const to = from ? walk(graph, expanded, from, step) : (hierarchyOf(graph).children.get(null)?.[0] ?? null);
    if (to !== null) go(to);
    return true;
  };
  return (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.target instanceof Element)) return;
    if (event.target.matches("input, select, textarea, button")) return;
    const box = event.target.closest("[data-node]")?.getAttribute("data-node") ?? null;
    if (!answered(event.key, box)) return;
    event.preventDefault();
    event.stopPropagation();
  };
}
