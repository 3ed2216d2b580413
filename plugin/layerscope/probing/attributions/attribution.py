"""What one method says about one batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Attribution:
    """What one method says about every layer and about the inputs, for one batch."""

    method: str
    """The name under which it was asked for."""
    signed: bool
    """True: positive values support the target and negative ones oppose it. False: magnitudes."""
    layers: dict[str, Tensor]
    """Layer key -> attribution at the layer's own resolution, batch first, in order of execution. Empty if the method
    tells nothing about layers."""
    inputs: list[Tensor]
    """Attributions of the input tensors, of their shapes but batch first. An input of integers is attributed at the
    output of its embedding, with the features summed away; it has NaN where nothing looks it up. Empty if the method
    tells nothing about inputs."""
    targets: Tensor
    """The classes that are explained, int64 [batch]; -1 where the target is a function."""
    probabilities: Tensor
    """Softmax of the target over the classes, float32 [batch], 0 to 1; NaN where there are no classes."""
    delta: Tensor | None = None
    """Completeness gap [batch], in units of the target: the sum of all attributions less the change of the target that
    they should explain; None if the method promises no completeness."""
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    """Layer key -> why this layer has no attribution, in words."""
    channels: dict[str, int | None] = field(default_factory=dict[str, "int | None"])
    """Layer key -> the dimension of its attribution that is the channels, None if there is none."""
    trust: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    """Name in ``wire.TRUST`` -> score [batch]: how far to trust the attribution of the inputs."""
    notes: tuple[str, ...] = ()
    """What to know before trusting it, in words: e.g. operations for which the method has no rule."""

    def maps(self) -> dict[str, NDArray[np.float16 | np.float32]]:
        """Return layer key -> float16 or float32 [samples, ...] with the channels summed away.

        [batch, channels, height, width] becomes [batch, height, width], [batch, tokens, features] becomes [batch,
        tokens], [batch, channels, length] of a 1-D convolution [batch, length]; [batch, features] stays. A map is
        float16 unless its largest finite magnitude is beyond 65504 or below 2^-4 = 0.0625 (early layers of a large
        network are far below), where float16 overflows or loses digits; so the error of an element is at most 2^-11
        of its own magnitude or 2^-21 of the largest. NaN and infinities stay.

        Where parts of a sample are folded into the batch (the windows of a Swin transformer, one sample behind the
        other), a map holds those of one sample, their positions behind each other. Layers of another number of rows
        have no map: nothing tells which are of which sample.
        """
        samples = len(self.targets)
        maps = {key: _as_map(tensor, self.channels.get(key)) for key, tensor in self.layers.items()}
        return {
            key: _by_sample(one, samples)
            for key, one in maps.items()
            if one.ndim and samples and len(one) % samples == 0
        }

    def input_maps(self) -> dict[int, NDArray[np.float16 | np.float32]]:
        """Return position of the input -> its map, as ``maps``: of images the colours are summed away.

        Inputs of which nothing is known, and single numbers for a whole batch, are left out; but of a method that tells
        nothing of anything all stay, for people to see that, and its notes.
        """
        maps = {i: tensor for i, tensor in enumerate(self.inputs) if tensor.ndim}
        known = {i: tensor for i, tensor in maps.items() if not tensor.isnan().all()}
        known = known if known or self.layers else maps
        return {i: _as_map(tensor, 1 if tensor.ndim == 4 else None) for i, tensor in known.items()}


_LEAST_IN_HALF = 2.0**-4
"""Largest magnitude of a map from which on float16, whose steps never get finer than 2^-24, is fine enough."""


def without_channels(tensor: Tensor, channels: int | None) -> Tensor:
    """Return an attribution with its channels summed away in float32 or finer; [batch, features] stays as it is."""
    if tensor.ndim < 3 or channels is None:
        return tensor
    if tensor.shape[channels] == 1:
        return tensor.squeeze(channels)
    return tensor.sum(channels, dtype=torch.promote_types(tensor.dtype, torch.float32))


def _by_sample(rows: NDArray[Any], samples: int) -> NDArray[Any]:
    return rows if len(rows) == samples else rows.reshape(samples, -1)


def _as_map(tensor: Tensor, channels: int | None) -> NDArray[np.float16 | np.float32]:
    values = without_channels(tensor.detach(), channels).double()
    finite = values.isfinite()
    largest = values.abs().where(finite, 0).max().item() if values.numel() else 0.0
    in_half = largest == 0 or _LEAST_IN_HALF <= largest <= torch.finfo(torch.float16).max
    dtype = torch.float16 if in_half else torch.float32
    limit = torch.finfo(dtype).max  # doubles beyond float32 stay finite
    return values.clamp(-limit, limit).where(finite, values).to(dtype).cpu().numpy()
