"""Recording -> ``ModelGraph``: ids, parents, parameter counts and edges."""

from __future__ import annotations

from torch import nn

from layerscope.naming import layer_key
from layerscope.tracing.checks import doubts
from layerscope.tracing.recording import Call, Function, Recording, TensorSpec, Value
from layerscope.wire import Edge, ModelGraph, Node


def assemble(model: nn.Module, recording: Recording) -> ModelGraph:
    """Return the graph of what ``recording`` saw ``model`` do, with what to doubt in its ``warnings``."""
    ids = _Ids(recording)
    nodes: dict[str, Node] = {}
    for value in recording.inputs:
        nodes[ids[value]] = _value_node(ids[value], "input", value)
    for event in recording.events:
        if event in ids:
            nodes[ids[event]] = _call_node(ids, event) if isinstance(event, Call) else _function_node(ids, event)
    for value in recording.outputs:
        nodes[ids[value]] = _value_node(ids[value], "output", value)
    place = {node_id: index for index, node_id in enumerate(nodes)}
    edges = {Edge(ids[source], ids[target], shape) for source, target, shape in recording.flows}
    graph = ModelGraph(
        nodes,
        tuple(sorted(edges, key=lambda edge: (place[edge.target], place[edge.source], edge.shape or ()))),
        inputs=tuple(ids[value] for value in recording.inputs),
        outputs=tuple(ids[value] for value in recording.outputs),
        class_name=type(model).__name__,
    )
    return ModelGraph(
        graph.nodes, graph.edges, graph.inputs, graph.outputs, graph.class_name, (*recording.warnings, *doubts(graph))
    )


class _Ids:
    """Ids of all nodes, unique whatever the modules are called; what is not drawn has none."""

    def __init__(self, recording: Recording) -> None:
        self._ids: dict[Call | Function | Value, str] = {}
        # Layer keys come first: other rooms know the modules by them.
        calls = [event for event in recording.events if isinstance(event, Call)]
        self._ids.update({call: call.key for call in calls if call.is_box or not call.is_model})
        self._used = set(self._ids.values())
        self._repeats: dict[str, int] = {}
        for value in recording.inputs:
            self._name(value, f"input/{value.name}")
        for event in recording.events:
            if isinstance(event, Function) and not (event.caller is not None and event.caller.is_box):
                self._name(event, f"{self.of_caller(event.caller) or ''}/{event.op}")
        for value in recording.outputs:
            self._name(value, f"output/{value.name}")

    def __contains__(self, item: Call | Function | Value) -> bool:
        return item in self._ids

    def __getitem__(self, item: Call | Function | Value) -> str:
        return self._ids[item]

    def of_caller(self, caller: Call | None) -> str | None:
        """Return the id of the enclosing module's node; None at the top."""
        return None if caller is None else self._ids.get(caller)

    def _name(self, item: Function | Value, base: str) -> None:
        repeat = self._repeats.get(base, 0)
        while layer_key(base, repeat) in self._used:
            repeat += 1
        self._repeats[base] = repeat + 1
        self._ids[item] = layer_key(base, repeat)
        self._used.add(self._ids[item])


def _shapes(specs: tuple[TensorSpec, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(spec.shape for spec in specs)


def _dtypes(specs: tuple[TensorSpec, ...]) -> tuple[str, ...]:
    return tuple(spec.dtype for spec in specs)


def _call_node(ids: _Ids, call: Call) -> Node:
    every = list(call.module.parameters())  # each once, shared ones too
    return Node(
        ids[call],
        "module",
        module=call.name,
        call=call.call,
        parent=ids.of_caller(call.caller),
        class_name=type(call.module).__name__,
        input_shapes=_shapes(call.inputs),
        input_dtypes=_dtypes(call.inputs),
        output_shapes=_shapes(call.outputs),
        output_dtypes=_dtypes(call.outputs),
        own_parameters=sum(parameter.numel() for parameter in call.module.parameters(recurse=False)),
        total_parameters=sum(parameter.numel() for parameter in every),
        trainable=any(parameter.requires_grad for parameter in every) if every else None,
    )


def _function_node(ids: _Ids, function: Function) -> Node:
    return Node(
        ids[function],
        "function",
        parent=ids.of_caller(function.caller),
        op=function.op,
        input_shapes=_shapes(function.inputs),
        input_dtypes=_dtypes(function.inputs),
        output_shapes=_shapes(function.outputs),
        output_dtypes=_dtypes(function.outputs),
    )


def _value_node(node_id: str, kind: str, value: Value) -> Node:
    """An input or output node hands on what it gets: the same tensor on both sides."""
    shapes, dtypes = _shapes((value.spec,)), _dtypes((value.spec,))
    return Node(node_id, kind, input_shapes=shapes, input_dtypes=dtypes, output_shapes=shapes, output_dtypes=dtypes)
