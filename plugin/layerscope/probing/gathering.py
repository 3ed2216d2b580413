"""Gathers numbers from all processes of a distributed training, without any of them waiting for another.

On connections of our own, so that nothing that goes wrong here is in the way of what training itself exchanges, and
over the CPU's network (Gloo), since an unfinished collective of NCCL keeps the whole GPU waiting. A gather runs on
Gloo's own threads; who began it looks from time to time whether it is done.

Gloo ends the process where two ranks give different numbers of bytes to one collective. So frames have one of two
sizes, each with connections of its own, and say in their first numbers what is in them: ranks that do not record the
same find that out, and say so.
"""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from layerscope.errors import RankError

CONNECT_SECONDS = 60
"""How long the first record waits for the other ranks to come to theirs. They have just left the same backward pass."""

_GATHER_TIMEOUT = timedelta(minutes=30)
"""After how long Gloo gives a gather up, as torch's default is for training. Nobody waits for that."""

_MOST_UNDER_WAY = 64
"""Gathers that may be under way: so far apart are no ranks that exchange their shards in every pass."""

_HEADER = 4
"""Numbers at the beginning of a frame: whether there is anything, the how-manieth it is, what it is, its length."""

_made = 0
"""How many connections were made so far, which is the same on all ranks."""


class Gathering:
    """A gather that is under way.

    Args:
        work: what torch calls it; None if there is but one rank.
        frames: where the frame of each rank arrives; none on ranks to which nothing goes.
        own: what this rank gave, which must stay in memory until the end.
    """

    def __init__(self, work: Any, frames: Sequence[torch.Tensor], own: torch.Tensor) -> None:
        self._work, self._frames, self._own = work, frames, own

    @property
    def done(self) -> bool:
        """Whether ``result()`` gives an answer at once."""
        return self._work is None or bool(self._work.is_completed())

    def result(self) -> list[NDArray[np.float64]]:
        """Return what each rank gave, empty on ranks to which nothing goes; waits until it is done.

        Raises:
            RankError: a rank has gone, or has given something else.
        """
        if self._work is not None:
            try:
                self._work.wait()
            except RuntimeError as error:
                raise RankError("another process is gone, does not answer, or has stopped recording") from error
        arrays: list[NDArray[np.float64]] = []
        expected = self._own.numpy()[:_HEADER]
        for rank, frame in enumerate(self._frames):
            header, numbers = frame.numpy()[:_HEADER], frame.numpy()[_HEADER:]
            if not header[0]:
                raise RankError(f"rank {rank} could not record")
            if not np.array_equal(header, expected):
                raise RankError(
                    f"rank {rank} has recorded something else. Every rank must make the same calls of its scope at the "
                    "same steps"
                )
            arrays.append(numbers[: int(header[3])])
        return arrays


class Connections:
    """Connections of all ranks, over which arrays of at most so many numbers are gathered.

    Every rank must make them at the same point of its program; they wait for each other there.

    Args:
        sizes: how many numbers go into a frame of each size, ascending.
        description: what all ranks must have in common.
        everyone: what is gathered goes to every rank, not to rank 0 alone.

    Raises:
        RankError: not every rank came here, or they have not the same in common.
    """

    def __init__(self, sizes: Sequence[int], description: str, *, everyone: bool) -> None:
        global _made  # noqa: PLW0603 - a property of the process, as its rank is
        self.largest = sizes[-1]
        """The most numbers that can be gathered at once."""
        self._everyone = everyone
        self._rank, self._ranks = dist.get_rank(), dist.get_world_size()
        self._count = 0
        self._under_way: list[Gathering] = []
        self._groups: dict[int, Any] = {}
        if self._ranks == 1:
            return
        # Private in torch, but the only way to the store without a group, which training would have to make, too.
        everywhere = dist.distributed_c10d._get_default_store()  # pyright: ignore[reportPrivateUsage]
        store = dist.PrefixStore(f"layerscope/{_made}", everywhere)
        self._meet(store, f"{sizes} {description}")
        for size in sizes:
            group = dist.ProcessGroupGloo(
                dist.PrefixStore(str(size), store), self._rank, self._ranks, timedelta(seconds=CONNECT_SECONDS)
            )
            self._groups[size] = group
            # Kept for ever unless ``close`` finds nothing under way: its destructor waits for the other ranks.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))
        _made += 1

    def _meet(self, store: Any, description: str) -> None:
        digest = str(zlib.crc32(description.encode()))
        store.set(str(self._rank), digest)
        names = [str(rank) for rank in range(self._ranks)]
        try:
            store.wait(names, timedelta(seconds=CONNECT_SECONDS))
        except RuntimeError:
            missing = [name for name in names if not store.check([name])]
            store.delete_key(str(self._rank))  # else others would think later that this rank is there
            raise RankError(
                f"rank {', '.join(missing)} did not record within {CONNECT_SECONDS} s. Where parameters are sharded, "
                "every rank must make a scope and the same calls of it"
            ) from None
        others = [rank for rank in names if store.get(rank).decode() != digest]
        if others:
            raise RankError(f"the model on rank {others[0]} has other parameters than that on rank {self._rank}")

    def gather(self, numbers: NDArray[np.float64], what: str) -> Gathering:
        """Begin to gather; ``what`` must be the same on all ranks.

        Raises:
            RankError: the other ranks have not answered for long.
        """
        self._under_way = [gathering for gathering in self._under_way if not gathering.done]
        if len(self._under_way) >= _MOST_UNDER_WAY:
            raise RankError(
                f"{_MOST_UNDER_WAY} records wait for another rank. Every rank must make the same calls of its scope at "
                "the same steps"
            )
        self._count += 1
        header = (1, self._count, zlib.crc32(what.encode()), len(numbers))
        size = min((size for size in self._groups if size >= len(numbers)), default=len(numbers))
        return self._begin(size, header, numbers)

    def leave(self) -> None:
        """Let the others know, with the next frame of each size, that nothing more comes from this rank."""
        for size in self._groups if self._rank else ():  # where rank 0 closes, their gathers end at once
            self._begin(size, (0, 0, 0, 0), np.zeros(0))

    def _begin(self, size: int, header: Sequence[float], numbers: NDArray[np.float64]) -> Gathering:
        frame = torch.zeros(_HEADER + size, dtype=torch.float64)
        frame[: _HEADER + len(numbers)] = torch.from_numpy(np.concatenate([np.array(header, np.float64), numbers]))
        group = self._groups.get(size)
        if group is None:
            return Gathering(None, [frame], frame)
        receives = self._everyone or self._rank == 0
        frames = [torch.empty_like(frame) for _ in range(self._ranks if receives else 0)]
        if self._everyone:
            options = dist.distributed_c10d.AllgatherOptions()
            options.timeout = _GATHER_TIMEOUT
            work = group.allgather([frames], [frame], options)
        else:
            options = dist.GatherOptions()
            options.rootRank, options.timeout = 0, _GATHER_TIMEOUT
            work = group.gather([frames] if receives else [], [frame], options)
        gathering = Gathering(work, frames, frame)
        self._under_way.append(gathering)
        return gathering

    def close(self) -> bool:
        """Give the connections up, unless something is under way; return whether they are."""
        if any(not gathering.done for gathering in self._under_way):
            return False
        self._under_way.clear()
        while self._groups:
            _, group = self._groups.popitem()
            ctypes.pythonapi.Py_DecRef(ctypes.py_object(group))
        return True
