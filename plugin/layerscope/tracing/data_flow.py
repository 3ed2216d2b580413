"""Who made the tensor that is read here: data flow by tensor object and by storage.

A tensor has a *maker*: what returned it. Writing in place changes what other tensors of the same storage hold, too, so
writes are kept by storage: whoever reads a tensor reads its maker and every later write that overlaps it. No tensor is
kept alive.
"""

from __future__ import annotations

import weakref
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from layerscope.tracing.values import address

E = TypeVar("E")

_Geometry: TypeAlias = tuple[Any, ...]
"""(storage offset, shape, strides): which elements of its storage a tensor shows."""


class _Made(NamedTuple, Generic[E]):
    tensor: weakref.ref[torch.Tensor]
    makers: tuple[E, ...]
    time: int


class _Write(NamedTuple, Generic[E]):
    maker: E
    time: int
    first: int
    last: int
    dense: bool


class _Storage(Generic[E]):
    """What is known of one storage."""

    def __init__(self, reference: StorageWeakRef) -> None:
        self.reference = reference  # as long as it is held, no other storage gets the same address
        self.made: dict[_Geometry, tuple[tuple[E, ...], int]] = {}
        """Geometry -> (makers, time) of the tensors that were made in it, the latest last."""
        self.writes: dict[_Geometry, _Write[E]] = {}
        """The latest write to each geometry."""


class DataFlow(Generic[E]):
    """Remembers who made and who wrote which tensors, while a forward runs."""

    def __init__(self) -> None:
        self._made: dict[int, _Made[E]] = {}
        self._storages: dict[int, _Storage[E]] = {}
        self._time = 0

    def made(self, tensor: torch.Tensor, *makers: E) -> None:
        """Note that ``makers`` returned ``tensor``; more than one if it cannot be told which."""
        self._time += 1
        tensor = plain(tensor)
        self._made[id(tensor)] = _Made(weakref.ref(tensor), makers, self._time)
        storage = self._storage(tensor)
        if storage is not None:
            geometry = _geometry(tensor)
            storage.made.pop(geometry, None)  # the latest stands last
            storage.made[geometry] = makers, self._time

    def written(self, tensor: torch.Tensor, maker: E) -> None:
        """Note that ``maker``, which has read ``tensor``, changed its values in place."""
        self._time += 1
        tensor = plain(tensor)
        storage = self._storage(tensor)
        if storage is None:
            self._made[id(tensor)] = _Made(weakref.ref(tensor), (maker,), self._time)
            return
        first, last, dense = _span(tensor)
        write = _Write(maker, self._time, first, last, dense)
        if dense:
            storage.writes = {
                geometry: other
                for geometry, other in storage.writes.items()
                if not (first <= other.first and other.last <= last)
            }
        storage.writes[_geometry(tensor)] = write

    def makers(self, tensor: torch.Tensor) -> tuple[E, ...]:
        """Return who made what ``tensor`` holds now; empty if nobody is known."""
        tensor = plain(tensor)
        known = self._made.get(id(tensor))
        storage = self._storages.get(address(tensor))
        if known is not None and known.tensor() is tensor:
            makers, time = known.makers, known.time
        elif storage is None:
            return ()
        else:  # another object that shows the same elements, made out of sight, or the storage at least
            latest = next(reversed(storage.made.values()), ((), 0))
            makers, time = storage.made.get(_geometry(tensor), latest)
        if storage is None or not storage.writes:
            return makers
        return _after_writes(tensor, makers, time, storage)

    def _storage(self, tensor: torch.Tensor) -> _Storage[E] | None:
        place = address(tensor)
        if not place:
            return None
        if place not in self._storages:
            self._storages[place] = _Storage(StorageWeakRef(tensor.untyped_storage()))
        return self._storages[place]


def _after_writes(tensor: torch.Tensor, makers: tuple[E, ...], time: int, storage: _Storage[E]) -> tuple[E, ...]:
    first, last, _ = _span(tensor)
    geometry = _geometry(tensor)
    for place, write in sorted(storage.writes.items(), key=lambda item: item[1].time):
        if write.time > time and write.first < last and first < write.last:
            covers = place == geometry or (write.dense and write.first <= first and last <= write.last)
            makers = (
                (write.maker,) if covers else (*(maker for maker in makers if maker is not write.maker), write.maker)
            )
    return makers


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor inside the wrappers that ``torch.func`` transforms (``vmap``, ``grad``) put around it."""
    functorch = torch._C._functorch  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def _geometry(tensor: torch.Tensor) -> _Geometry:
    return tensor.storage_offset(), tensor.shape, tensor.stride()


def _span(tensor: torch.Tensor) -> tuple[int, int, bool]:
    """Return the first element of its storage that ``tensor`` shows, the one after the last, and if all between."""
    first = int(tensor.storage_offset())
    extent = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    elements = tensor.numel()
    return first, first + (int(extent) if elements else 0), extent == elements
