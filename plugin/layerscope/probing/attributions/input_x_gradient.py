"""Input x gradient: how much each element of the input contributes, to first order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class InputXGradient(OnePassMethod):
    """Input times gradient, of the inputs alone (Shrikumar et al. 2016, "Not Just a Black Box", section 2).

    ``gradient_x_activation`` says the same of the inputs, and of every layer too. Equals Captum's ``InputXGradient``.
    """

    attributes_layers: ClassVar[bool] = False

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Not called: it says nothing of layers."""
        raise NotImplementedError

    def at_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return input x gradient, of the shape of the input."""
        return value * gradient
