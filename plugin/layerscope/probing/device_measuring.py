"""Measures tensors that lie on an accelerator: there, without waiting for it, in a number of kernels that is bounded.

Tensors are copied together into rows of one width, each beginning on a row of its own; what is left of its last row is
padding. Rows are reduced at once, whatever tensor they belong to, and then the rows of each tensor are. One small
array goes back to the host, asynchronously, into pinned memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.probing.histogram import BINS, code_count, codes, fold

_WIDTH = 1 << 10
_TOGETHER = 1 << 24
"""Elements that are copied together; a larger tensor goes in pieces."""


@dataclass(frozen=True)
class Transfer:
    """Numbers that are on their way from one device to the host, all of them in one copy."""

    _shapes: Sequence[torch.Size]
    _host: Tensor
    _event: Any
    """What tells that they have arrived; None if the copy was synchronous."""

    @property
    def arrived(self) -> bool:
        """Whether ``result()`` need not wait."""
        return self._event is None or bool(self._event.query())

    def result(self) -> list[NDArray[np.float64]]:
        """Return the arrays that were sent, after waiting for them."""
        if self._event is not None:
            self._event.synchronize()
        parts = self._host.split([shape.numel() for shape in self._shapes])
        return [part.view(shape).numpy() for part, shape in zip(parts, self._shapes, strict=True)]


def send(tensors: Sequence[Tensor]) -> Transfer:
    """Begin to copy float64 tensors of one device to the host, together and without waiting."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    shapes = [tensor.shape for tensor in tensors]
    if flat.device.type != "cuda":
        return Transfer(shapes, flat.cpu(), None)
    host = torch.empty(flat.shape, dtype=flat.dtype, device="cpu", pin_memory=True)
    host.copy_(flat, non_blocking=True)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(flat.device))
    return Transfer(shapes, host, event)


def pack_all(tensors: Sequence[tuple[int, Tensor]], *, with_histogram: bool) -> list[tuple[list[int], Tensor]]:
    """Measure tensors of one dimension, with at least one element each, on the devices that they lie on.

    Returns:
        (number of the set of each row, float64 [rows, 9 or 9 + 129] as ``pack`` gives it). A large tensor goes in
        pieces: then several rows are of one set.
    """
    pieces = ((i, piece) for i, flat in tensors for piece in flat.split(_TOGETHER))
    return [
        ([i for i, _ in group], pack([piece for _, piece in group], with_histogram=with_histogram))
        for group in _grouped(pieces)
    ]


def pack(flats: Sequence[Tensor], *, with_histogram: bool) -> Tensor:
    """Return float64 [tensors, 9 or 9 + 129]: moments, as in ``FIELDS``, and histogram of each tensor, on its device.

    Args:
        flats: of one dimension, with at least one element each, on one device, of one floating-point type.
        with_histogram: append the histogram.
    """
    rows, owner, padding = _rows(flats)
    last = _sent(np.cumsum([-(-len(flat) // _WIDTH) for flat in flats]) - 1, rows.device)
    count = _sent(np.array([len(flat) for flat in flats], np.float64), rows.device)

    def by_tensor(values: Tensor) -> Tensor:
        return values.new_zeros(len(flats)).index_add_(0, owner, values)

    total = by_tensor(rows.sum(1, dtype=torch.float64))
    squares = by_tensor(torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square())
    mean = total / count
    low, high = rows.amin(1), rows.amax(1)
    beyond = torch.arange(_WIDTH, device=rows.device) >= (_WIDTH - padding)[:, None]
    ends = rows[last]
    low[last] = ends.masked_fill(beyond, torch.inf).amin(1)
    high[last] = ends.masked_fill(beyond, -torch.inf).amax(1)
    low = low.new_full((len(flats),), torch.inf).scatter_reduce_(0, owner, low, "amin")
    high = high.new_full((len(flats),), -torch.inf).scatter_reduce_(0, owner, high, "amax")
    zeros = by_tensor((rows == 0).sum(1)) - padding
    nans, infs = by_tensor(rows.isnan().sum(1)), by_tensor(rows.isinf().sum(1))
    # Around the rounded mean, so that a large mean does not drown a small deviation.
    centred = rows.sub_(mean.to(rows.dtype)[owner][:, None])
    centred[last] = centred[last].masked_fill(beyond, 0.0)
    deviation = by_tensor(torch.linalg.vector_norm(centred, dim=1, dtype=torch.float64).square())
    deviation -= by_tensor(centred.sum(1, dtype=torch.float64)).square() / count
    columns = [count, mean, deviation, squares, low, high, zeros, nans, infs]
    numbers = torch.stack([column.double() for column in columns], dim=1)
    if not with_histogram:
        return numbers
    counts = torch.stack([_histogram(flat) for flat in flats])
    return torch.cat([numbers, counts.double()], dim=1)


def _grouped(tensors: Iterable[tuple[int, Tensor]]) -> Iterator[list[tuple[int, Tensor]]]:
    """Yield tensors that can be measured together: on one device, of one type, and not too many."""
    groups: dict[tuple[torch.device, torch.dtype], list[tuple[int, Tensor]]] = {}
    for item in tensors:
        group = groups.setdefault((item[1].device, item[1].dtype), [])
        if group and sum(len(flat) for _, flat in group) + len(item[1]) > _TOGETHER:
            yield group.copy()
            group.clear()
        group.append(item)
    yield from (group for group in groups.values() if group)


def _rows(flats: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows [n, width], the tensor that each belongs to [n], and how many zeros pad each tensor [tensors]."""
    device, dtype = flats[0].device, flats[0].dtype
    lengths = np.array([len(flat) for flat in flats])
    needed = -(-lengths // _WIDTH)
    padding = needed * _WIDTH - lengths
    zeros = torch.zeros(_WIDTH, dtype=dtype, device=device)
    parts = [part for flat, pad in zip(flats, padding.tolist(), strict=True) for part in (flat, zeros[:pad])]
    rows = torch.cat(parts).view(-1, _WIDTH)
    if dtype.itemsize < 4:
        rows = rows.float()  # exact; half precision knows few operations
    return rows, _sent(np.repeat(np.arange(len(flats)), needed), device), _sent(padding, device)


def _sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return a copy on the device. Not ``torch.tensor(..., device=device)``, which waits for the device."""
    return torch.from_numpy(array).to(device, non_blocking=True)


def _histogram(flat: Tensor) -> Tensor:
    """Return the counts [129] of one tensor. Not ``bincount``, which waits for the device to learn the largest code."""
    if flat.dtype.itemsize < 4:
        flat = flat.float()
    size = code_count(flat.dtype)
    counted = torch.zeros(BINS, dtype=torch.int64, device=flat.device)
    for chunk in flat.split(_TOGETHER):  # counts in float32 are exact up to 2^24
        counts = torch.histc(codes(chunk).float(), bins=size, min=-0.5, max=size - 0.5)
        counted += fold(counts.long()[None])[0]
    return counted
