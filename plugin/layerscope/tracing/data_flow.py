"""Who made the tensor that is read here: data flow by tensor object and by storage.

A tensor has a *maker*: what returned it. Writing in place changes what other tensors of the same storage hold, too, so
writes are kept by storage: whoever reads a tensor reads its maker and every later write that overlaps it. No tensor is
kept alive.
"""

from __future__ import annotations

import weakref
from typing import Generic, NamedTuple, TypeVar

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from layerscope.tracing.region import Region
from layerscope.tracing.values import address

E = TypeVar("E")


class _Made(NamedTuple, Generic[E]):
    tensor: weakref.ref[torch.Tensor]
    makers: tuple[E, ...]
    time: int


class _Storage(Generic[E]):
    """What is known of one storage."""

    def __init__(self, reference: StorageWeakRef) -> None:
        self.reference = reference  # as long as it is held, no other storage gets the same address
        self.made: dict[Region, tuple[tuple[E, ...], int]] = {}
        """Elements -> (makers, time) of the tensors that were made in it, the latest last."""
        self.writes: dict[Region, tuple[E, int]] = {}
        """Elements -> (maker, time) of the latest write to them."""


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
            region = Region.of(tensor)
            storage.made.pop(region, None)  # the latest stands last
            storage.made[region] = makers, self._time

    def written(self, tensor: torch.Tensor, maker: E) -> None:
        """Note that ``maker``, which has read ``tensor``, changed its values in place."""
        self._time += 1
        tensor = plain(tensor)
        storage = self._storage(tensor)
        if storage is None:
            self._made[id(tensor)] = _Made(weakref.ref(tensor), (maker,), self._time)
            return
        region = Region.of(tensor)
        if region.dense:
            storage.writes = {other: write for other, write in storage.writes.items() if not region.covers(other)}
        storage.writes[region] = maker, self._time

    def makers(self, tensor: torch.Tensor, part: torch.Tensor | None = None) -> tuple[E, ...]:
        """Return who made what ``tensor`` holds now; empty if nobody is known.

        Args:
            tensor: what is read.
            part: a view of it, if only that is.
        """
        tensor = plain(tensor)
        known = self._made.get(id(tensor))
        storage = self._storages.get(address(tensor))
        if known is not None and known.tensor() is tensor:
            makers, time = known.makers, known.time
        elif storage is None:
            return ()
        else:
            makers, time = _made_out_of_sight(tensor, storage)
        if storage is None or not storage.writes:
            return makers
        return _after_writes(Region.of(tensor if part is None else plain(part)), makers, time, storage)

    def _storage(self, tensor: torch.Tensor) -> _Storage[E] | None:
        place = address(tensor)
        if not place:
            return None
        if place not in self._storages:
            self._storages[place] = _Storage(StorageWeakRef(tensor.untyped_storage()))
        return self._storages[place]


def _made_out_of_sight(tensor: torch.Tensor, storage: _Storage[E]) -> tuple[tuple[E, ...], int]:
    """Return makers and time of the tensor that shows the same elements, or else of the latest that shares some."""
    region = Region.of(tensor)
    if region in storage.made:
        return storage.made[region]
    return next((made for other, made in reversed(storage.made.items()) if region.overlaps(other)), ((), 0))


def _after_writes(region: Region, makers: tuple[E, ...], time: int, storage: _Storage[E]) -> tuple[E, ...]:
    for written, (maker, when) in sorted(storage.writes.items(), key=lambda item: item[1][1]):
        if when > time and written.overlaps(region):
            covers = written == region or (written.dense and written.covers(region))
            makers = (maker,) if covers else (*(other for other in makers if other is not maker), maker)
    return makers


def plain(tensor: torch.Tensor) -> torch.Tensor:
    """Return the tensor inside the wrappers that ``torch.func`` transforms (``vmap``, ``grad``) put around it."""
    functorch = torch._C._functorch  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    while functorch.is_functorch_wrapped_tensor(tensor):
        tensor = functorch.get_unwrapped(tensor)
    return tensor
