"""Tells which dimension of a layer's output is the samples: PyTorch does not say, so the sizes must."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from layerscope.containment import contained
from layerscope.probing.calls import first_float_tensor, watched
from layerscope.probing.representation import Representation


class Seen(NamedTuple):
    """What a pass of the batch by itself showed of every layer."""

    shapes: dict[str, torch.Size]
    """Layer key -> shape of its output, as the layer returned it."""
    dims: dict[str, int]
    """Layer key -> the dimension of the samples in it."""


@dataclass
class SampleDims:
    """Tells it of the outputs of one pass.

    It is the same dimension as in the inputs (or 0, where there are two at most) if that has the size of the batch,
    else 0 or 1 if that has, else 0. Where the batch is repeated, it is the one that grows.
    """

    batch_dim: int
    """The dimension of the samples in the inputs."""
    once: Seen | None = None
    """What a pass of the batch by itself showed; then nothing is guessed."""
    samples: int = 0
    """How many the model sees; 0 if the inputs do not tell."""
    times: int = 1
    """How often the batch is repeated."""
    seen: Seen = field(default_factory=lambda: Seen({}, {}))
    tied: bool = False
    """Whether it was but guessed of some layer: dimensions 0 and 1 have the size of the batch both."""

    def of(self, key: str, shape: torch.Size, channels: int | None) -> int | None:
        """Return the dimension of the samples in a layer's output; None if repeating the batch does not change it.

        Args:
            key: of the layer.
            shape: of its output.
            channels: the dimension of the channels, which are not the samples; None if there is none.
        """
        self.seen.shapes[key] = shape
        if self.once is not None and self.times > 1:
            dim = grown(self.once.shapes.get(key, shape), shape, self.times)
        elif self.once is not None and key in self.once.dims:
            dim = self.once.dims[key]
        else:
            dim = self._guessed(shape, channels)
        if dim is not None:
            self.seen.dims[key] = dim
        return dim

    def _guessed(self, shape: torch.Size, channels: int | None) -> int:
        likely = self.batch_dim if len(shape) > 2 else 0
        if not self.samples:
            return 0
        alike = len(shape) > 2 and self.samples > 1 and shape[:2] == (self.samples, self.samples)
        self.tied |= alike and channels != 1 and self.once is None
        if shape[likely : likely + 1] == (self.samples,):
            return likely
        return shape.index(self.samples) if self.samples in shape[:2] else 0


def grown(single: torch.Size, repeated: torch.Size, times: int) -> int | None:
    """Return the one dimension that is ``times`` as large as it was, None if there is none."""
    if len(single) != len(repeated):
        return None
    dims = [dim for dim, (before, after) in enumerate(zip(single, repeated, strict=True)) if after == before * times]
    return dims[0] if len(dims) == 1 else None


def settled(model: nn.Module, inputs: Any, batch_dim: int, seen: Seen) -> Seen:
    """Return what was seen, without guesses: one forward pass of twice the batch shows which dimension grows.

    Of a model that takes no other batch than its own, the guesses stay.
    """
    shapes: dict[str, torch.Size] = {}

    def note(key: str, module: nn.Module, output: Any) -> None:
        tensor = first_float_tensor(output)
        if tensor is not None:
            shapes[key] = tensor.shape

    doubled = Representation(inputs, differentiable=False, times=2, batch_dim=batch_dim)
    try:
        with contained(model), torch.no_grad(), doubled, watched(model, note):
            model(*doubled.arguments.args, **doubled.arguments.kwargs)
    except Exception:  # the model's own; there is no other batch to ask it about
        return seen
    known = {key: grown(shape, shapes.get(key, shape), 2) for key, shape in seen.shapes.items()}
    return Seen(seen.shapes, seen.dims | {key: dim for key, dim in known.items() if dim is not None})
