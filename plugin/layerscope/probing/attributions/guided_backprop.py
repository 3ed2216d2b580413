"""Guided backpropagation: only paths along which every rectifier is excited, and for the target."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class GuidedBackprop(OnePassMethod):
    """Gradient that leaves out what is negative at each ReLU.

    Springenberg et al. 2014, "Striving for Simplicity: The All Convolutional Net", section 3.4. Every ReLU and ReLU6
    counts, be it a module, a function or in place. Of every layer's output and of the inputs. It shows sharp edges, but
    hardly depends on the target (Adebayo et al. 2018, "Sanity Checks for Saliency Maps"); in a network without
    rectifiers it is the gradient. Equals Captum's ``GuidedBackprop``.
    """

    @staticmethod
    def around() -> AbstractContextManager[Any]:
        """Return what guides the gradients."""
        return _Guiding()

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the guided gradient."""
        assert gradient is not None
        return gradient.clone()

    def at_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the guided gradient."""
        return gradient.clone()


_RECTIFIERS = (functional.relu, functional.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_, functional.relu6)


class _Guiding(TorchFunctionMode):
    """Lets no negative gradient into a rectifier; that none passes one that is off is the rectifier's own doing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        if (func in _RECTIFIERS or _is_relu6(func, args, kwargs)) and output.requires_grad:
            output.register_hook(lambda gradient: gradient.clamp(min=0))
        return output


def _is_relu6(func: Any, args: Any, kwargs: Any) -> bool:
    """Return whether this is the function that ``nn.ReLU6`` calls."""
    if func not in (functional.hardtanh, functional.hardtanh_):
        return False
    low = args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)
    high = args[2] if len(args) > 2 else kwargs.get("max_val", 1.0)
    return (low, high) == (0, 6)
