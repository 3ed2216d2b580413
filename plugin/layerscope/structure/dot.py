r"""``ModelGraph`` -> Graphviz DOT, in torchview's familiar look.

Modules that enclose others are dashed clusters, everything else is a box, coloured by its kind; parameters that enter
an operation directly are ellipses, what is frozen has a grey border, and what the forward stopped in a red one. Node
ids are layer keys, as far as Graphviz can hold them: a lone backslash at the end of a name it cannot, nor control
characters, and a name that begins with ``%`` it takes for one of its own. So a backslash is doubled, and a control
character or that ``%`` stands as ``\u000a``, ``\u0025``.
"""

from __future__ import annotations

import graphviz

from layerscope.errors import InvalidArgumentError
from layerscope.structure.quoting import dot_label, dot_name, dot_quoted
from layerscope.structure.view import SeenEdge, View
from layerscope.wire import ModelGraph, Node

_COLOURS = {
    "input": "lightyellow",
    "output": "lightyellow",
    "parameter": "moccasin",
    "module": "darkseagreen1",
    "function": "aliceblue",
}

_STOPPED = {"color": "red", "penwidth": "2"}


def to_dot(graph: ModelGraph, *, folded: bool = False, depth: int | None = None) -> str:
    """Return the structure of ``graph`` as DOT source, a directed graph named after the model's class.

    Args:
        graph: the graph.
        folded: show of each fold its first member only, in a cluster that is called after the fold's id and labelled
            with what repeats; edges of the others are joined to it, and those from one member to another are dashed.
        depth: levels of modules that are shown; what lies deeper is closed into the modules of the last level, and
            edges are lifted to them. None: all.

    Raises:
        InvalidArgumentError: ``depth`` is less than 1.
    """
    if depth is not None and depth < 1:
        raise InvalidArgumentError(f"depth must be 1 (top level only) or more, or None for all levels; it is {depth}.")
    view = View(graph, folded=folded, depth=depth)
    dot = graphviz.Digraph(
        graphviz.nohtml(dot_name(graph.class_name or "model")),
        graph_attr={"rankdir": "TB", "ordering": "in"},
        node_attr={"shape": "box", "style": "filled", "fontsize": "10", "height": "0.2", "margin": "0.1,0.05"},
        edge_attr={"fontsize": "10"},
    )
    stopped = None if graph.stopped_in is None else view.box.get(graph.stopped_in)
    bodies: dict[str | None, graphviz.Digraph] = {}
    for item in reversed(view.contents):  # containers stand before what they enclose: the innermost come first
        bodies[item] = dot if item is None else _cluster(graph, view, item, item == stopped)
        for inner in view.contents[item]:
            if inner in bodies:
                bodies[item].subgraph(bodies[inner])
            else:
                _add_box(bodies[item], graph.nodes[inner], inner == stopped)
    for edge in view.edges():
        # Digraph.edge() would take what follows a colon for a port of the node.
        dot.body.append(f"\t{dot_quoted(edge.source)} -> {dot_quoted(edge.target)}{_edge_attributes(edge)}\n")
    return dot.source


def _cluster(graph: ModelGraph, view: View, item: str, stopped: bool) -> graphviz.Digraph:
    """Return the empty cluster of a fold or an open module."""
    cluster = graphviz.Digraph(graphviz.nohtml(dot_name(f"cluster_{item}")))
    if item in view.folds:
        cluster.attr(label=dot_label(view.folds[item].label), style="rounded", labeljust="r", fontsize="12")
    else:
        node = graph.nodes[item]
        cluster.attr(label=dot_label(node.id, node.class_name), style="dashed", labeljust="l", fontsize="12")
    if stopped:
        cluster.attr(**_STOPPED)
    return cluster


def _add_box(dot: graphviz.Digraph, node: Node, stopped: bool) -> None:
    shapes = ", ".join(map(_shape, node.output_shapes or node.input_shapes))
    remarks = [f"tied to {', '.join(node.tied)}"] if node.tied else []
    remarks += ["frozen"] if node.trainable is False else []
    remarks += ["the forward stopped here"] if stopped else []
    look = {"fillcolor": _COLOURS.get(node.kind, "white")}
    look |= {"shape": "ellipse"} if node.kind == "parameter" else {}
    look |= {"color": "gray60"} if node.trainable is False else {}
    look |= _STOPPED if stopped else {}
    label = dot_label(node.id, node.class_name or node.op, shapes, *remarks)
    dot.node(graphviz.nohtml(dot_name(node.id)), label=label, **look)


def _edge_attributes(edge: SeenEdge) -> str:
    attributes = [] if edge.shape is None else [f'label="{_shape(edge.shape)}"']
    attributes += ["style=dashed", "constraint=false"] if edge.recurs else []
    return f" [{' '.join(attributes)}]" if attributes else ""


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
