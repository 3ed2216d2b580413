"""The public entry of the tracing room."""

from __future__ import annotations

from typing import Any

from torch import nn

from layerscope.containment import original
from layerscope.errors import InvalidArgumentError, TraceError
from layerscope.tracing.assemble import assemble
from layerscope.tracing.forward import described, stopped_in
from layerscope.tracing.module_recorder import record_modules
from layerscope.tracing.recording import Recording
from layerscope.tracing.torchview_recorder import record_with_torchview
from layerscope.wire import ModelGraph


def trace(model: nn.Module, /, *args: Any, **kwargs: Any) -> ModelGraph:
    """Return the structure of ``model`` as one forward pass, ``model(*args, **kwargs)``, executes it.

    Modules are nodes, one for each call, with the module that called them as parent; so are the functions called
    between modules, the inputs (``input/<parameter of forward>``) and the outputs (``output/<index or key>``).
    Functions inside a module without submodules are not shown. The model itself is no node, unless it has no
    submodules at all.

    The forward runs in evaluation mode and without gradients, on copies of the input tensors, on the devices where
    model and inputs are; afterwards the model is as before. A compiled model is traced as its original.

    Modules, their order and nesting come from forward hooks, functions and edges from torchview. Where both do not
    suffice, ``ModelGraph.warnings`` says what is missing.

    Args:
        model: the model.
        args: positional arguments of its forward: tensors, or any nesting of lists, tuples, mappings and dataclasses
            of them, or other values.
        kwargs: keyword arguments of its forward.

    Raises:
        InvalidArgumentError: ``model`` is no ``torch.nn.Module``, or has lazy parameters that have no shape yet.
        TraceError: the forward raised; the message names the module in which it stopped.
    """
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(f"trace() needs a torch.nn.Module, but was given {type(model).__name__}.")
    model = original(model)
    return assemble(model, _record(model, args, kwargs))


def _record(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
    """Record with torchview; where that fails, record modules only; where that fails too, it is the forward."""
    try:
        return record_with_torchview(model, args, kwargs)
    except InvalidArgumentError:
        raise
    except Exception as error:
        failure = error.__cause__ or error  # torchview wraps what it catches
    try:
        recording = record_modules(model, args, kwargs)
    except Exception as error:
        raise TraceError(
            f"trace() ran the forward of {type(model).__name__}, and it stopped in "
            f"{described(stopped_in(error, model), model)} with {type(error).__name__}: {error}. "
            "Call trace(model, ...) with the arguments that the model is called with."
        ) from error
    cause = str(failure).partition("\n")[0][:200]
    recording.warnings.append(
        f"Only modules are shown, without the functions between them: torchview cannot follow this model "
        f"({type(failure).__name__}: {cause})."
    )
    return recording
