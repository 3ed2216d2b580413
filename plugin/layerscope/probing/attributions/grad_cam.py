"""Grad-CAM: where a layer found what speaks for the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class GradCam(OnePassMethod):
    """Channels weighted by their mean gradient and added up (Selvaraju et al. 2017, "Grad-CAM", eqs. 1 and 2).

    The mean is over all positions, the sum over the channels, whose dimension stays with size 1: [batch, 1, height,
    width] for a convolution, [batch, tokens, 1] for a transformer (which dimension that is, ``layout.py`` says). An
    output without positions, [batch, features], gives the sum of gradient x output, [batch, 1]; one of [batch] alone
    the product. It defines nothing for the inputs. Equals Captum's ``LayerGradCam`` where channels are dimension 1.

    Args:
        relu: keep only what supports the target, as eq. 2 of the paper has it. By default, as in Captum, what opposes
            it stays, as negative values.
    """

    attributes_inputs: ClassVar[bool] = False

    relu: bool = False

    @property
    def signed(self) -> bool:
        """True unless ``relu`` cuts off what opposes."""
        return not self.relu

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the map, with the channels added up."""
        assert gradient is not None
        positions = [dim for dim in range(1, output.ndim) if dim != layer.channels]
        weights = gradient.mean(positions, keepdim=True) if positions else gradient
        cam = weights * output if layer.channels is None else _added(weights, output, layer.channels)
        return cam.relu() if self.relu else cam


def _added(weights: Tensor, output: Tensor, channels: int) -> Tensor:
    """Return the weighted sum of the channels, whose dimension stays.

    A matrix product, so that nothing as large as the output is made on the way.
    """
    if output.ndim < 3:  # no positions
        return (weights * output).sum(channels, keepdim=True)
    rows = output.movedim(channels, 1).flatten(2)
    found = weights.movedim(channels, 1).reshape(len(rows), 1, -1) @ rows
    sizes = [size for dim, size in enumerate(output.shape) if dim != channels]
    return found.reshape(sizes).unsqueeze(channels)
