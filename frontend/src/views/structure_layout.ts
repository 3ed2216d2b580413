// The layout of what is on view, kept up to date: a newer request drops the older one, the old picture stays meanwhile.

import { useEffect, useRef, useState } from "preact/hooks";
import type { ModelGraph } from "../graph";
import { hierarchyOf } from "../layout/hierarchy";
import { layOut, layOutToFit, type Picture, type Size, type Sizes } from "../layout/picture";
import type { Problem } from "../layout/problem";
import { pageSolver } from "../layout/solver";
import { boxSize, foldHeaderSize, foldSize, foldWordsOf, headerSize, shapeOf, wordsOf } from "./structure_text";

export function sizesFor(graph: ModelGraph): Sizes {
  const { children, folds } = hierarchyOf(graph);
  const nodeOf = (id: string) => {
    const node = graph.nodes.get(id);
    if (!node) throw new Error(`The graph has no node "${id}".`);
    return node;
  };
  return {
    box: (id) => {
      const fold = folds.get(id);
      if (fold) return foldSize(foldWordsOf(graph, fold), fold.members.length);
      return boxSize(wordsOf(graph, nodeOf(id)), shapeOf(nodeOf(id)), children.get(id)?.length ?? 0);
    },
    header: (id) => {
      const fold = folds.get(id);
      return fold
        ? foldHeaderSize(foldWordsOf(graph, fold), fold.members.length)
        : headerSize(wordsOf(graph, nodeOf(id)));
    },
  };
}

export interface LaidOut {
  picture: Picture;
  graph: ModelGraph;
  /** What was open in this picture. */
  expanded: ReadonlySet<string>;
  /** Width over height of the pane that it was arranged for. */
  pane: number;
}

/** So many changes of what is open are taken for one step, after which the picture keeps its arrangement. */
const STEP = 4;

/**
 * The newest finished picture (null before the first), and what went wrong with the last attempt. The arrangement that
 * suits the pane (null while it is hidden) is chosen at first and when much opens or closes at once; a single module
 * opens in the arrangement that is there.
 */
export function useLayout(
  graph: ModelGraph,
  expanded: ReadonlySet<string>,
  pane: Size | null,
): { laidOut: LaidOut | null; problem: string } {
  const [state, setState] = useState<{ laidOut: LaidOut | null; problem: string }>({ laidOut: null, problem: "" });
  const last = useRef<LaidOut | null>(null);
  const [width, height] = [pane?.width ?? 0, pane?.height ?? 0];
  useEffect(() => {
    if (width === 0 || height === 0) return;
    const request = new AbortController();
    const page = pageSolver();
    page.warm(); // the first picture may need no Graphviz, but the first module that opens shall not wait for it
    const solve = (problem: Problem) => page.solve(problem, request.signal);
    const before = last.current;
    const keeps =
      before?.graph === graph && before.pane === width / height && changes(before.expanded, expanded) <= STEP;
    const picture = keeps
      ? layOut(graph, expanded, sizesFor(graph), solve, width / height, before.picture.wrapping)
      : layOutToFit(graph, expanded, sizesFor(graph), solve, { width, height });
    picture.then(
      (finished) => {
        if (request.signal.aborted) return;
        last.current = { picture: finished, graph, expanded, pane: width / height };
        setState({ laidOut: last.current, problem: "" });
      },
      (error: unknown) => {
        if (!request.signal.aborted) setState((old) => ({ ...old, problem: String(error) }));
      },
    );
    return () => request.abort();
  }, [graph, expanded, width, height]);
  return { laidOut: state.laidOut?.graph === graph ? state.laidOut : null, problem: state.problem };
}

/** How many words stand in one of two sets only. */
function changes(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  const missing = (from: ReadonlySet<string>, to: ReadonlySet<string>) => [...from].filter((word) => !to.has(word));
  return missing(a, b).length + missing(b, a).length;
}
