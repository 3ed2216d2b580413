"""Decision tree of a surrogate -> Graphviz DOT."""

from __future__ import annotations

import graphviz

from layerscope.errors import InvalidArgumentError
from layerscope.structure.quoting import dot_label
from layerscope.wire import Surrogate, TreeNode

_MOST_OUTPUTS = 3
"""As many outputs stand in a box, the largest first; the rest are counted."""


def tree_to_dot(surrogate: Surrogate) -> str:
    """Return the tree of ``surrogate`` as DOT source: boxes ask, rounded ones answer, edges say yes or no.

    A box names what it asks, how many training samples came to it, and what the tree would say there: the share of
    each class, or the mean of each output, the largest three of them. The name of node i of the tree is ``i``.

    Raises:
        InvalidArgumentError: the surrogate holds no tree.
    """
    if not surrogate.tree:
        raise InvalidArgumentError(
            f"a tree was asked for, but this surrogate is a {surrogate.surrogate}, which has none to show. "
            "A decision_tree has one."
        )
    dot = graphviz.Digraph(
        "tree", node_attr={"shape": "box", "style": "filled", "fillcolor": "aliceblue"}, edge_attr={"fontsize": "10"}
    )
    for place, node in enumerate(surrogate.tree):
        leaf = node.feature < 0
        question = "" if leaf else f"{surrogate.feature_names[node.feature]} \u2264 {node.threshold:.4g}"
        samples = f"{node.samples} sample{'' if node.samples == 1 else 's'}"
        look = {"style": "filled,rounded", "fillcolor": "darkseagreen1"} if leaf else {}
        dot.node(str(place), label=dot_label(question, *_answers(surrogate, node), samples), **look)
        if not leaf:
            dot.edge(str(place), str(node.left), label="yes")
            dot.edge(str(place), str(node.right), label="no")
    return dot.source


def _answers(surrogate: Surrogate, node: TreeNode) -> list[str]:
    if surrogate.score_name == "agreement":
        said = sorted(zip(node.value, surrogate.output_names, strict=True), key=lambda pair: -pair[0])
        lines = [f"{name}: {share:.0%}" for share, name in said if share > 0]
    else:
        said = zip(node.value, surrogate.output_names, strict=True)
        lines = [f"{name}: {value:.4g}" for value, name in sorted(said, key=lambda pair: -pair[0])]
    return lines[:_MOST_OUTPUTS] + ([f"+ {len(lines) - _MOST_OUTPUTS} more"] if len(lines) > _MOST_OUTPUTS else [])
