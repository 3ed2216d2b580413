"""The processes that replay together: what each has recorded goes to rank 0, and what fails on one ends all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch.distributed as dist

from layerscope.errors import RankError

T = TypeVar("T")


class Team:
    """The processes of a distributed run, or this one alone.

    Args:
        group: their process group, on Gloo; None if this is the only one.
    """

    def __init__(self, group: Any = None) -> None:
        self._group = group
        self.rank = 0 if group is None else dist.get_rank(group)
        self.size = 1 if group is None else dist.get_world_size(group)

    def gather(self, value: T) -> list[T]:
        """Return on rank 0 the values of all ranks, in their order; on the others nothing."""
        if self._group is None:
            return [value]
        values: Any = [None] * self.size if self.rank == 0 else None
        dist.gather_object(value, values, dst=0, group=self._group)
        return values or []

    @contextmanager
    def alike(self) -> Iterator[None]:
        """Run what every rank comes to: if it fails on one, all raise.

        Raises:
            RankError: it failed on another rank.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        told: list[str | None] = [None] * self.size
        if self._group is not None:
            mine = None if failure is None else f"{type(failure).__name__}: {failure}"
            dist.all_gather_object(told, mine, group=self._group)
        if failure is not None:
            raise failure
        for rank, said in enumerate(told):
            if said is not None:
                raise RankError(f"rank {rank} failed, so rank {self.rank} does not go on either: {said}")


@contextmanager
def team() -> Iterator[Team]:
    """Yield the processes that this one is among.

    Those of the process group that there is; or else those that ``torchrun`` started, for which a process group is made
    for the time of the block.
    """
    available = dist.is_available()
    made = available and not dist.is_initialized() and dist.is_torchelastic_launched()
    if made:
        dist.init_process_group("gloo")
    try:
        if not available or not dist.is_initialized() or dist.get_world_size() == 1:
            yield Team()
        else:
            group: Any = dist.new_group(
                backend="gloo"
            )  # of its own: objects on the CPU, whatever the training talks with
            try:
                yield Team(group)
            finally:
                dist.destroy_process_group(group)
    finally:
        if made:
            dist.destroy_process_group()
