"""What of a tensor lies on this process of a distributed training, and what of it counts here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_alone: ContextVar[bool] = ContextVar("_alone", default=False)


@contextmanager
def alone() -> Iterator[None]:
    """Let this process record by itself in the block, as if there were no others; nothing may be in shards."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def own_rank() -> int:
    """Return the number of this process in a distributed training; 0 where there is none."""
    if _alone.get() or not dist.is_available():
        return 0
    if dist.is_initialized():
        return dist.get_rank()
    return int(os.environ.get("RANK", "0")) if dist.is_torchelastic_launched() else 0


def is_sharded(tensor: Tensor) -> bool:
    """Return whether a tensor is a DTensor: in shards, or replicas, on several processes."""
    module = sys.modules.get("torch.distributed.tensor")  # where it was not imported, there are none
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: Tensor) -> Tensor:
    """Return what of a tensor lies on this process: of a DTensor its shard or replica, else all of it."""
    if not is_sharded(tensor):
        return tensor
    with torch.no_grad():
        return tensor.to_local()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]


def counted(tensor: Tensor) -> Tensor:
    """Return what of a tensor counts on this process; over all of them, every element counts once.

    Of a replicated tensor the first replica counts, of one that is no DTensor that of rank 0. Partial sums are added
    up first, which takes a collective of the tensor's own process group; FSDP leaves none in gradients.
    """
    if not is_sharded(tensor):
        return tensor if own_rank() == 0 else tensor.detach().reshape(-1)[:0]
    sharded: Any = tensor
    if any(placement.is_partial() for placement in sharded.placements):
        from torch.distributed.tensor import Replicate

        placements = [Replicate() if placement.is_partial() else placement for placement in sharded.placements]
        with torch.no_grad():
            sharded = sharded.detach().redistribute(placements=placements)
    place = sharded.device_mesh.get_coordinate()
    counts = place is not None and not any(
        position and placement.is_replicate() for position, placement in zip(place, sharded.placements, strict=True)
    )
    return local(sharded) if counts else local(sharded).detach().reshape(-1)[:0]


def placed_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Return a copy of a tensor that lies as ``parameter`` does; of a whole one every process keeps its part."""
    if is_sharded(tensor) or not is_sharded(parameter):
        return tensor.detach().to(parameter.device, copy=True)
    from torch.distributed.tensor import distribute_tensor

    sharded: Any = parameter
    with torch.no_grad():
        whole = tensor.detach().to(parameter.device)
        placed = distribute_tensor(whole, sharded.device_mesh, sharded.placements, src_data_rank=None)
        return placed.detach().clone()
