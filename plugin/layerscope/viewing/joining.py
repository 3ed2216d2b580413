"""Joins the tags of one series: where the set of layers changed, or a tag grew large, another tag began."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.viewing.store import Arrays


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
    """Return all parts together; of a step that stands in several, the one with the last wall time counts."""
    parts = sorted(parts, key=lambda part: float(part.arrays.wall_times[0]))
    layers = tuple(dict.fromkeys(layer for part in parts for layer in part.layers))
    columns = tuple(dict.fromkeys(column for part in parts for column in part.columns))
    steps = np.unique(np.concatenate([part.arrays.steps for part in parts]))
    values = np.full((len(steps), len(layers), len(columns)), np.nan, dtype=np.float32)
    written = np.full(len(steps), -np.inf)
    row_of = {layer: row for row, layer in enumerate(layers)}
    column_of = {column: index for index, column in enumerate(columns)}
    for part in parts:
        at = np.searchsorted(steps, part.arrays.steps)
        newer = part.arrays.wall_times >= written[at]
        at = at[newer]
        values[at] = np.nan
        rows = [row_of[layer] for layer in part.layers]
        values[np.ix_(at.tolist(), rows, [column_of[column] for column in part.columns])] = part.arrays.values[newer]
        written[at] = part.arrays.wall_times[newer]
    return Joined(steps, layers, columns, values)
