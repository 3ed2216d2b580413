"""Compares a graph with the truth: what is missing, misplaced, invented or cut, each fault in words."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from layerscope.wire import ModelGraph
from zoo.truth import Truth


@dataclass(frozen=True)
class Fault:
    """One way in which a graph is wrong."""

    kind: str
    """``missing``, ``extra``, ``misplaced``, ``wrong``, ``cut`` or ``malformed``."""
    what: str
    about: tuple[str, ...] = ()
    """Names that a warning about it would mention, any of them."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def judge(graph: ModelGraph, truth: Truth) -> list[Fault]:
    """Return the faults of ``graph``; none if it is correct.

    Correct means: every call of a module is a node, as often as called, under its caller, in order, and no other
    module is; every parameter and input that autograd says reaches an output has a path to an output; and where one
    leaf module handed a tensor to another there is a path between them.
    """
    return [*_malformed(graph), *_calls(graph, truth), *_ends(graph, truth), *_cuts(graph, truth)]


def silent(graph: ModelGraph, faults: Iterable[Fault]) -> list[Fault]:
    """Return those of ``faults`` that no warning of ``graph`` mentions by a name."""
    return [
        fault for fault in faults if not any(f"'{name}'" in text for name in fault.about for text in graph.warnings)
    ]


def modules(graph: ModelGraph, truth: Truth) -> dict[str, str | None]:
    """Return id -> parent of the module nodes of ``graph``, but for the model itself."""
    nodes = graph.nodes.values()
    return {node.id: node.parent for node in nodes if node.kind == "module" and node.id != truth.root}


def _malformed(graph: ModelGraph) -> Iterator[Fault]:
    parents = {node.parent for node in graph.nodes.values()}
    seen: set[str] = set()
    for node_id, node in graph.nodes.items():
        if node.id != node_id:
            yield Fault("malformed", f"node {node.id!r} stands under {node_id!r}")
        if node.parent is not None and node.parent not in seen:
            yield Fault("malformed", f"{node_id!r} stands before its parent {node.parent!r}, or the parent is no node")
        if node_id in parents and node.kind != "module":
            yield Fault("malformed", f"{node_id!r} is a {node.kind} and has children")
        seen.add(node_id)
    for edge in graph.edges:
        for end in (edge.source, edge.target):
            if end not in graph.nodes:
                yield Fault("malformed", f"an edge ends in {end!r}, which is no node")
            elif end in parents:
                yield Fault("malformed", f"an edge ends in {end!r}, which has children")
    for kind, listed in (("input", graph.inputs), ("output", graph.outputs)):
        if [*listed] != [node.id for node in graph.nodes.values() if node.kind == kind]:
            yield Fault("malformed", f"graph.{kind}s are not its nodes of this kind")


def _calls(graph: ModelGraph, truth: Truth) -> Iterator[Fault]:
    shown = modules(graph, truth)
    for call in truth.calls:
        if call.key not in shown:
            yield Fault("missing", f"{call.key!r} ran and is not shown", (call.key,))
            continue
        node = graph.nodes[call.key]
        if node.parent != call.parent:
            what = f"{call.key!r} was called by {call.parent!r}, but stands in {node.parent!r}"
            yield Fault("misplaced", what, (call.key,))
        if node.class_name != call.class_name:
            yield Fault("wrong", f"{call.key!r} is a {call.class_name}, not a {node.class_name}")
        if call.leaf and call.output_shape is not None and node.output_shapes != (call.output_shape,):
            what = f"{call.key!r} returned {call.output_shape}, the graph says {node.output_shapes}"
            yield Fault("wrong", what, (call.key,))
    known = {call.key for call in truth.calls}
    for key in shown:
        if key not in known:
            yield Fault("extra", f"{key!r} is shown and did not run", (key,))
    order = [call.key for call in truth.calls if call.key in shown]
    if order != [key for key in shown if key in known]:
        yield Fault("wrong", "the calls are not in the order in which they ran")


def _ends(graph: ModelGraph, truth: Truth) -> Iterator[Fault]:
    paths = [path for input_ in truth.inputs for path in input_.paths]
    for input_ in truth.inputs:
        names = [f"input/{path}" for path in input_.paths]
        if not any(name in graph.inputs for name in names):
            yield Fault("missing", f"{names[0]!r} is not shown", (names[0],))
    for node_id in graph.inputs:
        if node_id.removeprefix("input/") not in paths:
            yield Fault("extra", f"{node_id!r} is shown and is no argument", (node_id,))
    shapes = [graph.nodes[node_id].output_shapes for node_id in graph.outputs]
    expected = [(tuple(output.shape),) for output in truth.outputs]
    if shapes != expected:
        yield Fault("wrong", f"the outputs have the shapes {expected}, the graph says {shapes}")


def _cuts(graph: ModelGraph, truth: Truth) -> Iterator[Fault]:
    forward, backward = _neighbours(graph)
    reaching = _reached(backward, graph.outputs)
    nodes = _parameter_nodes(graph)
    for parameter in truth.parameters:
        ends = [*parameter.boxes, *(node_id for name in parameter.names for node_id in nodes.get(name, ()))]
        if not any(end in reaching for end in ends):
            name = parameter.names[0] if parameter.names else parameter.boxes[0] if parameter.boxes else ""
            if name:
                what = f"parameter {name!r} reaches an output, but no path leads from it"
                yield Fault("cut", what, (*parameter.names, *ends))
    for input_ in truth.inputs:
        names = [f"input/{path}" for path in input_.paths]
        if input_.reaches and not any(name in reaching for name in names):
            yield Fault("cut", f"{names[0]!r} reaches an output, but no path leads from it", (names[0],))
    yield from _as_told(truth, forward, reaching)
    for source, target in sorted(truth.passed):
        if target.startswith("output "):
            target = _at(graph.outputs, int(target.removeprefix("output ")))
        if source not in graph.nodes or target not in graph.nodes:
            continue  # missing, and said so
        if target not in _reached(forward, [source], until=target):
            yield Fault("cut", f"{source!r} gave a tensor to {target!r}, but no path leads there", (source, target))


def _as_told(truth: Truth, forward: dict[str, list[str]], reaching: set[str]) -> Iterator[Fault]:
    """Yield what contradicts the case's own words."""
    for name in truth.reaches:
        if name not in reaching:
            yield Fault("cut", f"{name!r} reaches an output, but no path leads from it", (name,))
    for source, target in truth.apart:
        if target in _reached(forward, [source]):
            yield Fault("wrong", f"a path leads from {source!r} to {target!r}, and nothing flows there", (target,))


def _parameter_nodes(graph: ModelGraph) -> dict[str, list[str]]:
    """Return qualified parameter name -> nodes that stand for it: their ids without what makes them unique."""
    nodes: dict[str, list[str]] = {}
    for node in graph.nodes.values():
        if node.kind == "parameter":
            nodes.setdefault(node.id.rpartition("/")[2].partition("#")[0], []).append(node.id)
    return nodes


def _at(ids: tuple[str, ...], index: int) -> str:
    return ids[index] if index < len(ids) else ""


def _neighbours(graph: ModelGraph) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    forward: dict[str, list[str]] = {}
    backward: dict[str, list[str]] = {}
    for edge in graph.edges:
        forward.setdefault(edge.source, []).append(edge.target)
        backward.setdefault(edge.target, []).append(edge.source)
    return forward, backward


def _reached(neighbours: dict[str, list[str]], start: Iterable[str], until: str | None = None) -> set[str]:
    reached = set(start)
    waiting = deque(reached)
    while waiting and until not in reached:
        for neighbour in neighbours.get(waiting.popleft(), ()):
            if neighbour not in reached:
                reached.add(neighbour)
                waiting.append(neighbour)
    return reached
