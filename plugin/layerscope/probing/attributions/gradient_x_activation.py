"""Gradient x activation: how much each element of a layer's output contributes, to first order."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class GradientXActivation(OnePassMethod):
    """Output times gradient of the target with respect to it, in the full shape of the output.

    The first-order Taylor estimate of what the target loses if the element becomes zero. For the inputs it is
    gradient x input (Shrikumar et al. 2016, "Not Just a Black Box: Learning Important Features Through Propagating
    Activation Differences", section 2). Equals Captum's ``LayerGradientXActivation`` and ``InputXGradient``.
    """

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return output x gradient, of the shape of the output."""
        assert gradient is not None
        return output * gradient

    def at_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return input x gradient, of the shape of the input."""
        return value * gradient
