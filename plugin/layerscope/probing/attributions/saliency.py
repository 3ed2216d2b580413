"""Saliency: how much the target changes with each element."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class Saliency(OnePassMethod):
    """Magnitude of the gradient (Simonyan et al. 2013, "Deep Inside Convolutional Networks", section 3.1).

    Of every layer's output and of the inputs, in their full shapes; the paper takes the largest of the colours, maps
    here take their sum. Equals Captum's ``Saliency``.

    Args:
        signed_gradient: keep the sign: positive where more of the element raises the target.
    """

    signed_gradient: bool = False

    @property
    def signed(self) -> bool:
        """False unless ``signed_gradient`` keeps the sign."""
        return self.signed_gradient

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the magnitude of the gradient."""
        assert gradient is not None
        return self.at_input(output, gradient)

    def at_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the magnitude of the gradient."""
        return gradient.clone() if self.signed_gradient else gradient.abs()
