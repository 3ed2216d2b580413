"""What every detector is, and what it says when it has found something."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from layerscope.findings.record import Indices, Mask, Record

Scalar = TypeVar("Scalar", bound=np.generic)

ERROR = "error"
WARNING = "warning"


@dataclass(frozen=True)
class Sighting:
    """What a detector has found; with the name, the rule and the source of the detector it is a ``wire.Finding``."""

    severity: str
    step: int
    layer: str
    row: str
    measure: str
    message: str
    evidence: dict[str, float]
    others: tuple[str, ...] = ()
    since: int | None = None
    """The first of the records in a row in which it held; None: it shows in one."""


class Detector(ABC):
    """Looks at the records of some series, one after the other, and says what is wrong at the step where it is clear.

    A detector keeps little (counts by row, a few medians), so that it can run beside a training of any length.
    """

    series: ClassVar[tuple[str, ...]]
    """The series whose records it wants, in the order in which those of one step come."""
    needs: ClassVar[Mapping[str, int]]
    """Series -> how many of its records it takes at the least to find anything; enough of one series will do."""
    rule: ClassVar[str]
    """The rule in words, with its thresholds."""
    source: ClassVar[str]
    """Where the rule comes from."""

    @abstractmethod
    def observe(self, record: Record) -> Sequence[Sighting]:
        """Return what is new with this record."""

    def conclude(self) -> Sequence[Sighting]:
        """Return what can be said now that no more records come."""
        return ()


_NONE: Indices = np.zeros(0, np.intp)


class Persistence:
    """Tells of each row, once, when something has held in several records in a row.

    Args:
        records: how many.
        steps: how many steps these must span, the first and the last counted.
    """

    def __init__(self, records: int, *, steps: int = 0) -> None:
        self._records = records
        self._steps = steps
        self._counts = np.zeros(0, np.int64)
        self._since = np.zeros(0, np.int64)
        self._told = np.zeros(0, np.bool_)
        self._counting = False
        """Whether it may hold for any row."""

    def update(self, ids: Indices, holds: Mask, step: int) -> Indices:
        """Note for rows whether it holds and return the positions in ``ids`` where it has now held long enough."""
        if not holds.any():
            if self._counting:
                self._counts = roomy(self._counts, ids)
                self._counts[ids] = 0
                self._counting = bool(self._counts.any())
            return _NONE
        self._counting = True
        self._counts, self._since, self._told = (roomy(array, ids) for array in (self._counts, self._since, self._told))
        counts = np.where(holds, self._counts[ids] + 1, 0)
        self._counts[ids] = counts
        self._since[ids[counts == 1]] = step
        if counts.max(initial=0) < self._records:
            return _NONE
        long = (counts >= self._records) & (step - self._since[ids] + 1 >= self._steps if self._steps else True)
        new = np.flatnonzero(long & ~self._told[ids])
        self._told[ids[new]] = True
        return new

    def since(self, row: int) -> int:
        """Return at which step it began to hold for the row with this number."""
        return int(self._since[row])


def roomy(array: NDArray[Scalar], ids: Indices) -> NDArray[Scalar]:
    """Return ``array`` if it has room for all ``ids``, or else a larger one, with zeros at its end."""
    size = int(ids.max(initial=-1)) + 1
    if size <= len(array):
        return array
    return np.concatenate([array, np.zeros(2 * size - len(array), array.dtype)])


def listed(names: Sequence[str], limit: int = 3) -> str:
    """Return names for a message: the first ones quoted, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def also(names: Sequence[str]) -> str:
    """Return a sentence that lists other places, with a space before it; "" if there are none."""
    return f" The same holds for {listed(names)}." if names else ""


def finite(**evidence: float) -> dict[str, float]:
    """Return the numbers of an evidence without those that are not finite."""
    return {name: float(value) for name, value in evidence.items() if np.isfinite(value)}
