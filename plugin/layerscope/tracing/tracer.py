"""The public entry of the tracing room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from layerscope.containment import original
from layerscope.errors import InvalidArgumentError
from layerscope.tracing.assemble import assemble
from layerscope.tracing.forward import described, stopped_in
from layerscope.tracing.held_tensors import values_restored
from layerscope.tracing.meta import on_meta
from layerscope.tracing.mode_recorder import record_with_modes
from layerscope.tracing.module_recorder import record_modules
from layerscope.tracing.recording import Recording
from layerscope.tracing.static_recorder import registered_modules
from layerscope.tracing.torchview_recorder import record_with_torchview
from layerscope.wire import ModelGraph


def trace(model: nn.Module, /, *args: Any, **kwargs: Any) -> ModelGraph:
    """Return the structure of ``model`` as one forward pass, ``model(*args, **kwargs)``, executes it.

    Modules are nodes, one for each call, with the module that called them as parent; so are the functions called
    between modules, the parameters and buffers that enter such a function directly, the inputs
    (``input/<parameter of forward>``) and the outputs (``output/<index or key>``). A module that calls no other module
    is one box: functions inside it are not shown. The model itself is no node, unless it is such a box.

    The forward runs in evaluation mode and without gradients, on copies of the input tensors, on the devices where
    model and inputs are; afterwards the model is as before. A compiled model is traced as its original. A forward that
    takes ``use_cache`` gets ``use_cache=False`` unless it is given. With inputs on the meta device, or a model there,
    nothing is computed: the other one is replaced by an empty copy, so that a model of any size is traced in seconds.

    Modules, their order and nesting come from forward hooks. Functions and edges come from the first of these that
    can follow the model: function and dispatch modes, torchview, none; ``ModelGraph.recorder`` names it. If the
    forward raises, the graph is the part that ran, and ``ModelGraph.stopped_in`` the node where it stopped; if nothing
    ran, it is the tree of registered modules. ``ModelGraph.warnings`` says so, and what else is missing.

    A module that returns its argument itself (a dropout in evaluation) returns another tensor object of the same memory
    while it is traced, to tell who uses which; a forward that asks whether two tensors are one object may notice.

    Args:
        model: the model.
        args: positional arguments of its forward: tensors, or any nesting of lists, tuples, mappings and objects
            of them, or other values.
        kwargs: keyword arguments of its forward.

    Raises:
        InvalidArgumentError: ``model`` is no ``torch.nn.Module``, or has lazy parameters that have no shape yet.
        TraceError: the inputs are on the meta device, the model is not, and it cannot be copied.
    """
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidArgumentError(f"trace() needs a torch.nn.Module, but was given {type(model).__name__}.")
    model, args, kwargs = on_meta(original(model), args, kwargs)
    return assemble(model, _record(model, args, kwargs))


def _record(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
    """Record with the modes; where they fail, a plain forward tells whether it is they or the forward that does."""
    recording = None
    try:
        recording = record_with_modes(model, args, kwargs)
        if recording.failure is not None:
            # A forward that differentiates (a force field, a physics-informed network) needs gradients to run at all.
            again = record_with_modes(model, args, kwargs, grad=True)
            recording = again if again.failure is None else recording
        cause = recording.failure
    except InvalidArgumentError:
        raise
    except Exception as error:
        cause = error
    if recording is not None and cause is None:
        return recording
    with values_restored(recording.written if recording is not None else []):
        modules = record_modules(model, args, kwargs)
        if modules.failure is not None:
            return _part(model, recording or modules, modules.failure, _spread(args, kwargs))
        return _without_modes(model, args, kwargs, modules, _reason(cause))


def _without_modes(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], modules: Recording, cause: str
) -> Recording:
    """Record with torchview, or, where that fails too, return the recording of ``modules``."""
    try:
        recording = record_with_torchview(model, args, kwargs)
    except Exception as error:
        failure = error.__cause__ or error  # torchview wraps what it catches
        modules.warnings.append(
            "Only modules are shown, without the functions between them: neither function modes "
            f"({cause}) nor torchview ({_reason(failure)}) can follow this model."
        )
        return modules
    recording.warnings.append(f"Recorded with torchview: function modes cannot follow this model ({cause}).")
    return recording


def _spread(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return how else a single mapping or tuple may have been meant, in words; "" if it is none."""
    if kwargs or len(args) != 1 or not isinstance(args[0], (Mapping, tuple)):
        return ""
    kind, stars = ("mapping", "**") if isinstance(args[0], Mapping) else ("tuple", "*")
    return f" The {kind} was given as one argument; with {stars} before it, its items are the model's arguments."


def _part(model: nn.Module, recording: Recording, failure: Exception, hint: str) -> Recording:
    """Return what ran of a forward that raised, or, if nothing did, what would have."""
    where = described(stopped_in(failure, model), model)
    stopped = f"The forward stopped in {where} with {_reason(failure)}.{hint if isinstance(failure, TypeError) else ''}"
    if len(recording.events) < 2:  # the call of the model itself
        recording = registered_modules(model, failure)
        recording.warnings.append(
            f"{stopped} Nothing ran before: the graph shows the registered modules, without edges. Call trace(model, "
            "...) with the arguments that the model is called with."
        )
    else:
        recording.warnings.append(f"{stopped} The graph shows the part that ran until then.")
    recording.failure, recording.stopped = failure, stopped
    return recording


def _reason(error: BaseException | None) -> str:
    first = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {first[:200]}"
