import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { category, css, MOST_CATEGORIES } from "../colour";
import {
  type Branch,
  type BranchSize,
  branchesOf,
  EVERYTHING,
  MOST_ABREAST,
  openingPaths,
  problemOf,
  type Saying,
  sayingOf,
} from "../decision_tree";
import { plural } from "../format";
import type { Solution } from "../layout/problem";
import { pageSolver } from "../layout/solver";
import type { Store } from "../store";
import type { Surrogate } from "../wire";
import { branchSize, TreePicture } from "./tree_picture";

/** At this scale the smallest letters are 8.5 px; a larger tree is scrolled. */
const LEGIBLE = 8.5 / 11;
/** About the width of a node with the gap beside it. */
const NODE_WIDTH = 116;

interface SurrogateTreeProps {
  readonly store: Store;
  readonly surrogate: Surrogate;
  readonly width: number;
}

/** The decision tree of a surrogate, as far as it is open: at first as many levels as can be read in `width`. */
export function SurrogateTree({ store, surrogate, width }: SurrogateTreeProps): JSX.Element {
  const chosen = store.chosen("branches");
  const all = chosen?.[0] === EVERYTHING;
  const abreast = Math.floor(width / (NODE_WIDTH * LEGIBLE));
  const whole = useMemo(
    () => 2 * openingPaths(surrogate, MOST_ABREAST).size + 1 === surrogate.tree.length,
    [surrogate],
  );
  const output = store.surrogates.output.value;
  const open = useMemo(
    () => (chosen === null || all ? openingPaths(surrogate, all ? MOST_ABREAST : abreast) : new Set(chosen)),
    [surrogate, chosen, all, abreast],
  );
  const [fits, setFits] = useState(false); // as the zoom of the structure, it is not in the address
  const drawn = useDrawn(surrogate, open, output);
  if (drawn === null) return <p class="empty">Drawing the tree…</p>;
  const { branches, saying, solution } = drawn;
  const fitting = Math.min(1, width / (solution.width + 12));
  return (
    <div class="surrogate-tree" data-testid="tree">
      <div class="tree-bar">
        {saying.kind === "shares" && <Shares names={saying.names} />}
        <span class="spacer" />
        <span class="quiet number">
          {branches.length} of {plural(surrogate.tree.length, "node")}
        </span>
        {fitting < LEGIBLE && (
          <button type="button" class="plain" aria-pressed={fits} onClick={() => setFits(!fits)}>
            {fits ? "Legible" : "Fit"}
          </button>
        )}
        <button
          type="button"
          class="plain"
          aria-pressed={all}
          onClick={() => store.choose({ branches: all ? null : [EVERYTHING] })}
        >
          {all ? "Open the first" : whole ? "Open all" : "Open more"}
        </button>
      </div>
      <TreePicture
        {...drawn}
        scale={fits ? fitting : Math.max(LEGIBLE, fitting)}
        label={`Decision tree, ${plural(surrogate.tree.length, "node")}, ${branches.length} of them on view`}
        onToggle={(path) => store.choose({ branches: toggled(branches, open, path) })}
      />
    </div>
  );
}

/** What is open after a question was opened, or closed with everything below it. */
function toggled(branches: readonly Branch[], open: ReadonlySet<string>, path: string): string[] {
  const shown = branches.filter((branch) => branch.open).map((branch) => branch.path);
  return open.has(path) ? shown.filter((other) => !other.startsWith(path)) : [...shown, path];
}

interface Drawn {
  readonly branches: readonly Branch[];
  readonly saying: Saying;
  readonly sizes: readonly BranchSize[];
  readonly solution: Solution;
}

/** The newest picture whose layout is finished: the old one stays meanwhile, and the focus in it. */
function useDrawn(surrogate: Surrogate, open: ReadonlySet<string>, output: number): Drawn | null {
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  useEffect(() => {
    const request = new AbortController();
    const branches = branchesOf(surrogate, open);
    const saying = sayingOf(surrogate, output);
    const sizes = branches.map((branch) => branchSize(branch, saying));
    const layout = pageSolver().solve(problemOf(branches, sizes), request.signal);
    layout.then(
      (solution) => request.signal.aborted || setDrawn({ branches, saying, sizes, solution }),
      () => undefined, // nobody waits for it any more
    );
    return () => request.abort();
  }, [surrogate, open, output]);
  return drawn;
}

/** Which colour is which class. */
function Shares({ names }: { readonly names: readonly string[] }): JSX.Element {
  const others = names.length - MOST_CATEGORIES;
  return (
    <ul class="tree-classes" aria-label="Colours of the classes">
      {names.slice(0, MOST_CATEGORIES).map((name, at) => (
        <li key={at}>
          <span class="swatch" style={{ background: css(category(at)) }} />
          <bdi>{name}</bdi>
        </li>
      ))}
      {others > 0 && (
        <li>
          <span class="swatch" style={{ background: css(category(MOST_CATEGORIES)) }} />
          {plural(others, "other")}
        </li>
      )}
    </ul>
  );
}
