"""Watches the module calls of a forward pass: every module, every call of it, under its layer key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils import _pytree as pytree
from torch.utils.hooks import RemovableHandle

from layerscope.containment import preserved
from layerscope.errors import CaptureError, LayerNotFoundError
from layerscope.naming import CallCounter, LayerNames

OnOutput = Callable[[str, nn.Module, Any], Any]
"""What to do with a layer's output: (layer key, module, output) -> None, or an output to go on with instead."""


@contextmanager
def watched(
    model: nn.Module, on_output: OnOutput, running: list[tuple[nn.Module, str]] | None = None
) -> Iterator[list[str]]:
    """Call ``on_output`` after every module call of a forward pass of ``model`` that runs in the block.

    Every module counts but the model itself, which counts if it has no submodules; modules that the model calls
    without having registered them (kept in a plain list, made on the fly) count too, and are put into evaluation mode
    and preserved like the others. A module's own forward hooks have run before ``on_output`` sees its output. Of a
    scripted module the inside is not seen.

    Args:
        model: the model.
        on_output: what to do with an output.
        running: an empty list; in the block it holds the module calls that are running, the innermost last. A call
            that ended in an exception, which the model caught, stays until the call around it ends.

    Yields:
        The layer keys, filled in order of execution; a module stands before what it encloses.
    """
    counter = CallCounter(LayerNames(model))
    registered = set(model.modules())
    model_counts = len(registered) == 1
    thread = threading.get_ident()
    hooks: dict[nn.Module, RemovableHandle] = {}
    preserving: set[nn.Module] = set()
    keys: list[str] = []
    running = [] if running is None else running

    def before(module: nn.Module, _: Any) -> None:
        if threading.get_ident() != thread or (module is model and not model_counts):
            return
        if module not in registered and module not in preserving:
            preserving.add(module)
            stack.enter_context(preserved(module, frozen=True))
        own = module._forward_hooks  # pyright: ignore[reportPrivateUsage]
        if own and module not in hooks and not isinstance(module, torch.jit.ScriptModule):
            hooks[module] = module.register_forward_hook(after)
        keys.append(counter.next(module).key)
        running.append((module, keys[-1]))

    def after(module: nn.Module, _: Any, output: Any) -> Any:
        while running:  # calls that ended in an exception, which the model caught, are still there: passed over
            called, key = running.pop()
            if called is module:
                return on_output(key, module, output)
        return None

    def after_any(module: nn.Module, inputs: Any, output: Any) -> Any:
        return None if module in hooks else after(module, inputs, output)

    with ExitStack() as stack:
        # General hooks reach unregistered modules too and cost the least, but come before a module's own. One that has
        # some (a scripted module never) gets ours when it is called, which is then behind them.
        general = register_module_forward_pre_hook(before), register_module_forward_hook(after_any)
        try:
            yield keys
        finally:
            for hook in (*general, *hooks.values()):
                hook.remove()


class Arguments(NamedTuple):
    """How a model is called: ``model(*args, **kwargs)``."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def _copy(tensor: Tensor) -> Tensor:
    return (tensor if tensor.is_inference() else tensor.detach()).clone()


def copied_arguments(inputs: Any, copy: Callable[[Tensor], Tensor] = _copy) -> Arguments:
    """Return the arguments for the model with every tensor copied, so that an in-place model spoils none of them.

    Args:
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments).
        copy: makes the copy of one tensor; called in the order of ``input_tensors``.
    """
    if isinstance(inputs, Mapping):
        arguments = Arguments((), dict(inputs))
    elif isinstance(inputs, tuple):
        arguments = Arguments(inputs, {})
    else:
        arguments = Arguments((inputs,), {})
    return Arguments(*pytree.tree_map_only(Tensor, copy, tuple(arguments)))


def input_tensors(inputs: Any) -> list[Tensor]:
    """Return the tensors in ``inputs``, in the order of ``copied_arguments``."""
    values = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]


def first_float_tensor(output: Any) -> Tensor | None:
    """Return the first floating-point tensor in what a module or a model returned, or None if there is none."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() else None
    if isinstance(output, Mapping):
        parts = list(output.values())
    elif isinstance(output, (tuple, list)):
        parts = list(output)
    elif is_dataclass(output):
        parts = [getattr(output, field.name) for field in fields(output)]
    else:
        parts = []
    return next((tensor for tensor in map(first_float_tensor, parts) if tensor is not None), None)


def layer_unavailable(model: nn.Module, layer: str, executed: list[str]) -> LayerNotFoundError | CaptureError:
    """Return the error that says why ``layer`` is not among the layer keys that a forward pass executed."""
    name = layer.rpartition("#")[0] or layer
    calls = [key for key in executed if key == name or key.startswith(f"{name}#")]
    if calls:
        return CaptureError(
            f"layer {layer!r} was asked for, but this forward pass made no such call of {name!r}. "
            f"Choose among {', '.join(map(repr, calls))}."
        )
    if layer in dict(model.named_modules()):
        return CaptureError(
            f"layer {layer!r} was asked for, but this forward pass did not call it, so it has no output. "
            f"Choose a layer that runs in evaluation mode; {len(executed)} did."
        )
    return LayerNotFoundError(layer, executed)
