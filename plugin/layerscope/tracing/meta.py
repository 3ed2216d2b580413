"""Models of any size without their weights: copies whose tensors are empty tensors of the meta device."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from layerscope.errors import TraceError
from layerscope.module_state import ModuleState
from layerscope.tracing.values import replaced, tensors


def on_meta(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[nn.Module, tuple[Any, ...], dict[str, Any]]:
    """Return ``model`` and its arguments so that both are on the meta device if either is.

    The model itself is never moved: one with values is copied, with an empty tensor in the place of each of its own.
    """
    given = any(tensor.is_meta for _, tensor in tensors((args, kwargs)))
    empty = any(tensor.is_meta for tensor in _tensors_of(model))
    if given and not empty:
        model = empty_copy(model)
    if empty and not given:
        args, kwargs = (replaced(value, lambda tensor: tensor.to("meta")) for value in (args, kwargs))
    return model, args, kwargs


def empty_copy(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` whose tensors, tied ones too, are on the meta device and take no memory."""
    memo: dict[int, Any] = {}
    for tensor in _tensors_of(model):
        if id(tensor) not in memo:
            empty = torch.empty_like(tensor, device="meta")
            parameter = isinstance(tensor, nn.Parameter)
            memo[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if parameter else empty
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        raise TraceError(
            f"inputs on the meta device trace a copy of the model, but {type(model).__name__} cannot be copied "
            f"({type(error).__name__}: {error}). Build the model itself on meta (with torch.device('meta'): ...), or "
            "give inputs with values."
        ) from error


def _tensors_of(model: nn.Module) -> Iterator[torch.Tensor]:
    for module in ModuleState(model).modules:
        yield from module.parameters(recurse=False)
        yield from module.buffers(recurse=False)
        for _, tensor in tensors(vars(module)):
            yield tensor
