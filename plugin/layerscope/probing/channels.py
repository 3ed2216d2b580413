"""What each layer makes of a few probe samples, as pictures: the strongest of its channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.capture import Captured, Layer, capture
from layerscope.probing.representation import batch_size

MAX_FLAT = 1024
"""Most channels that are kept of a layer without positions."""
MAX_POSITIONS = 256
"""Most positions that are kept of a layer whose positions have one dimension."""


@dataclass(frozen=True)
class LayerChannels:
    """The strongest channels of one layer's output."""

    values: NDArray[np.float32]
    """Of the first samples: [samples, channels, height, width] where positions have two dimensions (images), or more,
    over the first of which the mean is taken; [samples, channels, positions] where they have one (tokens, signals);
    [samples, channels] where there is one position or none (flat layers)."""
    channels: NDArray[np.int32]
    """Which channels these are, counted from 0, the strongest first [channels]."""
    strength: NDArray[np.float32]
    """Root mean square of each of them over all samples of the batch and all positions, >= 0 [channels]. It is NaN for
    a channel that holds one, and infinite from 1.8e19 on."""
    size: tuple[int, ...]
    """(channels, *positions) of the layer's output for one sample, before any were left out or reduced."""
    signed: bool
    """Whether any of ``values`` is negative."""


def channels(
    model: nn.Module,
    inputs: Any,
    *,
    layers: str | Sequence[str] = "auto",
    count: int = 16,
    max_samples: int = 4,
    max_side: int = 32,
    batch_dim: int = 0,
) -> dict[str, LayerChannels]:
    """Return the strongest channels of each layer for the first samples, from one forward pass in evaluation mode.

    To see what ``"auto"`` stands for takes another one.

    Stored in float16 (twice as much in float32, if all are below 1/16 or one beyond 65,504), the values of a layer take
    2 · samples · channels · height · width bytes, which by default is
    128 KiB at most for an image, 32 KiB for tokens or a signal and 8 KiB for a flat layer. A ResNet-50 for images of
    224 x 224 has ten layers by ``"auto"``; they take 785 KiB each time, and what tells their channels another 17 KiB.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        layers: ``"all"`` for every module call but the model's own; ``"auto"`` for about a dozen that tell the most;
            or a list of layer keys and patterns. Layers without elements, or without a row for each sample in their
            output, are left out.
        count: most channels of a layer with positions; a flat one keeps up to ``MAX_FLAT``. Those of the largest
            ``strength`` are kept; one that holds NaN is stronger than any, and of equally strong ones the first is.
        max_samples: of how many samples, from the first, values are kept. All of the batch count for ``strength``.
        max_side: most rows and columns of an image. A larger one is reduced, its sides by the same factor, to means
            over areas (``adaptive_avg_pool2d``); tokens and signals, to at most ``MAX_POSITIONS``. NaN stays NaN.
        batch_dim: dimension of the samples in the inputs.

    Returns:
        Layer key -> channels, on the CPU, in order of execution. An output without channels counts as one channel.

    Raises:
        InvalidArgumentError: ``layers`` is neither a list nor one of these words, a number is less than 1, or the
            inputs hold no tensor with samples.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed, or has no floating-point output, or would
            have to be left out.
    """
    for name, number in {"count": count, "max_samples": max_samples, "max_side": max_side}.items():
        if number < 1:
            raise InvalidArgumentError(f"{name} must be 1 or more, but it is {number}.")
    samples = batch_size(inputs, batch_dim)

    def reduce(layer: Layer, output: Tensor) -> _Strongest | None:
        if not output.numel() or len(output) != samples:
            return None
        return _strongest(_channels_second(output, layer.channels), count, max_samples, max_side)

    captured: Captured[_Strongest | None, None] = capture(
        model, inputs, layers=layers, at_output=reduce, batch_dim=batch_dim
    )
    found = {key: strongest.read() for key, strongest in captured.outputs.items() if strongest is not None}
    for key in () if isinstance(layers, str) else layers:
        if key in captured.outputs and key not in found:
            raise CaptureError(
                f"layer {key!r} was asked for, but its output {list(captured.seen.shapes[key])} has no elements, or no "
                f"row for each of the {samples} samples, so it has no channels to show. Choose another layer."
            )
    return found


class _Strongest(NamedTuple):
    """What ``LayerChannels`` is made of, still on the device of the layer: nothing is waited for during the pass."""

    values: Tensor
    channels: Tensor
    strength: Tensor
    size: tuple[int, ...]

    def read(self) -> LayerChannels:
        values = self.values.cpu().numpy()
        return LayerChannels(
            values=values,
            channels=self.channels.to("cpu", torch.int32).numpy(),
            strength=self.strength.to("cpu", torch.float32).numpy(),
            size=self.size,
            signed=bool((values < 0).any()),
        )


def _channels_second(output: Tensor, channels: int | None) -> Tensor:
    """Return a view [samples, channels, *positions]; what has no channels has one."""
    return output.reshape(len(output), 1, -1) if channels is None else output.movedim(channels, 1)


def _strongest(output: Tensor, count: int, max_samples: int, max_side: int) -> _Strongest:
    """Return the strongest channels of [samples, channels, *positions]."""
    size = tuple(output.shape[1:])
    flat = output.shape[:2].numel() == output.numel()
    output = output.flatten(1) if flat else output
    # In two steps: a sum of as many squares as all samples have would lose two digits in float32.
    positions = output.flatten(2) if output.ndim > 2 else output.unsqueeze(2)
    norms = torch.linalg.vector_norm(positions, dim=2, dtype=torch.promote_types(output.dtype, torch.float32))
    strength = torch.linalg.vector_norm(norms, dim=0) / (len(output) * positions.shape[2]) ** 0.5
    order = strength.argsort(descending=True, stable=True)[: MAX_FLAT if flat else count]
    kept = output[:max_samples].index_select(1, order).float()
    return _Strongest(kept if flat else _reduced(kept, max_side), order, strength[order], size)


def _reduced(values: Tensor, max_side: int) -> Tensor:
    """Return [samples, channels, *positions] with at most as many positions as are shown: means over areas."""
    if values.ndim == 3:
        return functional.adaptive_avg_pool1d(values, min(values.shape[2], MAX_POSITIONS))
    if values.ndim > 4:  # the depth of a volume, the frames of a video
        values = values.flatten(2, -3).mean(2)
    height, width = values.shape[2:]
    shrunk = min(1.0, max_side / max(height, width))
    return functional.adaptive_avg_pool2d(values, (max(1, round(height * shrunk)), max(1, round(width * shrunk))))
