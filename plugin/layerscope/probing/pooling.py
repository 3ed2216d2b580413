"""A batch seen by a whole model in chunks: of every layer only the mean of each channel is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.capture import Captured, Layer, capture
from layerscope.probing.representation import batch_size


@dataclass(frozen=True)
class Pooled:
    """What a model makes of a batch."""

    layers: dict[str, NDArray[np.float32]]
    """Layer key -> [samples, channels], in order of execution."""
    output: Tensor
    """What ``at_end`` made of the model's output [samples, ...], on the CPU."""


def pooled(
    model: nn.Module,
    inputs: Any,
    *,
    layers: str | Sequence[str] = "all",
    at_end: Callable[[Any], Tensor],
    samples_at_once: int = 256,
    batch_dim: int = 0,
    max_channels: int | None = None,
    seed: int = 0,
) -> Pooled:
    """Return the output of each layer, averaged over positions to channels, in evaluation mode.

    Memory holds the tensors of one chunk and [samples, channels] for each layer. Positions that hold padding are
    averaged with the others.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        layers: as ``layer_choice.Chosen`` says. Of those that were not named, the ones are left out that were not
            called for every chunk, or whose output has no row for each sample or other channels for some.
        at_end: takes what the model returned for a chunk and returns a tensor [samples of the chunk, ...].
        samples_at_once: most samples of one chunk; chunks are of nearly the same size.
        batch_dim: dimension of the samples in the inputs.
        max_channels: of a layer with more channels, as many are kept, chosen by ``seed``; None keeps all.
        seed: of that choice, which is the same for layers with equally many channels.

    Raises:
        InvalidArgumentError: ``samples_at_once`` is less than 1, or what ``Chosen`` raises.
        LayerNotFoundError: as ``capture``.
        CaptureError: as ``capture``, or a layer that was named would have to be left out.
    """

    def reduce(layer: Layer, output: Tensor) -> Tensor:
        channels = channel_means(output, layer.channels)
        if max_channels is not None and channels.shape[1] > max_channels:
            drawn = np.random.default_rng(seed).choice(channels.shape[1], max_channels, replace=False)
            channels = channels[:, torch.from_numpy(np.sort(drawn)).to(channels.device)]
        return channels.cpu()

    executed: set[str] = set()
    found: list[dict[str, Tensor]] = []
    outputs: list[Tensor] = []
    for chunk in chunks(inputs, samples_at_once, batch_dim):
        captured: Captured[Tensor, None] = capture(model, chunk, layers=layers, at_output=reduce, batch_dim=batch_dim)
        executed.update(captured.layers)
        rows = batch_size(chunk, batch_dim)
        found.append({key: means for key, means in captured.outputs.items() if len(means) == rows})
        outputs.append(at_end(captured.output).detach().cpu())
    everywhere = [key for key in found[0] if len({part[key].shape[1] if key in part else -1 for part in found}) == 1]
    for key in () if isinstance(layers, str) else layers:
        if key in executed and key not in everywhere:
            raise CaptureError(
                f"layer {key!r} was asked for, but its output has no row for each sample, or other channels for some "
                "samples than for others, so they cannot be compared. Choose another layer, or inputs of one size."
            )
    return Pooled({key: torch.cat([part[key] for part in found]).numpy() for key in everywhere}, torch.cat(outputs))


def channel_means(output: Tensor, channels: int | None) -> Tensor:
    """Return the mean of each channel over all positions, float32 [samples, channels].

    Args:
        output: a layer's output, its samples in dimension 0.
        channels: the dimension of the channels; None if there is none: then there is one channel.
    """
    if channels is None:
        return output.reshape(len(output), -1).float().mean(1, keepdim=True)
    return output.movedim(channels, 1).reshape(len(output), output.shape[channels], -1).float().mean(2)


def chunks(inputs: Any, samples_at_once: int, batch_dim: int = 0) -> Iterator[Any]:
    """Yield ``inputs`` in parts of nearly equal size; tensors without a size of the batch are in each part whole.

    Raises:
        InvalidArgumentError: ``samples_at_once`` is less than 1, or there is no sample.
    """
    samples = batch_size(inputs, batch_dim)
    if samples_at_once < 1 or samples < 1:
        raise InvalidArgumentError(
            f"a batch of 1 or more samples is run 1 or more at once, but there are {samples} samples, and "
            f"samples_at_once is {samples_at_once}."
        )
    count = -(-samples // samples_at_once)
    bounds = [samples * i // count for i in range(count + 1)]
    whole = dict(inputs) if isinstance(inputs, Mapping) else inputs
    for start, end in pairwise(bounds):

        def part(tensor: Tensor, start: int = start, end: int = end) -> Tensor:
            of_batch = tensor.ndim > batch_dim and tensor.shape[batch_dim] == samples
            return tensor.narrow(batch_dim, start, end - start) if of_batch else tensor

        yield whole if count == 1 else pytree.tree_map_only(Tensor, part, whole)
