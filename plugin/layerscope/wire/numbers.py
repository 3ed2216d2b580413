"""Numbers per layer: which statistics there are, of which series, and the message that carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Statistic:
    """One number that is kept per layer and step, and how to show it."""

    name: str
    scale: str
    """``log``: >= 0, spans magnitudes. ``signed``: diverges around 0. ``fraction``: 0 to 1. ``count``: 0, 1, 2, ..."""
    help: str
    """One sentence for people: what the number is."""


STATISTICS: dict[str, Statistic] = {
    s.name: s
    for s in (
        Statistic("norm", "log", "Euclidean norm: the square root of the sum of squares."),
        Statistic("mean", "signed", "Arithmetic mean of all elements."),
        Statistic("std", "log", "Standard deviation of all elements (population, no Bessel correction)."),
        Statistic("min", "signed", "Smallest element."),
        Statistic("max", "signed", "Largest element."),
        Statistic("zero_fraction", "fraction", "Share of the elements that are exactly zero."),
        Statistic("nan_count", "count", "Number of elements that are not a number."),
        Statistic("inf_count", "count", "Number of elements that are infinite."),
        Statistic("dead_fraction", "fraction", "Share of the units (channels) that are zero in the whole batch."),
        Statistic(
            "saturated_fraction", "fraction", "Share of the elements within 1 % of a bound of the activation function."
        ),
        Statistic("trainable", "fraction", "Share of the elements that require a gradient."),
        Statistic(
            "distance",
            "log",
            "Norm of the difference from the reference, over the norm of the reference; none where that is 0.",
        ),
        Statistic("cosine", "signed", "Cosine of the angle to the reference: 1 is the same direction."),
        Statistic("update_ratio", "log", "Norm of the update over the norm of what was updated."),
        Statistic("accuracy", "fraction", "Share of the held-out samples whose class a linear probe tells."),
        Statistic("majority", "fraction", "Share of the held-out samples that are of the commonest class."),
        Statistic("held_out", "count", "Number of samples that were held out, on which linear probes are judged."),
        Statistic("learning_rate", "log", "Learning rate of the optimizer; none if no optimizer holds it."),
    )
}

MOMENTS = ("norm", "mean", "std", "min", "max", "zero_fraction", "nan_count", "inf_count")
"""The statistics of any set of numbers, in the order of their columns."""


@dataclass(frozen=True)
class Measured:
    """What a series measures."""

    statistics: tuple[str, ...]
    """Names in ``STATISTICS``, in the order of the columns."""
    help: str
    """One sentence for people: what is measured, and when."""


SERIES: dict[str, Measured] = {
    "gradients": Measured(MOMENTS, "Gradients of the parameters, as the optimizer's step finds them."),
    "parameters": Measured(
        (*MOMENTS, "trainable", "distance", "cosine"), "Parameters before the optimizer's step, and their reference."
    ),
    "updates": Measured(
        ("norm", "update_ratio", "learning_rate"), "What one step of the optimizer adds to the parameters."
    ),
    "activations": Measured(
        (*MOMENTS, "dead_fraction", "saturated_fraction"), "Outputs of the layers on a probe batch, in evaluation mode."
    ),
    "training_activations": Measured(
        (*MOMENTS, "dead_fraction", "saturated_fraction"), "Outputs of the layers in the training pass itself."
    ),
    "activation_gradients": Measured(
        MOMENTS, "Gradients of the loss with respect to the outputs of the layers, in the training pass itself."
    ),
    "linear_probes": Measured(
        ("accuracy", "majority", "held_out"),
        "How well a linear classifier tells the classes from the output of each layer.",
    ),
}
"""The series that Layerscope records, by name. A log directory may hold others."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of many layers at one moment: a row per layer, a column per statistic."""

    layers: tuple[str, ...]
    """Row names: layer keys, and, where parameters are measured, qualified parameter names (``conv1.weight``)."""
    owners: tuple[str, ...]
    """The layer key that each row belongs to: its own name for a layer, the module's key for a parameter."""
    statistics: tuple[str, ...]
    """Column names, keys of ``STATISTICS``."""
    values: NDArray[np.float32]
    """[layers, statistics]; NaN where there was nothing to measure (a parameter without a gradient)."""
    histogram: NDArray[np.float32] | None = None
    """[layers, bins]: how many elements lie in each bin; None if histograms were not asked for."""
    edges: tuple[float, ...] = ()
    """bins + 1 edges of the bins, ascending."""
