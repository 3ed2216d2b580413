"""Which samples a simple model is fitted to, and which it is judged on; and how that is judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InvalidArgumentError

Array = NDArray[np.float64]


def split(classes: NDArray[np.int64], held_out: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the samples to fit to and of those held out, both ascending.

    Each class has its share among those held out, up to one sample; which ones they are is drawn by ``seed``.

    Args:
        classes: the class of each sample [samples]; all the same if there are none.
        held_out: share of the samples that are held out, more than 0 and less than 1.
        seed: of the draw.

    Raises:
        InvalidArgumentError: ``held_out`` is not such a share, or leaves less than 2 samples on one side.
    """
    samples = len(classes)
    count = round(samples * held_out) if 0 < held_out < 1 else 0
    if not 2 <= count <= samples - 2:
        raise InvalidArgumentError(
            "held_out must be a share of the samples, between 0 and 1, that leaves 2 or more to fit to and 2 or more "
            f"to judge on, but it is {held_out} of {samples} samples. Give more samples."
        )
    drawn = np.random.default_rng(seed).permutation(samples)
    by_class = drawn[np.argsort(classes[drawn], kind="stable")]
    chosen = by_class[((np.arange(count) + 0.5) * samples / count).astype(np.intp)]
    return np.setdiff1d(np.arange(samples), chosen), np.sort(chosen)


def r2(actual: Array, predicted: Array) -> float:
    """Return the share of the variance of all outputs together that the prediction explains, at most 1.

    Args:
        actual: [samples, outputs], not all the same in every output.
        predicted: the same shape.
    """
    residual = np.square(actual - predicted).sum()
    return float(1 - residual / np.square(actual - actual.mean(0)).sum())


def agreement(actual: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the share of the samples whose class is the same."""
    return float((actual == predicted).mean())
