"""Exact histogram of tensors by sign and binary exponent: a table of counts that adds up over tensors, steps and ranks.

A floating-point number is sign, exponent and mantissa; the bits of sign and exponent, read as an integer, are already
the number of a bin (IEEE 754-2019, section 3.4). Counting them takes one shift and one ``bincount``: no range has to
be found first, no rounding is involved, and bins stay the same over layers and steps.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

LOWEST = -48
"""Exponent of the innermost bins: magnitudes below 2^-48, and zeros, are in the middle bin."""

HIGHEST = 15
"""Exponent of the outermost bins, which also hold every finite magnitude from 2^16 on."""

_PER_SIGN = HIGHEST - LOWEST + 1
BINS = 2 * _PER_SIGN + 1

_magnitudes = [2.0**exponent for exponent in range(LOWEST, HIGHEST + 1)] + [float(np.finfo(np.float32).max)]
EDGES: tuple[float, ...] = (*(-m for m in reversed(_magnitudes)), *_magnitudes)
"""130 ascending edges of the 129 bins. The outermost are the limits of float32, since JSON has no infinity.

A bin includes the edge that is nearer to zero: it holds 2^e <= |v| < 2^(e+1)."""


def histogram(values: Tensor) -> Tensor:
    """Return how many elements lie in each bin, int64 [129], on the device of ``values``.

    NaN and infinities are in no bin. The caller bounds memory by giving a chunk at a time.

    Args:
        values: one-dimensional and contiguous, float32 or float64.
    """
    return fold(torch.bincount(codes(values), minlength=code_count(values.dtype))[None])[0]


class Tally:
    """Counts chunks of float32 on the CPU into one histogram.

    Neighbours are counted in ``_LANES`` tables, which are added up at the end: where values are alike (as the zeros
    behind a ReLU) a single table would wait for each count before it can do the next.

    Args:
        size: elements of the largest chunk.
    """

    _LANES = 4

    def __init__(self, size: int) -> None:
        codes = code_count(torch.float32)
        lanes = torch.arange(size, dtype=torch.int32, device="cpu") % self._LANES
        self._offsets = lanes * codes + codes // 2  # a shifted negative number is -codes // 2 or more
        self._room = torch.empty(size, dtype=torch.int32, device="cpu")
        self._counts = torch.zeros(self._LANES * codes, dtype=torch.int64, device="cpu")

    def add(self, chunk: Tensor) -> None:
        """Count the elements of a chunk, one-dimensional and contiguous."""
        room, offsets = self._room[: len(chunk)], self._offsets[: len(chunk)]
        torch.bitwise_right_shift(chunk.view(torch.int32), 23, out=room)
        self._counts += torch.bincount(room.add_(offsets), minlength=len(self._counts))

    def take(self) -> Tensor:
        """Return the number of elements in each bin, int64 [129], and begin anew."""
        halves = self._counts.view(self._LANES, 2, -1).sum(0)
        self._counts.zero_()
        return fold(halves.flip(0).reshape(1, -1))[0]  # codes of negative numbers come first here


def code_count(dtype: torch.dtype) -> int:
    """Return how many codes values of ``dtype``, float32 or float64, can have."""
    return 1 << 12 if dtype == torch.float64 else 1 << 9


def codes(values: Tensor) -> Tensor:
    """Return sign bit and exponent of each element as one integer, ``0 <= code < code_count(dtype)``."""
    if values.dtype == torch.float64:
        return (values.view(torch.int64) >> 52) & 0xFFF
    return (values.view(torch.int32) >> 23) & 0x1FF


def fold(counts: Tensor) -> Tensor:
    """Add up counts by code [n, codes] into the bins [n, 129]; those of NaN and infinities are dropped."""
    bins = _bin_of_code(counts.shape[1], counts.device)
    return counts.new_zeros(len(counts), BINS + 1).index_add_(1, bins, counts)[:, :BINS]


@functools.cache
def _bin_of_code(count: int, device: torch.device) -> Tensor:
    """Return the bin of every code (sign bit, then biased exponent); ``BINS`` for NaN and infinities."""
    size = count // 2
    exponent = np.arange(size) - (size // 2 - 1)
    outwards = np.clip(exponent - LOWEST, -1, _PER_SIGN - 1) + 1  # 0 is the middle bin
    middle = _PER_SIGN
    bins = np.concatenate([middle + outwards, middle - outwards])
    bins[[size - 1, 2 * size - 1]] = BINS
    return torch.from_numpy(bins).to(device, non_blocking=True)
