"""The output of each layer itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class Activation(OnePassMethod):
    """Each layer's output, in its full shape: what the layer found, whether or not the target used it.

    Not an attribution in the strict sense; positive and negative mean the sign of the output. It defines nothing for
    the inputs. Equals Captum's ``LayerActivation``.
    """

    needs_gradient: ClassVar[bool] = False
    attributes_inputs: ClassVar[bool] = False

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the output."""
        return output.clone()
