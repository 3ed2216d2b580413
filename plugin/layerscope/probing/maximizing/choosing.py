"""What activation maximization takes where nobody chose: which layers, and images like those the model gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

import torch
from torch import nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.calls import input_tensors
from layerscope.probing.describing import Tokens, spelling

_LONGEST_SIDE = 128
"""Of the images that climb where nobody chose, in pixels; probed ones may be larger."""


class Probed:
    """What the model was last given: size and range of its images, and the samples to measure made-up ones by."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}
        """For ``maximize``; empty until an image (or a signal, or the rows of a table) was seen."""
        self.inputs: Any = None
        """The samples that were probed last; None until some were."""
        self.samples = "probe"
        """The name of their probe set."""
        self.smaller: tuple[int, ...] | None = None
        """A shape of less pixels than the images have, for models that take any; None if they are small."""
        self._probed = False
        self._spelling: Callable[[int], str] = "#{}".format

    @property
    def of_tokens(self) -> bool:
        """Whether the samples that were probed last are tokens: their first tensor is integers [samples, length]."""
        tensors = input_tensors(self.inputs) if self.inputs is not None else []
        return bool(tensors) and tensors[0].ndim == 2 and not tensors[0].is_floating_point()

    def spell(self, tokens: Tokens) -> None:
        """Note how to make words of the numbers of tokens; see ``describing.Tokens``."""
        numbers = input_tensors(self.inputs)[0].tolist() if self.of_tokens else []
        self._spelling = spelling(tokens, numbers)

    def words(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """Return the words of some numbers."""
        return tuple(map(self._spelling, numbers))

    def remember(self, inputs: Any, *, probe: bool = True, samples: str = "probe") -> None:
        """Note what is told by ``inputs``; ``probe`` says that they were probed: that tells more than a trace."""
        if probe:
            self.inputs, self.samples = inputs, samples
        if "value_range" in self.options and (self._probed or not probe):
            return
        tensors = input_tensors(inputs)
        if not tensors or not tensors[0].is_floating_point() or not 2 <= tensors[0].ndim <= 4:
            return
        tensor = tensors[0]
        self.options["input_shape"] = tuple(tensor.shape[1:])
        self.smaller = _smaller(tuple(tensor.shape[1:]))
        finite = tensor.detach()[torch.isfinite(tensor)]
        low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
        if low < high:
            self.options["value_range"] = (low, high)
            self._probed = probe


def _smaller(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    if len(shape) != 3 or max(shape[1:]) <= _LONGEST_SIDE:
        return None
    factor = _LONGEST_SIDE / max(shape[1:])
    return shape[0], *(max(1, round(side * factor)) for side in shape[1:])


def telling_layers(model: nn.Module, executed: Set[str]) -> list[str]:
    """Return the first, the middle and the last convolution (or else linear layer), and the last linear layer.

    Args:
        model: the model.
        executed: qualified names of the modules that a forward pass called; empty if that is not known.

    Raises:
        InvalidArgumentError: there are none.
    """
    named = [(name, m) for name, m in model.named_modules() if name and (not executed or name in executed)]
    convolutions = [name for name, m in named if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d))]
    linears = [name for name, m in named if isinstance(m, nn.Linear)]
    first = convolutions or linears
    chosen = [first[i] for i in (0, len(first) // 2, -1)] if first else []
    layers = list(dict.fromkeys([*chosen, *linears[-1:]]))
    if not layers:
        raise InvalidArgumentError(
            "layers were left to be chosen among convolutions and linear layers, but the model calls none. "
            "Name some: maximize(step=step, layers=[...])."
        )
    return layers
