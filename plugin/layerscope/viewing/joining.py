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

MAX_SPARSE_BYTES = 64 << 20
"""What joining a series may always take; more than that only where more than one in 8 of its numbers is there. Of some
tags with few steps of many layers and others with many steps of few, the product can be far more than was written."""


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


def check_size(steps: int, layers: int, columns: int, held: int) -> None:
    """Raise if a series of so many steps, layers and columns is much larger than what of it is there.

    Args:
        steps: how many.
        layers: how many.
        columns: how many.
        held: how many of its numbers are there.

    Raises:
        MalformedError: joining it would take more than ``MAX_SPARSE_BYTES``, and at least 7 in 8 numbers are missing.
    """
    size = steps * layers * columns
    # Beside the numbers, joining keeps a wall time for each row.
    if 4 * size + 8 * steps * layers > MAX_SPARSE_BYTES and held <= size / 8:
        raise MalformedError(
            f"a series has {steps} steps of {layers} layers with {columns} columns, but only {held} of these {size} "
            f"numbers are there; where joining takes more than {MAX_SPARSE_BYTES} bytes, it must be one in 8."
        )


def join(parts: Sequence[Part]) -> Joined:
    """Return all parts together; of a layer at a step, what was written last counts, whole.

    Raises:
        MalformedError: hardly anything of them would be there (``check_size``).
    """
    parts = sorted(parts, key=lambda part: float(part.arrays.wall_times[0]))
    layers = tuple(dict.fromkeys(layer for part in parts for layer in part.layers))
    columns = tuple(dict.fromkeys(column for part in parts for column in part.columns))
    steps = np.unique(np.concatenate([part.arrays.steps for part in parts]))
    check_size(len(steps), len(layers), len(columns), sum(part.arrays.values.size for part in parts))
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
