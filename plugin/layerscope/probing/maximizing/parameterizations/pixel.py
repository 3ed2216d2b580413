"""Inputs as their own values, within a fixed distance of the middle."""

from __future__ import annotations

import torch
from torch import Tensor

from layerscope.probing.maximizing.parameterizations.parameterization import Parameterization
from layerscope.probing.maximizing.views import STILL

_DEVIATION = 1 / 6
"""Root mean square of an input's distance from the middle, of a range of 1: three times that is the bound."""


class Pixel(Parameterization):
    """Inputs of one length: their values climb, and are scaled so that their norm stays the same.

    Erhan et al. 2009, "Visualizing Higher-Layer Features of a Deep Network", equation 1: the optimum of a unit among
    the inputs of one norm, here around the middle of the range, which for a linear unit is its weight. On images it
    shows noise rather than features.
    """

    learning_rate = 0.05
    views = STILL

    def start(self, generator: torch.Generator) -> Tensor:
        """Return values [colours, height, width] around 0."""
        return torch.randn(*self.shape, generator=generator)

    def render(self, coordinates: Tensor) -> Tensor:
        """Return the inputs, clipped to 0 to 1."""
        rms = coordinates.square().mean((1, 2, 3), keepdim=True).sqrt()
        return (0.5 + _DEVIATION * coordinates / rms.clamp_min(torch.finfo(rms.dtype).tiny)).clamp(0, 1)
