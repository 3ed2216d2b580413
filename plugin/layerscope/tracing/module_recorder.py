"""Records modules only: what remains when torchview cannot follow a model."""

from __future__ import annotations

from typing import Any

from torch import nn

from layerscope.tracing.call_record import CallRecord
from layerscope.tracing.forward import Arguments, surroundings
from layerscope.tracing.recording import Call, Flow, Recording, Value, spec
from layerscope.tracing.values import tensors


def record_modules(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
    """Run one plain forward and return its module calls, joined where one gives another the very same tensor.

    Functions between modules are not seen, so a flow through a function is missing.

    Raises:
        Exception: whatever the forward raises.
    """
    makers: dict[int, Call | Value] = {}
    kept: list[Any] = []  # an id stands for a tensor only as long as the tensor lives
    flows: list[Flow] = []

    def join(value: Any, target: Call | Value) -> None:
        for _, tensor in tensors(value):
            if id(tensor) in makers:
                flows.append(Flow(makers[id(tensor)], target, tuple(tensor.shape)))

    def finished(call: Call, arguments: Any, result: Any) -> None:
        if call.is_box:
            join(arguments, call)
            makers.update((id(tensor), call) for _, tensor in tensors(result))
            kept.append(result)

    record = CallRecord(model, finished)
    with surroundings(model):
        arguments = Arguments(model, args, kwargs)
        makers.update((id(tensor), value) for value, tensor in arguments.inputs)
        with record.recording():
            result = model(*arguments.args, **arguments.kwargs)
    outputs: list[Value] = []
    for name, tensor in tensors(result):
        outputs.append(Value(name or "0", spec(tensor)))
        join(tensor, outputs[-1])
    return Recording(record.events, flows, [value for value, _ in arguments.inputs], outputs)
