"""One forward pass as an observer runs it: own inputs, calm surroundings, errors that say where."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from layerscope.containment import contained
from layerscope.naming import LayerNames
from layerscope.tracing.recording import Value, spec
from layerscope.tracing.values import attribute_tensors, replaced


@contextmanager
def surroundings(model: nn.Module, *, grad: bool = False) -> Iterator[None]:
    """Contain ``model`` for the block, in evaluation mode and with nothing compiled; without gradients by default."""
    with contained(model), torch.set_grad_enabled(grad), warnings.catch_warnings():
        for message in _ABOUT_THE_OBSERVER:
            warnings.filterwarnings("ignore", message)
        yield


# What torch would warn the user of, though it is the observer who does it: hooks, and a forward without gradients.
_ABOUT_THE_OBSERVER = (
    r"Using `torch\.compile\(module\)` when there are global hooks",
    r"None of the inputs have requires_grad=True",
)


class Arguments:
    """The arguments of one forward pass with every tensor copied, so that nothing in place reaches the caller's.

    Tensors in objects that cannot be rebuilt are not copied, but put back at the end of the ``with`` block. A forward
    that takes ``use_cache`` gets ``use_cache=False`` unless it is told otherwise: a cache is no part of the structure.

    Args:
        model: its ``forward`` names the inputs.
        args: positional arguments.
        kwargs: keyword arguments.
        prepare: makes the tensor that the model gets from the copy.
    """

    def __init__(
        self,
        model: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        prepare: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor,
    ) -> None:
        if "use_cache" not in kwargs and "use_cache" in _parameters(model):
            kwargs = {**kwargs, "use_cache": False}
        self.inputs: list[tuple[Value, torch.Tensor]] = []
        """Every tensor with its name; one that is passed twice stays one tensor, and has two names."""
        self._foreign: list[tuple[torch.Tensor, torch.Tensor]] = []
        copies: dict[int, torch.Tensor] = {}

        def exchanged(tensor: torch.Tensor) -> torch.Tensor:
            if id(tensor) not in copies:
                copy = tensor.detach().clone().requires_grad_(tensor.requires_grad)
                copies[id(tensor)] = prepare(copy)
            return copies[id(tensor)]

        self.args: tuple[Any, ...] = tuple(replaced(arg, exchanged, fresh=True) for arg in args)
        self.kwargs: dict[str, Any] = {name: replaced(arg, exchanged, fresh=True) for name, arg in kwargs.items()}
        for name, tensor in attribute_tensors(_by_parameter(model, args, kwargs)):
            if id(tensor) not in copies:
                self._foreign.append((tensor, tensor.detach().clone()))
            self.inputs.append((Value(name, spec(tensor)), copies.get(id(tensor), tensor)))

    def __enter__(self) -> Arguments:
        return self

    def __exit__(self, *_: object) -> None:
        for tensor, values in self._foreign:
            if not tensor.is_meta and not torch.equal(tensor, values):
                tensor.data.copy_(values)


def _parameters(model: nn.Module) -> Iterable[str]:
    try:
        return inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return ()


def _by_parameter(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments under the names that ``forward`` gives them, in the order of its signature."""
    try:
        bound = inspect.signature(model.forward).bind(*args, **kwargs)
    except (TypeError, ValueError):  # no signature, or one that does not fit: the forward itself will say so
        return {**{str(index): arg for index, arg in enumerate(args)}, **kwargs}
    by_name: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        if bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            by_name.update(value)
        else:
            by_name[name] = value
    return by_name


def stopped_in(error: BaseException, model: nn.Module) -> nn.Module:
    """Return the innermost module in whose method ``error`` was raised; ``model`` if there is none."""
    module, traceback = model, error.__traceback__
    registered = {id(submodule): submodule for submodule in model.modules()}
    while traceback is not None:
        module = registered.get(id(traceback.tb_frame.f_locals.get("self")), module)
        traceback = traceback.tb_next
    return module


def described(module: nn.Module, model: nn.Module) -> str:
    """Return how an error calls ``module``: its layer key and class."""
    if module is model:
        return f"the model itself ({type(model).__name__})"
    return f"layer {LayerNames(model).name(module)!r} ({type(module).__name__})"
