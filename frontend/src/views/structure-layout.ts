// The layout of what is on view, kept up to date: a newer request drops the older one, the old picture stays meanwhile.

import { useEffect, useState } from "preact/hooks";
import type { ModelGraph } from "../graph";
import { hierarchyOf } from "../layout/hierarchy";
import { layOut, type Picture, type Sizes } from "../layout/picture";
import { pageSolver, type Solver } from "../layout/solver";
import { boxSize, foldHeaderSize, foldSize, foldWordsOf, headerSize, shapeOf, wordsOf } from "./structure-text";

let solver: Solver | undefined;

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
}

/**
 * The newest finished picture (null before the first), and what went wrong with the last attempt. `aspect` is that of
 * the pane, null while it is hidden.
 */
export function useLayout(
  graph: ModelGraph,
  expanded: ReadonlySet<string>,
  aspect: number | null,
): { laidOut: LaidOut | null; problem: string } {
  const [state, setState] = useState<{ laidOut: LaidOut | null; problem: string }>({ laidOut: null, problem: "" });
  useEffect(() => {
    if (aspect === null) return;
    const request = new AbortController();
    solver ??= pageSolver();
    const page = solver;
    layOut(graph, expanded, sizesFor(graph), (problem) => page.solve(problem, request.signal), aspect).then(
      (picture) => {
        if (!request.signal.aborted) setState({ laidOut: { picture, graph, expanded }, problem: "" });
      },
      (error: unknown) => {
        if (!request.signal.aborted) setState((old) => ({ ...old, problem: String(error) }));
      },
    );
    return () => request.abort();
  }, [graph, expanded, aspect]);
  return { laidOut: state.laidOut?.graph === graph ? state.laidOut : null, problem: state.problem };
}
