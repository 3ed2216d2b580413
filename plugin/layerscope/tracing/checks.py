"""What a reader must know before trusting a graph, in words: where tensors come from nowhere or lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from layerscope.wire import ModelGraph

_LISTED = 6


def doubts(graph: ModelGraph) -> Iterator[str]:
    """Yield one sentence for each way in which the flow of ``graph`` is incomplete; none if it is complete."""
    fed = {edge.target for edge in graph.edges}
    used = {edge.source for edge in graph.edges}
    enclosing = {node.parent for node in graph.nodes.values()}
    boxes = [node for node in graph.nodes.values() if node.kind == "module" and node.id not in enclosing]

    unfed = [node.id for node in boxes if node.input_shapes and node.id not in fed]
    if unfed:
        yield (
            f"Not connected: nothing in the graph feeds {_listed(unfed)}. The input is a buffer, a parameter or a "
            "tensor made inside the forward, or its way was not recorded."
        )
    unused = [node.id for node in boxes if node.output_shapes and node.id not in used]
    if unused:
        yield (
            f"Not connected: nothing in the graph uses the output of {_listed(unused)}. The model discards it, or "
            "its way was not recorded (assignment to a slice, a conversion to NumPy)."
        )
    ignored = [node_id for node_id in graph.inputs if node_id not in used]
    if ignored:
        yield f"Not connected: nothing in the graph uses {_listed(ignored)}."
    reached = _reached(graph)
    cut = [node_id for node_id in graph.outputs if node_id not in reached]
    if cut and graph.inputs:
        yield f"Not connected: no recorded way leads from an input to {_listed(cut)}."


def _reached(graph: ModelGraph) -> set[str]:
    """Return the ids of all nodes to which a way leads from an input."""
    targets: dict[str, list[str]] = {}
    for edge in graph.edges:
        targets.setdefault(edge.source, []).append(edge.target)
    reached, waiting = set(graph.inputs), list(graph.inputs)
    while waiting:
        for target in targets.get(waiting.pop(), ()):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(node_id) for node_id in ids[:_LISTED])
    return shown if len(ids) <= _LISTED else f"{shown} and {len(ids) - _LISTED} more"
