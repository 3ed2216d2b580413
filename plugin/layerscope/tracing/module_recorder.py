"""Records modules only: what remains when nothing else can follow a model, and the proof that its forward works."""

from __future__ import annotations

from typing import Any

from torch import nn

from layerscope.tracing.call_record import CallRecord
from layerscope.tracing.forward import Arguments, surroundings
from layerscope.tracing.recording import Call, Flow, Recording, Value, spec
from layerscope.tracing.values import attribute_tensors, tensors


def record_modules(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
    """Run one plain forward and return its module calls, joined where one gives another the very same tensor.

    Functions between modules are not seen, so a flow through a function is missing. If the forward raises, the
    recording holds what ran until then, and the exception in ``failure``.
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
    result, failure = None, None
    with surroundings(model), Arguments(model, args, kwargs) as arguments:
        makers.update((id(tensor), value) for value, tensor in arguments.inputs)
        try:
            with record.recording():
                result = model(*arguments.args, **arguments.kwargs)
        except Exception as error:
            failure = error
    outputs: list[Value] = []
    for name, tensor in attribute_tensors(result):
        outputs.append(Value(name or "0", spec(tensor)))
        join(tensor, outputs[-1])
    inputs = [value for value, _ in arguments.inputs]
    return Recording(record.events, flows, inputs, outputs, "modules", record.warnings(), failure=failure)
