"""What kind of input climbs, and how a model is given it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.maximizing.parameterizations.parameterization import Shape

_DEFAULT_SIDE = 128
"""Height and width of the images if no shape is given, in pixels."""


@dataclass(frozen=True)
class Form:
    """How inputs of one kind are drawn as pictures [pictures, colours, height, width] and given to a model."""

    modality: str
    """``image``, ``time_series`` or ``table``."""
    sample: tuple[int, ...]
    """Shape of one sample, as the model is given it."""
    value_range: tuple[float, float]
    """What the model is given for 0 and for 1."""
    time_first: bool = False
    """Of a time series: [time, variables] instead of [variables, time]."""

    @property
    def shape(self) -> Shape:
        """The shape of a picture."""
        if self.modality == "image":
            colours, height, width = self.sample
            return colours, height, width
        if self.modality == "table":
            return self.sample[0], 1, 1
        first, last = self.sample
        return (last, 1, first) if self.time_first else (first, 1, last)

    def model_input(self, pictures: Tensor, like: Tensor, *, channels_last: bool = False) -> Tensor:
        """Return what the model is given for pictures, in the floating-point type of ``like``."""
        low, high = self.value_range
        values = (low + (high - low) * pictures).to(like.dtype)
        if self.modality == "image":
            return values.contiguous(memory_format=torch.channels_last) if channels_last else values
        if self.modality == "table":
            return values[:, :, 0, 0]
        return values[:, :, 0].mT if self.time_first else values[:, :, 0]

    def found(self, pictures: Tensor) -> NDArray[np.float32]:
        """Return pictures for people: [pictures, height, width, colours], [.., time, variables] or [.., features]."""
        array: NDArray[np.float32] = pictures.detach().movedim(1, -1).float().cpu().numpy()
        if self.modality == "image":
            return array
        return array[:, 0, 0] if self.modality == "table" else array[:, 0]


def form_of(
    model: nn.Module, given: Sequence[int] | None, value_range: tuple[float, float], time_first: bool | None
) -> Form:
    """Return the form of the inputs of a model.

    Args:
        model: the model.
        given: the shape of one sample; None takes images of 128 x 128 pixels with as many colours as the first 2-D
            convolution takes.
        value_range: what the model is given for 0 and for 1.
        time_first: of a time series; None says that time comes last if the model holds a 1-D convolution.

    Raises:
        InvalidArgumentError: the shape cannot be inferred, or is none.
    """
    if given is None:
        convolution = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        if convolution is None:
            raise InvalidArgumentError(
                "the shape of the inputs is inferred from the model's first 2-D convolution, but it has none. Give "
                "input_shape=(colours, height, width) for images, (variables, time) or (time, variables) for signals, "
                "(features,) for rows of a table; or inputs=, a sample, for a model of tokens."
            )
        return Form("image", (convolution.in_channels, _DEFAULT_SIDE, _DEFAULT_SIDE), value_range)
    sample = tuple(int(size) for size in given)
    if not 1 <= len(sample) <= 3 or min(sample) < 1:
        raise InvalidArgumentError(
            "input_shape must be (colours, height, width), (variables, time), (time, variables) or (features,), each "
            f"at least 1, but it is {sample}."
        )
    if len(sample) == 2 and time_first is None:
        time_first = not any(isinstance(module, nn.Conv1d) for module in model.modules())
    return Form(("table", "time_series", "image")[len(sample) - 1], sample, value_range, bool(time_first))
