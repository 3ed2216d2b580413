"""Joins the tags of one series.

Another tag begins when the set of layers changes, when a tag grew large, and for each of several optimizers. So tags
may hold the same step for other layers; ``tests/golden/joining.json`` has a case, also for the front end, which joins
in the same way.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import MalformedError
from layerscope.viewing.store import Arrays

MAX_NUMBERS = 1 << 26
"""The most numbers of a joined series that are not there: 256 MiB. Of some tags with few steps of many layers and
others with many steps of few, the product can be far more than what was written."""


@dataclass(frozen=True)
class Part:
    """One tag of a series."""

    layers: tuple[str, ...]
    columns: tuple[Hashable, ...]
    """What the columns are: names of statistics, or bins."""
    arrays: Arrays


@dataclass(frozen=True)
class Joined:
    """A series as if it had been one tag."""

    steps: NDArray[np.int64]
    layers: tuple[str, ...]
    columns: tuple[Hashable, ...]
    values: NDArray[np.float32]
    """[steps, layers, columns]; NaN where a layer or a column was not there."""


def join(parts: Sequence[Part]) -> Joined:
    """Return all parts together; of a layer at a step, what was written last counts, whole.

    Raises:
        MalformedError: together they would lack more than ``MAX_NUMBERS``.
    """
    parts = sorted(parts, key=lambda part: float(part.arrays.wall_times[0]))
    layers = tuple(dict.fromkeys(layer for part in parts for layer in part.layers))
    columns = tuple(dict.fromkeys(column for part in parts for column in part.columns))
    steps = np.unique(np.concatenate([part.arrays.steps for part in parts]))
    size, held = len(steps) * len(layers) * len(columns), sum(part.arrays.values.size for part in parts)
    if size - held > MAX_NUMBERS:
        raise MalformedError(
            f"a series in {len(parts)} tags has {len(steps)} steps of {len(layers)} layers with {len(columns)} "
            f"columns, but only {held} of these {size} numbers are there; at most {MAX_NUMBERS} may be missing."
        )
    values = np.full((len(steps), len(layers), len(columns)), np.nan, dtype=np.float32)
    written = np.full((len(steps), len(layers)), -np.inf)
    row_of = {layer: row for row, layer in enumerate(layers)}
    for part in parts:
        at = np.searchsorted(steps, part.arrays.steps)[:, None]
        rows = np.array([row_of[layer] for layer in part.layers], dtype=np.intp)
        wall_times = part.arrays.wall_times[:, None]
        newer = wall_times >= written[at, rows]
        written[at, rows] = np.where(newer, wall_times, written[at, rows])
        for index, column in enumerate(columns):
            nothing = np.float32(np.nan)
            new = part.arrays.values[:, :, part.columns.index(column)] if column in part.columns else nothing
            values[at, rows, index] = np.where(newer, new, values[at, rows, index])
    return Joined(steps, layers, columns, values)
