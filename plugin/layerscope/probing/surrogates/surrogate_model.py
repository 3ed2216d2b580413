"""What every kind of surrogate is: something simple that is fitted to what a network says."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InvalidArgumentError, MissingExtraError
from layerscope.wire import TreeNode

Array = NDArray[np.float64]

NUMBERS, CLASSES = "numbers", "classes"
"""What a surrogate is fitted to: float64 [samples, outputs], or int64 [samples]."""


@dataclass(frozen=True)
class Fitted:
    """A surrogate that has been fitted."""

    predict: Callable[[Array], NDArray[Any]]
    """Features [samples, features] -> what it was fitted to: numbers [samples, outputs] or classes [samples]."""
    importances: Array
    """[outputs, features] signed coefficients in standard deviations of the features, or [1, features] importances."""
    tree: tuple[TreeNode, ...] = ()
    """Of a decision tree its nodes, the root first."""


def needing_scikit_learn(feature: str) -> None:
    """Raise, before anything is computed, if scikit-learn is not there.

    Raises:
        MissingExtraError: it is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtraError(feature, "surrogates", "scikit-learn")


def require_positive(**options: int | None) -> None:
    """Raise unless each option is a whole number of 1 or more, or None.

    Raises:
        InvalidArgumentError: one is not.
    """
    for name, value in options.items():
        if value is not None and (not isinstance(value, int) or value < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(f"{name} must be a whole number of 1 or more, but it is {value!r}.")


class SurrogateModel(ABC):
    """A kind of surrogate; each is a frozen dataclass whose fields are its options."""

    fits: ClassVar[tuple[str, ...]]
    """What it can be fitted to; the first is what it is fitted to if nothing else is asked for."""

    @abstractmethod
    def fit(self, features: Array, outputs: NDArray[Any], seed: int) -> Fitted:
        """Return the surrogate fitted to samples.

        Args:
            features: [samples, features].
            outputs: numbers [samples, outputs], or classes [samples] of which there are two or more. The importances
                of classes are in ascending order.
            seed: of whatever is random.
        """
