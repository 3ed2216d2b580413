"""Recording -> ``ModelGraph``: ids, parents, parameter counts and edges."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from layerscope.naming import layer_key
from layerscope.structure.folding import fold
from layerscope.tracing.checks import doubts
from layerscope.tracing.module_facts import ModuleFacts
from layerscope.tracing.recording import Call, End, Function, Held, Recording, TensorSpec, Value
from layerscope.wire import Edge, ModelGraph, Node


def assemble(model: nn.Module, recording: Recording) -> ModelGraph:
    """Return the graph of what ``recording`` saw ``model`` do, with what to doubt in its ``warnings``."""
    ids = _Ids(recording)
    facts = ModuleFacts(model)
    nodes: dict[str, Node] = {}
    for value in recording.inputs:
        nodes[ids[value]] = _value_node(ids[value], "input", value)
    for event in ids.events:
        nodes[ids[event]] = _node(ids, facts, event)
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
        total_parameters=sum(parameter.numel() for parameter in model.parameters()),
        trainable_parameters=sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        recorder=recording.recorder,
        stopped_in=_stopped_in(ids, recording),
        failure=recording.stopped,
    )
    return replace(graph, warnings=(*recording.warnings, *doubts(graph)), folds=fold(graph))


def _stopped_in(ids: _Ids, recording: Recording) -> str | None:
    """Return the id of the innermost node in which the forward raised."""
    calls = [event for event in recording.events if isinstance(event, Call)]
    if recording.failure is None or not calls:
        return None
    innermost = calls[0]
    while raised := [call for call in innermost.calls if call.raised]:
        innermost = raised[-1]
    return ids.of_caller(innermost)


class _Ids:
    """Ids of all nodes, unique whatever the modules are called; what is not drawn has none."""

    def __init__(self, recording: Recording) -> None:
        self._ids: dict[End, str] = {}
        # Layer keys come first: other rooms know the modules by them.
        calls = [event for event in recording.events if isinstance(event, Call)]
        self._ids.update({call: call.key for call in calls if call.is_box or not call.is_model})
        self._used = set(self._ids.values())
        self._repeats: dict[str, int] = {}
        for value in recording.inputs:
            self._name(value, f"input/{value.name}")
        self.events = list(self._drawn(recording))
        """Calls, functions and held tensors that have a node, in order; a held tensor before its first user."""
        for value in recording.outputs:
            self._name(value, f"output/{value.name}")

    def _drawn(self, recording: Recording) -> Iterator[Call | Function | Held]:
        held: dict[End, dict[Held, None]] = {}
        joined: set[End] = set()
        for source, target, _ in recording.flows:
            joined |= {source, target}
            if isinstance(source, Held):
                held.setdefault(target, {})[source] = None
        for end in (*recording.events, *recording.outputs):
            for tensor in held.get(end, ()):
                if tensor not in self._ids:
                    self._name(tensor, tensor.name)
                    yield tensor
            if isinstance(end, Call) and end in self._ids:
                yield end
            # A function that neither takes nor gives a tensor that anything else knows of is no part of the flow.
            elif isinstance(end, Function) and end in joined:
                self._name(end, f"{self.of_caller(end.caller) or ''}/{end.op}")
                yield end

    def __getitem__(self, item: End) -> str:
        return self._ids[item]

    def of_caller(self, caller: Call | None) -> str | None:
        """Return the id of the enclosing module's node; None at the top."""
        return None if caller is None else self._ids.get(caller)

    def _name(self, item: Function | Value | Held, base: str) -> None:
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


def _bytes(specs: tuple[TensorSpec, ...]) -> int:
    known = (each for each in specs if -1 not in each.shape)
    return sum(math.prod(shape) * getattr(torch, dtype).itemsize for shape, dtype in known)


def _node(ids: _Ids, facts: ModuleFacts, event: Call | Function | Held) -> Node:
    if isinstance(event, Held):
        return _held_node(ids, event)
    described: dict[str, Any]
    if isinstance(event, Call):
        described = {"module": event.name, "call": event.call, **facts.of(event.module)}
    else:
        described = {"op": event.op}
    return Node(
        ids[event],
        "module" if isinstance(event, Call) else "function",
        parent=ids.of_caller(event.caller),
        input_shapes=_shapes(event.inputs),
        input_dtypes=_dtypes(event.inputs),
        output_shapes=_shapes(event.outputs),
        output_dtypes=_dtypes(event.outputs),
        flops=event.flops if event.flops_known else None,
        activation_bytes=_bytes(event.outputs),
        **described,
    )


def _held_node(ids: _Ids, held: Held) -> Node:
    parameter = held.class_name == "Parameter"
    elements = held.tensor.numel() if parameter else 0
    trainable = held.tensor.requires_grad if parameter else None
    return Node(
        ids[held],
        "parameter",
        module=held.name.rpartition(".")[0],
        parent=ids.of_caller(held.caller),
        class_name=held.class_name,
        output_shapes=_shapes((held.spec,)),
        output_dtypes=_dtypes((held.spec,)),
        own_parameters=elements,
        total_parameters=elements,
        own_bytes=held.tensor.nbytes if parameter else 0,
        total_bytes=held.tensor.nbytes if parameter else 0,
        trainable=trainable,
        trainable_parameters=elements if trainable else 0,
    )


def _value_node(node_id: str, kind: str, value: Value) -> Node:
    """An input or output node hands on what it gets: the same tensor on both sides."""
    shapes, dtypes = _shapes((value.spec,)), _dtypes((value.spec,))
    return Node(node_id, kind, input_shapes=shapes, input_dtypes=dtypes, output_shapes=shapes, output_dtypes=dtypes)
