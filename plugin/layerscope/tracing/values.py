"""Tensors inside nested values: arguments and results of models are lists, tuples, mappings and dataclasses of them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch

# To look at a recorded tensor is no operation on it: reading its shape would come back to torchview.
unrecorded = torch._C.DisableTorchFunctionSubclass  # pyright: ignore[reportPrivateUsage]


def tensors(value: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (path, tensor) for every tensor in ``value``, depth first; the path is made of keys, joined by dots.

    Looked into: tensors, lists, tuples, mappings and dataclasses. Any other object is left alone: to iterate a
    generator would consume it.
    """
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    for key, item in _items(value):
        yield from tensors(item, f"{path}.{key}" if path else str(key))


def replaced(value: Any, replace: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """Return ``value`` with ``replace(tensor)`` in place of every tensor.

    What holds no replaced tensor is returned as it is, the same object; a container that does is copied.
    """
    if isinstance(value, torch.Tensor):
        return replace(value)
    changed = {key: new for key, item in _items(value) if (new := replaced(item, replace)) is not item}
    if not changed:
        return value
    if isinstance(value, tuple):
        items = [changed.get(index, item) for index, item in enumerate(value)]
        if hasattr(value, "_fields"):
            return type(value)(*items)
        return type(value)(items)
    if isinstance(value, (MutableMapping, list)):
        container = copy.copy(value)
        for key, item in changed.items():
            container[key] = item
        return container
    if dataclasses.is_dataclass(value):
        instance = copy.copy(value)
        for key, item in changed.items():
            object.__setattr__(instance, key, item)  # also when it is frozen
        return instance
    return value  # an immutable mapping: cannot be rebuilt in general


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from list(value.items())
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if hasattr(value, field.name):
                yield field.name, getattr(value, field.name)
