"""Occlusion: how the target falls when a part of the input is covered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.features import Features, features_of
from layerscope.probing.attributions.masking import Masking
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.perturbation import Effects, Perturbation
from layerscope.probing.calls import input_tensors

_WINDOWS_A_SIDE = 8


@dataclass(frozen=True)
class Occlusion(Perturbation):
    """Target less the target with one part covered, for each part.

    Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 4.2. Of images, unless
    ``features`` says otherwise, the parts are windows that slide over them and overlap: a pixel has the mean over the
    windows that cover it, each shared evenly among its elements. Of everything else, and with ``features`` given,
    features are covered one by one. The effects add up only for a model that is additive, so ``delta`` is None. Nothing
    is random.

    Args:
        window: side of the window in pixels, one number or (height, width); None for an eighth of each side.
        stride: how far the window moves, one number or (down, right); None for half the window.

    The other options are those of ``Perturbation``.
    """

    window: int | tuple[int, int] | None = None
    stride: int | tuple[int, int] | None = None

    def partition(self, question: Question) -> Features:
        """Return the features: of images the cells into which the borders of all windows cut them."""
        tensors = input_tensors(question.inputs)
        images = [self._slides_over(tensor) for tensor in tensors]
        if not any(images):
            if self.window is not None or self.stride is not None:
                raise InvalidArgumentError(
                    "window and stride slide over images [batch, colours, height, width] with features='auto', but the "
                    f"inputs are {[list(tensor.shape) for tensor in tensors]} with features={self.features!r}."
                )
            return super().partition(question)
        choices: list[Any] = [
            self._cells(tensor, question.batch_dim) if image else "auto"
            for tensor, image in zip(tensors, images, strict=True)
        ]
        named = dict(zip(question.inputs, choices, strict=True)) if isinstance(question.inputs, Mapping) else choices
        return features_of(question, named, self.n_features, self.padding_id)

    def explain(self, masking: Masking) -> Effects:
        """Return what covering takes from the target."""
        parts = [self._parts(masking, sample) for sample in range(len(masking.full))]
        values = masking.values([~covered for covered in parts])
        effects: list[NDArray[np.float64]] = []
        for sample, (covered, found) in enumerate(zip(parts, values, strict=True)):
            sizes = masking.features.sizes(sample, input_tensors(masking.question.inputs), masking.question.batch_dim)
            difference = (masking.full[sample] - found) / (covered @ sizes)
            known = np.isfinite(difference)
            times = covered[known].sum(0)
            taken = covered[known].T @ difference[known] / np.maximum(times, 1) * sizes
            effects.append(np.where(times > 0, taken, np.nan))
        return Effects(effects)

    def _slides_over(self, tensor: Tensor) -> bool:
        return (
            isinstance(self.features, str)
            and self.features == "auto"
            and tensor.ndim == 4
            and (tensor.is_floating_point())
        )

    def _windows(self, sides: torch.Size) -> list[list[tuple[int, int]]]:
        """Return (first pixel, first pixel behind) of the windows down and across."""
        found: list[list[tuple[int, int]]] = []
        for place, side in enumerate(sides):
            window = min(_of_side(self.window, place, max(1, side // _WINDOWS_A_SIDE)), side)
            stride = _of_side(self.stride, place, max(1, window // 2))
            if not 1 <= stride <= window:
                raise InvalidArgumentError(
                    "window and stride must be at least 1, and stride at most window, so that every pixel is covered "
                    f"once; here they are {window} and {stride} for a side of {side} pixels."
                )
            starts = [*range(0, side - window, stride), side - window]
            found.append([(start, start + window) for start in starts])
        return found

    def _cells(self, tensor: Tensor, batch_dim: int) -> Tensor:
        shape = tensor.movedim(batch_dim, 0).shape
        places: list[Tensor] = []
        for side, windows in zip(shape[2:], self._windows(shape[2:]), strict=True):
            cuts = torch.tensor(sorted({cut for window in windows for cut in window}))
            places.append(torch.searchsorted(cuts, torch.arange(side), right=True))
        cells = places[0][:, None] * (int(places[1].max()) + 1) + places[1]
        return cells.expand(shape).movedim(0, batch_dim)

    def _parts(self, masking: Masking, sample: int) -> NDArray[np.bool_]:
        """Return what is covered at a time, [parts, features]."""
        count = masking.features.counts[sample]
        parts: list[NDArray[np.bool_]] = []
        for tensor, numbers in zip(input_tensors(masking.question.inputs), masking.features.numbers, strict=True):
            if numbers is None:
                continue
            own = numbers[sample]
            if self._slides_over(tensor):
                down, across = self._windows(own.shape[1:])
                groups = [own[0, top:bottom, left:right] for top, bottom in down for left, right in across]
            else:
                groups = list(torch.unique(own[own >= 0]))
            parts += [np.isin(np.arange(count), group.numpy()) for group in groups]
        return np.stack(parts)


def _of_side(option: int | tuple[int, int] | None, place: int, default: int) -> int:
    if option is None:
        return default
    return option if isinstance(option, int) else option[place]
