"""Tensors inside nested values: arguments and results of models are lists, tuples, mappings and dataclasses of them."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

import torch

# To look at a tensor is no operation on it: reading its shape would come back to the recorder.
unrecorded = torch._C.DisableTorchFunction  # pyright: ignore[reportPrivateUsage]

# A list of numbers may be long, and holds no tensors.
_LONG = 32
_NUMBERS = frozenset((int, float, bool, complex, str, type(None)))


def found(value: Any) -> list[torch.Tensor]:
    """Return the tensors in the arguments or the result of a function: in tuples, lists, dicts and slices."""
    tensors: list[torch.Tensor] = []
    _collect(value, tensors)
    return tensors


def _collect(value: Any, into: list[torch.Tensor]) -> None:
    if isinstance(value, torch.Tensor):
        into.append(value)
    elif isinstance(value, (tuple, list)):
        if len(value) < _LONG or not _NUMBERS.issuperset(map(type, value)):
            for item in value:
                _collect(item, into)
    elif isinstance(value, dict):
        for item in value.values():
            _collect(item, into)
    elif isinstance(value, slice):
        _collect((value.start, value.stop, value.step), into)


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


def attribute_tensors(value: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (path, tensor) as ``tensors`` does, and for the tensors in attributes of other objects, too.

    Private attributes leave no trace in the path: ``data.x``, not ``data._store.x``. Modules and classes are not
    looked into.
    """
    yield from _attribute_tensors(value, path, set(), 0)


_DEEPEST = 8


def _attribute_tensors(value: Any, path: str, seen: set[int], depth: int) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    if id(value) in seen or depth > _DEEPEST or isinstance(value, (torch.nn.Module, type)) or callable(value):
        return
    seen.add(id(value))  # objects may refer to each other in circles
    items = list(_items(value))
    if not items and not isinstance(value, (Mapping, list, tuple, str, bytes)):
        items = list(getattr(value, "__dict__", {}).items())
    for key, item in items:
        name = "" if str(key).startswith("_") else str(key)
        yield from _attribute_tensors(item, ".".join(filter(None, (path, name))), seen, depth + 1)


def address(tensor: torch.Tensor) -> int:
    """Return what tensors that share memory have in common; 0 for those without strided memory (sparse, nested)."""
    if tensor.layout is not torch.strided or tensor.is_nested:
        return 0
    try:
        return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage]
    except (RuntimeError, NotImplementedError):
        return 0


def replaced(value: Any, replace: Callable[[torch.Tensor], torch.Tensor], *, fresh: bool = False) -> Any:
    """Return ``value`` with ``replace(tensor)`` in place of every tensor.

    What holds no replaced tensor is returned as it is, the same object; a container that does is copied. With
    ``fresh``, every list, dict and set is: whoever changes it does not change the original.
    """
    if isinstance(value, torch.Tensor):
        return replace(value)
    changed = {key: new for key, item in _items(value) if (new := replaced(item, replace, fresh=fresh)) is not item}
    if not changed:
        return copy.copy(value) if fresh and isinstance(value, (list, dict, set)) else value
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
        if len(value) < _LONG or not _NUMBERS.issuperset(map(type, value)):
            yield from enumerate(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if hasattr(value, field.name):
                yield field.name, getattr(value, field.name)
