"""Graphs made by hand or drawn by hypothesis, for tests that need no torch."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import strategies as st

from layerscope.structure.folding import fold
from layerscope.wire import Edge, ModelGraph, Node


def module(name: str, class_name: str = "Linear", *, width: int = 8, parent: str | None = None, call: int = 0) -> Node:
    """A module call with one input and one output of [1, width]."""
    return Node(
        f"{name}#{call}" if call else name,
        "module",
        module=name,
        call=call,
        parent=parent,
        class_name=class_name,
        input_shapes=((1, width),),
        output_shapes=((1, width),),
        own_parameters=width,
        total_parameters=width,
        trainable=True,
    )


def function(node_id: str, op: str, *, width: int = 8, parent: str | None = None) -> Node:
    shapes = ((1, width),)
    return Node(node_id, "function", parent=parent, op=op, input_shapes=shapes, output_shapes=shapes)


def block(name: str, *classes: str, width: int = 8, parent: str | None = None, class_name: str = "Block") -> list[Node]:
    """A container with leaves ``<name>.0``, ``<name>.1``, ..."""
    inner = [module(f"{name}.{i}", each, width=width, parent=name) for i, each in enumerate(classes)]
    return [module(name, class_name, width=width, parent=parent), *inner]


def chain(*nodes: Node) -> ModelGraph:
    """The graph in which each box feeds the next one, folded."""
    enclosing = {node.parent for node in nodes}
    boxes = [node.id for node in nodes if node.id not in enclosing]
    return graph_of(nodes, [Edge(a, b, (1, 8)) for a, b in pairwise(boxes)])


def graph_of(nodes: list[Node] | tuple[Node, ...], edges: list[Edge]) -> ModelGraph:
    graph = ModelGraph({node.id: node for node in nodes}, tuple(edges), (), (), class_name="Net")
    return replace(graph, folds=fold(graph))


SPECIAL = '"\\:;/<>&{}|[]#→…\n\t\x00\ud800é層😀'
HOSTILE: st.SearchStrategy[str] = st.text(st.characters(codec=None) | st.sampled_from(SPECIAL), max_size=8)


@st.composite
def _level(draw: st.DrawFn, ids: list[str], parent: str | None, depth: int) -> list[Node]:
    """Siblings, some of which repeat; takes its names from the front of ``ids``."""
    nodes: list[Node] = []
    pattern = draw(
        st.lists(st.sampled_from(["Linear", "ReLU", "add", *["Block"] * (depth < 2)]), min_size=1, max_size=3)
    )
    inner = draw(st.integers(1, 3))
    for what in pattern * draw(st.integers(1, 6)):
        if not ids:
            break
        name = ids.pop(0)
        nodes.append(function(name, what, parent=parent) if what == "add" else module(name, what, parent=parent))
        if what == "Block":
            classes = ["Linear", "ReLU", "Tanh"][: min(inner, len(ids))]
            nodes += [module(ids.pop(0), each, parent=name) for each in classes]
    if depth == 0 and nodes[-1].class_name == "Block":
        nodes += draw(_level(ids, nodes[-1].id, 1))
    return nodes


@st.composite
def graphs(draw: st.DrawFn, names: st.SearchStrategy[str] | None = None, largest: int = 60) -> ModelGraph:
    """A graph with random nesting, repeated blocks and forward edges, folded; ``names`` gives its ids."""
    if names is None:
        ids = [f"n{number}" for number in range(largest)]
    else:
        ids = draw(st.lists(names, min_size=1, max_size=largest, unique=True))
    nodes = [node for _ in range(draw(st.integers(1, 3))) for node in (draw(_level(ids, None, 0)) if ids else [])]
    enclosing = {node.parent for node in nodes}
    boxes = [node.id for node in nodes if node.id not in enclosing]
    edges = [Edge(a, b, (1, 8)) for a, b in pairwise(boxes)]
    for _ in range(draw(st.integers(0, 4))):
        first, second = sorted((draw(st.integers(0, len(boxes) - 1)), draw(st.integers(0, len(boxes) - 1))))
        edges += [Edge(boxes[first], boxes[second], (1, 8))] if first != second else []
    return graph_of(nodes, list(dict.fromkeys(edges)))
