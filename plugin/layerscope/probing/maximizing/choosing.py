"""What activation maximization takes where nobody chose: which layers, and images like those the model gets."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

from torch import nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.calls import input_tensors


class ImageOptions:
    """Size and range of the first images that are seen; what is probed tells more than what is traced."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        """For ``maximize``; empty until an image was seen."""
        self._probed = False

    def remember(self, inputs: Any, *, probe: bool = True) -> None:
        """Note the images in ``inputs``, if there are any; ``probe`` says that they were probed."""
        if "value_range" in self.options and (self._probed or not probe):
            return
        for tensor in input_tensors(inputs):
            if tensor.ndim != 4 or not tensor.is_floating_point() or not tensor.numel():
                continue
            self.options["input_shape"] = tuple(tensor.shape[1:])
            low, high = float(tensor.min()), float(tensor.max())
            if math.isfinite(low) and math.isfinite(high) and low < high:
                self.options["value_range"] = (low, high)
                self._probed = probe
            return


def telling_layers(model: nn.Module, executed: Set[str]) -> list[str]:
    """Return the first, the middle and the last convolution and the last linear layer.

    Args:
        model: the model.
        executed: qualified names of the modules that a forward pass called; empty if that is not known.

    Raises:
        InvalidArgumentError: there are none.
    """
    named = [(name, m) for name, m in model.named_modules() if name and (not executed or name in executed)]
    convolutions = [name for name, m in named if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d))]
    linears = [name for name, m in named if isinstance(m, nn.Linear)]
    chosen = [convolutions[i] for i in (0, len(convolutions) // 2, -1)] if convolutions else []
    layers = list(dict.fromkeys([*chosen, *linears[-1:]]))
    if not layers:
        raise InvalidArgumentError(
            "layers were left to be chosen among convolutions and linear layers, but the model calls none. "
            "Name some: maximize(step=step, layers=[...])."
        )
    return layers
