"""Sums over pairs of tensors, of which distances, angles and ratios are made."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.probing.measuring import Measuring

_CPU_CHUNK = 1 << 16
_DEVICE_CHUNK = 1 << 24

_LEAST = 2.0**-80
"""Sum of squares in float32 below which some may have been lost: it is taken again in float64."""

DIFFERENCE, REFERENCE, PRODUCT, SQUARES = range(4)
"""Columns of ``Pairs.sums``: sums of squares of the difference and of the reference, of the products, of squares."""


class Pairs:
    """The sums of pairs of tensors, taken along by a measuring.

    Args:
        measuring: what brings numbers from accelerators.
        with_angle: sum the products, and the squares of the first, too; else they are 0.
    """

    def __init__(self, measuring: Measuring, *, with_angle: bool) -> None:
        self._measuring = measuring
        self._with_angle = with_angle
        self._places: list[list[int]] = []

    def add(self, tensor: Tensor, reference: Tensor) -> None:
        """Sum over a pair of tensors of one shape and device, of any types; neither is modified."""
        tensor, reference = tensor.detach(), reference.detach()
        if tensor.is_complex() or reference.is_complex():  # real and imaginary parts are elements
            wide = torch.promote_types(tensor.dtype, reference.dtype)
            tensor, reference = (torch.view_as_real(x.to(wide).resolve_conj()) for x in (tensor, reference))
        tensor, reference = tensor.reshape(-1), reference.reshape(-1)
        size = _CPU_CHUNK if tensor.device.type == "cpu" else _DEVICE_CHUNK
        totals: list[Tensor | float] = [0.0] * 4
        for a, b in zip(tensor.split(size), reference.split(size), strict=True) if tensor.numel() else ():
            wide = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
            a, b = a.to(wide), b.to(wide)
            difference = a - b
            sums: list[Tensor | float] = [_dot(difference, difference), _dot(b, b)]
            sums += [_dot(a, b), _dot(a, a)] if self._with_angle else [0.0, 0.0]
            totals = [total + more for total, more in zip(totals, sums, strict=True)]
        self._places.append([self._measuring.add_number(total) for total in totals])

    def sums(self) -> NDArray[np.float64]:
        """Return [pairs, 4], in the order in which they were added; waits for what is on its way."""
        numbers = np.array(self._measuring.numbers())
        return numbers[np.array(self._places, np.int64).reshape(-1, 4)]


def _dot(one: Tensor, other: Tensor) -> Tensor | float:
    if one.device.type != "cpu":
        return torch.dot(one.double(), other.double())
    product = float(torch.dot(one, other))
    if math.isfinite(product) and abs(product) >= _LEAST:
        return product
    return float(torch.dot(one.double(), other.double()))
