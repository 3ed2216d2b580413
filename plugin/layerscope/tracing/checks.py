"""What a reader must know before trusting a graph, in words: where tensors come from nowhere or lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layerscope.tracing.passive_functions import EXITS
from layerscope.wire import ModelGraph, Node

_LISTED = 6


def doubts(graph: ModelGraph) -> Iterator[str]:
    """Yield one sentence for each way in which the flow of ``graph`` is incomplete; none if it is complete."""
    fed = {edge.target for edge in graph.edges}
    used = _reached(graph.outputs, [(edge.target, edge.source) for edge in graph.edges])
    enclosing = {node.parent for node in graph.nodes.values()}
    boxes = [node for node in graph.nodes.values() if node.kind == "module" and node.id not in enclosing]

    unfed = [node.id for node in boxes if node.input_shapes and node.id not in fed]
    if unfed:
        yield (
            f"Not connected: nothing in the graph feeds {_listed(unfed)}. The input is a buffer, a parameter or a "
            "tensor made inside the forward, or its way was not recorded."
        )
    if graph.outputs:
        yield from _unused(graph, boxes, used)
    reached = _reached(graph.inputs, [(edge.source, edge.target) for edge in graph.edges])
    cut = [node_id for node_id in graph.outputs if node_id not in reached]
    if cut and graph.inputs:
        yield f"Not connected: no recorded way leads from an input to {_listed(cut)}."


def _unused(graph: ModelGraph, boxes: list[Node], used: set[str]) -> Iterator[str]:
    unused = [node.id for node in boxes if node.output_shapes and node.id not in used]
    if unused:
        yield (
            f"Not connected: no recorded way leads from {_listed(unused)} to an output. The model discards what it "
            "gives, or turns it into something that is no tensor (a number, an array of NumPy, a gradient)."
        )
    left = [node for node in graph.nodes.values() if node.op in EXITS and node.kind == "function"]
    if left:
        made_by = {edge.target: edge.source for edge in graph.edges}
        sources = sorted({made_by[node.id] for node in left if node.id in made_by})
        yield (
            f"Values left torch by {_listed([node.id for node in left])}, from {_listed(sources)}: what was computed "
            "from them outside of torch is not connected."
        )
    ignored = [node_id for node_id in graph.inputs if node_id not in used]
    if ignored:
        yield f"Not connected: no recorded way leads from {_listed(ignored)} to an output."


def _reached(start: tuple[str, ...], ways: list[tuple[str, str]]) -> set[str]:
    """Return the ids of all nodes that can be reached from ``start`` on ``ways``."""
    following: dict[str, list[str]] = {}
    for source, target in ways:
        following.setdefault(source, []).append(target)
    reached, waiting = set(start), list(start)
    while waiting:
        for target in following.get(waiting.pop(), ()):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(node_id) for node_id in ids[:_LISTED])
    return shown if len(ids) <= _LISTED else f"{shown} and {len(ids) - _LISTED} more"
