"""The tree of registered modules as a ``Recording``: what can be told of a model that did not run at all."""

from __future__ import annotations

from torch import nn

from layerscope.naming import CallCounter, LayerNames
from layerscope.tracing.recording import Call, Recording


def registered_modules(model: nn.Module, failure: Exception) -> Recording:
    """Return every module that ``model`` registers, each once, as if called by the module that holds it."""
    counter = CallCounter(LayerNames(model))
    calls: dict[str, Call] = {}
    for name, module in model.named_modules():
        named = counter.next(module)
        caller = calls.get(name.rpartition(".")[0]) if name else None
        calls[name] = call = Call(module, name, named.call, named.key, caller, is_model=not name, began=len(calls))
        if caller is not None:
            caller.calls.append(call)
    return Recording(list(calls.values()), [], [], [], "static", failure=failure)
