r"""``ModelGraph`` -> Graphviz DOT, in torchview's familiar look.

Modules that enclose others are dashed clusters, everything else is a box, coloured by its kind. Node ids are layer
keys, with one exception: DOT cannot hold a lone backslash at the end of a name, nor control characters, so a backslash
is doubled and a control character stands as ``\u000a``.
"""

from __future__ import annotations

import re

import graphviz

from layerscope.wire import ModelGraph, Node

_COLOURS = {
    "input": "lightyellow",
    "output": "lightyellow",
    "parameter": "lightyellow",
    "module": "darkseagreen1",
    "function": "aliceblue",
}

# What XML (Graphviz's SVG) or UTF-8 cannot hold: control characters, surrogates, non-characters.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def to_dot(graph: ModelGraph) -> str:
    """Return the whole structure of ``graph`` as DOT source, a directed graph named after the model's class."""
    dot = graphviz.Digraph(
        graphviz.nohtml(_name(graph.class_name or "model")),
        graph_attr={"rankdir": "TB", "ordering": "in"},
        node_attr={"shape": "box", "style": "filled", "fontsize": "10", "height": "0.2", "margin": "0.1,0.05"},
        edge_attr={"fontsize": "10"},
    )
    children: dict[str | None, list[Node]] = {}
    for node in graph.nodes.values():
        children.setdefault(node.parent, []).append(node)
    _add(dot, children, None)
    for edge in graph.edges:
        # Digraph.edge() would take what follows a colon for a port of the node.
        dot.body.append(f"\t{_quoted(edge.source)} -> {_quoted(edge.target)}{_edge_label(edge.shape)}\n")
    return dot.source


def _add(dot: graphviz.Digraph, children: dict[str | None, list[Node]], parent: str | None) -> None:
    """Add the nodes and clusters that ``parent`` encloses."""
    for node in children.get(parent, ()):
        if node.id in children:
            cluster = graphviz.Digraph(graphviz.nohtml(_name(f"cluster_{node.id}")))
            cluster.attr(label=_label(node.id, node.class_name), style="dashed", labeljust="l", fontsize="12")
            _add(cluster, children, node.id)
            dot.subgraph(cluster)
        else:
            shapes = node.output_shapes or node.input_shapes
            label = _label(node.id, node.class_name or node.op, ", ".join(map(_shape, shapes)))
            dot.node(graphviz.nohtml(_name(node.id)), label=label, fillcolor=_COLOURS.get(node.kind, "white"))


def _name(text: str) -> str:
    """Return ``text`` as it can stand in a quoted DOT name; different texts give different names."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text.replace("\\", "\\\\"))


def _quoted(text: str) -> str:
    return '"' + _name(text).replace('"', '\\"') + '"'


def _label(*lines: str) -> str:
    """Return a label that shows ``lines`` literally: no HTML, entities or escapes of Graphviz."""
    shown = (_UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", line) for line in lines if line)
    escaped = (line.replace("\\", "\\\\").replace("&", "&amp;") for line in shown)
    return graphviz.nohtml("\\n".join(escaped))


def _edge_label(shape: tuple[int, ...] | None) -> str:
    return "" if shape is None else f' [label="{_shape(shape)}"]'


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
