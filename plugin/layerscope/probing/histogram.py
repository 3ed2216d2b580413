"""Exact histogram of tensors by sign and binary exponent: a table of counts that adds up over tensors and steps.

A floating-point number is sign, exponent and mantissa; the bits of sign and exponent, read as an integer, are already
the number of a bin (IEEE 754-2019, section 3.4). Counting them takes one shift and one ``bincount``: no range has to
be found first, no rounding is involved, and bins stay the same over layers and steps.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
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
    if values.dtype == torch.float64:
        codes = (values.view(torch.int64) >> 52) & 0xFFF
        return _fold(torch.bincount(codes, minlength=1 << 12), exponent_bits=11)
    codes = (values.view(torch.int32) >> 23) & 0x1FF
    return _fold(torch.bincount(codes, minlength=1 << 9), exponent_bits=8)


def _fold(counts: Tensor, *, exponent_bits: int) -> Tensor:
    """Add up counts by sign and exponent into the bins; the last, for NaN and infinities, is dropped."""
    bins = torch.from_numpy(_bin_of_code(exponent_bits)).to(counts.device)
    return counts.new_zeros(BINS + 1).scatter_add_(0, bins, counts)[:BINS]


@functools.cache
def _bin_of_code(exponent_bits: int) -> NDArray[np.int64]:
    """Return the bin of every code (sign bit, then biased exponent); ``BINS`` for NaN and infinities."""
    size = 1 << exponent_bits
    exponent = np.arange(size) - (size // 2 - 1)
    outwards = np.clip(exponent - LOWEST, -1, _PER_SIGN - 1) + 1  # 0 is the middle bin
    middle = _PER_SIGN
    bins = np.concatenate([middle + outwards, middle - outwards])
    bins[[size - 1, 2 * size - 1]] = BINS
    return bins
