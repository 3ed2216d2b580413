"""What a surrogate sees of each sample: the numbers of the inputs, or the channels of a layer, and their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.calls import input_tensors
from layerscope.probing.representation import batch_size

MOST_FEATURES = 16_384
"""More are refused: nobody reads them, and a regression of them takes hours."""


class Features(NamedTuple):
    """What a surrogate sees."""

    values: NDArray[np.float64]
    """[samples, features]."""
    names: tuple[str, ...]


def of_inputs(inputs: Any, batch_dim: int = 0) -> Features:
    """Return the numbers of all inputs, flattened; those of integers as numbers, too.

    They are named after their place: ``input[2, 0, 5]``, or of a mapping by the name of the argument, of a tuple of
    several ``input 1[2, 0, 5]``.

    Raises:
        InvalidArgumentError: there are more than ``MOST_FEATURES``.
    """
    samples = batch_size(inputs, batch_dim)
    named = list(zip(_names(inputs), input_tensors(inputs), strict=True))
    per_sample = [
        (name, tensor.movedim(batch_dim, 0))
        for name, tensor in named
        if tensor.ndim > batch_dim and tensor.shape[batch_dim] == samples
    ]
    count = sum(tensor.numel() // samples for _, tensor in per_sample)
    _require_readable(count, "inputs")
    values = torch.cat([tensor.detach().reshape(samples, -1).double().cpu() for _, tensor in per_sample], 1)
    names = [name for name, tensor in per_sample for name in _places(name, tensor.shape[1:])]
    return Features(values.numpy(), tuple(names))


def of_layer(key: str, channels: NDArray[np.float32]) -> Features:
    """Return the channels of a layer [samples, channels], named ``key[3]``.

    Raises:
        InvalidArgumentError: there are more than ``MOST_FEATURES``.
    """
    _require_readable(channels.shape[1], f"layer {key!r}")
    return Features(channels.astype(np.float64), tuple(_places(key, channels.shape[1:])))


def of_array(given: Any, samples: int) -> Features:
    """Return features that were given [samples, features], named ``feature 3``.

    Raises:
        InvalidArgumentError: they are not of that shape, no numbers, or more than ``MOST_FEATURES``.
    """
    values = given.detach().double().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if values.ndim != 2 or len(values) != samples or values.dtype.kind not in "iufb":
        raise InvalidArgumentError(
            f"features must be numbers [samples, features] of {samples} samples, but they are {values.dtype} "
            f"{list(values.shape)}."
        )
    _require_readable(values.shape[1], "features")
    return Features(values.astype(np.float64), tuple(f"feature {i}" for i in range(values.shape[1])))


def checked(features: Features, names: Sequence[str] | None) -> Features:
    """Return the features under the names that were given, if any.

    Raises:
        InvalidArgumentError: not as many names as features.
        CaptureError: infinities or NaN among the features.
    """
    if names is not None and (isinstance(names, str) or len(names) != len(features.names)):
        raise InvalidArgumentError(
            f"feature_names must be a list of a name for each of the {len(features.names)} features, but it is a "
            f"{type(names).__name__} of {len(names)}."
        )
    infinite: NDArray[np.bool_] = np.logical_not(np.isfinite(features.values).all(0))
    if infinite.any():
        raise CaptureError(
            f"a surrogate was asked for, but {int(infinite.sum())} of the {len(infinite)} features hold infinities or "
            f"NaN, the first of them {features.names[int(infinite.argmax())]!r}. Leave them out or fill them in."
        )
    return features if names is None else Features(features.values, tuple(map(str, names)))


def _require_readable(count: int, what: str) -> None:
    if not 1 <= count <= MOST_FEATURES:
        raise InvalidArgumentError(
            f"a surrogate sees 1 to {MOST_FEATURES} features, but {what} have {count} for each sample. Let it see a "
            "layer (of=...), or give features, for instance the mean of each patch of an image."
        )


def _names(inputs: Any) -> list[str]:
    """Return a name for each tensor of ``input_tensors``."""
    count = len(input_tensors(inputs))
    if isinstance(inputs, Mapping):
        names = [str(name) for name, value in inputs.items() for _ in input_tensors((value,))]
        if len(set(names)) == len(names):
            return names
    return ["input"] if count == 1 else [f"input {i}" for i in range(count)]


def _places(name: str, shape: Sequence[int]) -> list[str]:
    if not shape:
        return [name]
    return [f"{name}[{', '.join(map(str, place))}]" for place in np.ndindex(*shape)]
