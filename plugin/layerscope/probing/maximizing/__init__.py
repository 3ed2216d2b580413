"""Activation maximization: images that a channel of a layer responds to most, found by gradient ascent.

``parameterization.py`` says what an image is made of, ``transforms.py`` how it is looked at, ``objective.py`` what is
maximized and ``ascent.py`` how.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerscope.containment import contained, original
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.maximizing.ascent import Ascent

__all__ = ["Maximization", "maximize"]

_DEFAULT_SIDE = 128
"""Height and width of the images if no shape is given, in pixels."""

_LEAST_SIDE_TO_TRANSFORM = 32
"""Smaller images are looked at as they are, in pixels."""

_TOGETHER = 32
"""How many channels climb as one batch, to bound memory."""


@dataclass(frozen=True)
class Maximization:
    """Images that maximize channels of one layer."""

    layer: str
    channels: tuple[int, ...]
    images: NDArray[np.float32]
    """[channels, height, width, colours] in 0 to 1."""
    objective: NDArray[np.float32]
    """[channels, steps]: the mean of the channel over its positions before each step, as the model saw the image."""


def maximize(
    model: nn.Module,
    *,
    layer: str,
    channels: Sequence[int] | int | str,
    input_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    steps: int = 64,
    seed: int = 0,
    learning_rate: float = 0.1,
    transforms: bool | None = None,
) -> Maximization:
    """Return, for each channel, an image on which the channel's mean over its positions is large.

    Olah et al. 2017, "Feature Visualization", Distill: Adam on a spectrum scaled by 1/frequency and on decorrelated
    colours, seen through small random shifts, zooms and rotations. The model runs in evaluation mode, up to the
    layer, and is left as it was found. The same seed gives the same image, whichever other channels are asked for,
    up to the rounding of batched arithmetic. A channel that is 0 on the grey start, as a ReLU's output can be, has no
    gradient there, so its image stays grey: prefer the layer before it.

    Args:
        model: takes a batch of images [batch, colours, height, width]; a compiled one is run through its original.
        layer: layer key (``conv1``, or ``relu#1`` for the second call). A unit of a linear layer is a channel.
        channels: indices of channels, ``"all"``, or a number: the first so many (all, if the layer has fewer).
        input_shape: (colours, height, width). None takes the input channels of the model's first 2-D convolution,
            at 128 x 128 pixels.
        value_range: the inputs of the model that 0 and 1 of an image stand for.
        steps: steps of ascent.
        seed: of the start and the transforms; the process's random states are not touched.
        learning_rate: of Adam, on the spectrum.
        transforms: look at the image shifted, scaled and rotated a little, anew in each step. None does so for images
            of at least 32 pixels a side: of smaller ones the resampling would blur away what a pixel says.

    Raises:
        InvalidArgumentError: the input shape cannot be inferred, or an argument breaks its rule.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: the layer was not executed, does not depend on the image, or gave infinities or NaN; or the
            model fails on an image of the inferred shape.
    """
    model = original(model)
    low, high = value_range
    if steps < 1 or not low < high or not learning_rate > 0:
        raise InvalidArgumentError(
            "steps must be at least 1, value_range ascending and learning_rate positive, but they are "
            f"{steps}, {value_range} and {learning_rate}."
        )
    shape = _image_shape(model, input_shape)
    transforming = min(shape[1:]) >= _LEAST_SIDE_TO_TRANSFORM if transforms is None else transforms
    ascent = Ascent(layer, shape, value_range, steps, seed, learning_rate, transforming)
    with contained(model, frozen=True):
        available = _available(ascent, model, inferred=input_shape is None)
        chosen = _chosen(channels, available, layer)
        climbed = [ascent.climb(model, chosen[i : i + _TOGETHER]) for i in range(0, len(chosen), _TOGETHER)]
    images = torch.cat([part for part, _ in climbed]).movedim(1, -1).cpu().numpy()
    objective = torch.cat([part for _, part in climbed]).numpy()
    if not (np.isfinite(images).all() and np.isfinite(objective).all()):
        raise CaptureError(
            f"images for layer {layer!r} were asked for, but on them it gave infinities or NaN. Look at the model's "
            "parameters: training may have diverged."
        )
    return Maximization(layer, tuple(chosen), images, objective)


def _image_shape(model: nn.Module, given: Sequence[int] | None) -> tuple[int, int, int]:
    if given is None:
        convolution = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
        if convolution is None:
            raise InvalidArgumentError(
                "activation maximization is for models of images, whose shape is inferred from the model's first 2-D "
                "convolution, but it has none. If it takes images all the same, give input_shape=(colours, height, "
                "width)."
            )
        return convolution.in_channels, _DEFAULT_SIDE, _DEFAULT_SIDE
    shape = tuple(given)
    if len(shape) != 3 or min(shape) < 1:
        raise InvalidArgumentError(
            f"input_shape must be (colours, height, width), each at least 1, but it is {shape}. "
            "Only models of images can be shown their favourite image."
        )
    return shape


def _available(ascent: Ascent, model: nn.Module, *, inferred: bool) -> int:
    try:
        return ascent.available_channels(model)
    except RuntimeError as error:
        if not inferred:
            raise
        raise CaptureError(
            f"the shape of the images was inferred as {ascent.shape}, but the model fails on one: "
            f"{str(error).rstrip('.')}. Give input_shape=(colours, height, width); a Scope knows it after graph(x)."
        ) from error


def _chosen(channels: Sequence[int] | int | str, available: int, layer: str) -> list[int]:
    if isinstance(channels, str):
        if channels != "all":
            raise InvalidArgumentError(f'channels must be "all", a number or a list of numbers, not {channels!r}.')
        return list(range(available))
    chosen = list(range(min(channels, available))) if isinstance(channels, int) else [int(c) for c in channels]
    outside = [channel for channel in chosen if not 0 <= channel < available]
    if outside or not chosen:
        raise InvalidArgumentError(
            f"channels of layer {layer!r} go from 0 to {available - 1}, since it has {available}, but "
            f"{outside[0] if outside else 'none'} was asked for. Choose at least one of them."
        )
    return chosen
