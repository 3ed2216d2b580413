"""What is known of sets of numbers: enough for every statistic of ``wire.MOMENTS``, and sets can be united exactly.

Deviations are kept around the mean of each set and united as Chan, Golub and LeVeque 1983 do ("Algorithms for computing
the sample variance", eq. 1.5), so that a large mean does not drown a small deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope import wire
from layerscope.probing.histogram import BINS, EDGES

FIELDS = ("count", "mean", "deviation", "squares", "low", "high", "zeros", "nans", "infs")
"""Columns of ``Moments.numbers``. ``deviation`` is the sum of squared deviations from the mean, ``squares`` the sum of
squares. Of an empty set the mean is 0, the lowest infinite and the highest minus infinite."""

EMPTY = (0.0, 0.0, 0.0, 0.0, np.inf, -np.inf, 0.0, 0.0, 0.0)

COUNT, MEAN, DEVIATION, SQUARES, LOW, HIGH, ZEROS, NANS, INFS = range(len(FIELDS))


@dataclass(frozen=True)
class Moments:
    """Moments of several sets of numbers, a row for each set."""

    numbers: NDArray[np.float64]
    """[sets, 9], columns as in ``FIELDS``. A NaN in a set makes its mean, deviation, squares, low and high NaN."""
    histogram: NDArray[np.int64] | None = None
    """[sets, 129], see ``histogram.py``; None if it was not asked for."""

    def __len__(self) -> int:
        """Return the number of sets."""
        return len(self.numbers)

    def united(self, groups: Sequence[Sequence[int]]) -> Moments:
        """Return, for each group of sets, the moments of all of them together; of an empty group those of no numbers.

        Args:
            groups: for each row of the result the sets in it.
        """
        lengths = np.array([len(group) for group in groups], np.int64)
        members = np.fromiter((i for group in groups for i in group), np.int64, int(lengths.sum()))
        filled = lengths > 0
        starts = (np.cumsum(lengths) - lengths)[filled]
        numbers = np.tile(np.array(EMPTY), (len(groups), 1))
        if len(members):
            with np.errstate(invalid="ignore", over="ignore"):  # infinities give NaN, as in the definitions
                numbers[filled] = _united(self.numbers[members], starts, lengths[filled])
        if self.histogram is None:
            return Moments(numbers)
        counts = np.zeros((len(groups), self.histogram.shape[1]), np.int64)
        if len(members):
            counts[filled] = np.add.reduceat(self.histogram[members], starts)
        return Moments(numbers, counts)

    def statistics(self) -> NDArray[np.float32]:
        """Return [sets, 8]: every statistic of ``wire.MOMENTS``.

        Of no numbers at all the norm and the counts are 0 and the rest is NaN. float32 holds counts up to 2^24 =
        16,777,216 exactly; larger ones are rounded. A float64 beyond float32 becomes infinite, as its type has it.
        """
        count, mean, deviation, squares, low, high, zeros, nans, infs = self.numbers.T
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            some = np.where(count > 0, 1.0, np.nan)
            std = np.where(low == high, 0.0, np.sqrt(deviation / count))  # rounding of a constant's mean leaves some
            columns = [np.sqrt(squares), mean, std, low, high, zeros / count]
            columns = [columns[0], *(column * some for column in columns[1:]), nans, infs]
            return np.stack(columns, axis=1).astype(np.float32)


def joined(parts: Sequence[Moments]) -> Moments:
    """Return the sets of all parts, in order; with a histogram if every part has one."""
    if not parts:
        return Moments(np.zeros((0, len(FIELDS))), np.zeros((0, BINS), np.int64))
    histograms = [part.histogram for part in parts if part.histogram is not None]
    numbers = np.concatenate([part.numbers for part in parts])
    return Moments(numbers, np.concatenate(histograms) if len(histograms) == len(parts) else None)


def _united(numbers: NDArray[np.float64], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the moments of consecutive runs of sets together; no run is empty."""
    count = np.add.reduceat(numbers[:, COUNT], starts)
    share = numbers[:, COUNT] / np.repeat(np.maximum(count, 1), lengths)
    mean = np.add.reduceat(numbers[:, MEAN] * share, starts)
    gap = numbers[:, MEAN] - np.repeat(mean, lengths)
    gap[numbers[:, COUNT] == 0] = 0
    sums = np.add.reduceat(numbers, starts)
    sums[:, MEAN] = mean
    sums[:, DEVIATION] += np.add.reduceat(gap * gap * numbers[:, COUNT], starts)
    sums[:, LOW] = np.minimum.reduceat(numbers[:, LOW], starts)
    sums[:, HIGH] = np.maximum.reduceat(numbers[:, HIGH], starts)
    return sums


def table(
    names: Sequence[str], owners: Sequence[str], moments: Moments, *, measured: NDArray[np.bool_] | None = None
) -> wire.Statistics:
    """Return the sets as a message, a row each; a row of NaN where nothing was measured."""
    values, counts = moments.statistics(), None
    if measured is not None:
        values[~measured] = np.nan
    if moments.histogram is not None:
        counts = moments.histogram.astype(np.float32)
    return wire.Statistics(
        layers=tuple(names),
        owners=tuple(owners),
        statistics=wire.MOMENTS,
        values=values,
        histogram=counts,
        edges=() if counts is None else EDGES,
    )
