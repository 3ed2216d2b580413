"""When to record: often at first, then ever more rarely, so that a run of any length writes a bounded number of bytes.

What is in an event file stays there, so nothing can be thinned afterwards; and how long a run will be is not known
beforehand. Spacings that double, with about as many records at each, give every stretch of a run the same number of
records in relation to its length.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Hashable, Mapping
from typing import Any

from layerscope.errors import InvalidArgumentError

EVERY: dict[str, int] = {
    "gradients": 1,
    "parameters": 50,
    "updates": 50,
    "training_activations": 100,
    "activation_gradients": 100,
    "histograms": 10,
}
"""What is recorded by itself -> every how many steps, at first. ``histograms`` counts for those of all series, where it
is rounded up to a multiple of the series' own number."""

WITH_HISTOGRAMS = ("gradients", "parameters", "training_activations", "activation_gradients")
"""The series that have histograms."""

MAX_BYTES = 128 << 20
"""Of a model with 650 rows, a run of 100,000 steps takes 50 MiB then: 390 points in time of each gradient, 100 of its
histograms. TensorBoard's slower loader, in Python, reads that in 15 s."""

HORIZON = 10_000_000
"""How many steps the records are spread over; where there are more, the last bytes go to them."""


class Schedule:
    """Says at which steps a record is due, such that at most ``max_bytes`` are written, however long the run is.

    The first record is due at once, then one at every multiple of ``every``, then of twice ``every``, of four times,
    and so on. The spacing doubles whenever an octave has used up its share of the bytes, which is the same for each
    octave of the first ``HORIZON`` steps; of what is left after them, each octave may use half. So where N records fit,
    N / 20 to N / 14 are written at full rate (N = 1,000 and ``every`` = 1: steps 0 to 56), and of a run that has come
    further, however long, its last half has about as many. When the bytes are used up, nothing is due any more.

    Steps may count up by more than one (a number of samples or tokens): once the first octave is full, what counts is
    how often it was asked. They may repeat; where they go back to before the last record's multiple, the next one is
    due. The bound holds all the same.

    Args:
        every: the spacing at first, in steps, at least 1.
        max_bytes: how much may be written in all.
    """

    def __init__(self, every: int, max_bytes: int) -> None:
        self.spacing = every
        """Records are at multiples of it now, in steps."""
        self.bytes_left = max_bytes
        """What may still be written."""
        self.bytes_written = 0
        self._octave_bytes: int | None = None
        self._asked = 0
        self._first_asked: int | None = None
        self._last_asked: int | None = None
        self._last_due: dict[Hashable, int] = {}
        self._awaited: set[Hashable] = set()
        self._last_admitted: int | None = None
        self._step_bytes = 0
        self._record_bytes = 0
        """The most that one step took, of all sources together; 0 as long as nothing was admitted."""

    def due(self, step: int, source: Hashable = None) -> bool:
        """Return whether to record at ``step``; the same answer when asked again, until that record was admitted.

        Args:
            step: number of the step.
            source: who asks, where several (optimizers) record their rows of one series: each has records at all steps
                that are due.
        """
        if self._record_bytes > self.bytes_left:
            return False
        if step != self._last_asked:  # all sources of one step have one spacing
            self._last_asked = step
            self._asked += 1
            if self._first_asked is None:
                self._first_asked = step
            self._begin_octave_if_full(step - self._first_asked)
        last = self._last_due.get(source)
        if step == last:
            return source in self._awaited
        if last is not None and step // self.spacing == last // self.spacing:
            return False
        self._last_due[source] = step
        self._awaited.add(source)
        return True

    def admit(self, step: int, size: int, source: Hashable = None) -> bool:
        """Return whether a record of ``size`` bytes fits; it counts as written then.

        If it does not, nothing is due from now on.

        Args:
            step: number of the step.
            size: all that the event file will hold for it.
            source: as for ``due``.
        """
        self._awaited.discard(source)
        self._step_bytes = size + (self._step_bytes if step == self._last_admitted else 0)
        self._last_admitted = step
        self._record_bytes = max(self._record_bytes, self._step_bytes)
        if size > self.bytes_left:
            self._record_bytes = max(self._record_bytes, self.bytes_left + 1)
            return False
        self.bytes_left -= size
        self.bytes_written += size
        if self._octave_bytes is not None:
            self._octave_bytes -= size
        return True

    def _begin_octave_if_full(self, passed: int) -> None:
        if self._record_bytes == 0 or (self._octave_bytes is not None and self._octave_bytes >= self._record_bytes):
            return
        stride = max(1.0, passed / max(1, self._asked - 1))
        if self._octave_bytes is not None:
            while self.spacing < stride:
                self.spacing *= 2
            self.spacing *= 2
        records = self.bytes_left / self._record_bytes
        octaves = _octaves(records, (HORIZON * stride - passed) / max(stride, self.spacing))
        if octaves > records and self._octave_bytes is not None:  # too few even for one in each: leave some out
            self.spacing *= 2 ** (math.ceil(octaves / records) - 1)
        self._octave_bytes = max(self._record_bytes, self.bytes_left // octaves)


def _octaves(records: float, spacings: float) -> int:
    """Return over how many octaves, equal in records, ``records`` reach as far as so many times the first spacing."""
    if spacings <= 0:
        return 2
    octaves = 1
    while records / octaves * (2**octaves - 1) < spacings:
        octaves += 1
    return octaves


class Schedules:
    """The schedules of everything that is recorded by itself, which share ``max_bytes`` equally.

    Args:
        every: the spacings at first, in steps: a number for all, or a mapping that changes some of ``EVERY``; 0 turns
            one off, and leaves its share to the others.
        max_bytes: how much may be written in all: series and histograms, with all that the event file holds for them.
            Findings are not among them: there are at most 200, each is written once, and 200 took 192 kB.

    Raises:
        InvalidArgumentError: a name that is not in ``EVERY``, or a number that is negative or not whole.
    """

    def __init__(self, every: int | Mapping[str, int] | None = None, max_bytes: int = MAX_BYTES) -> None:
        spacings = _spacings(every)
        max_bytes = _whole("max_bytes must be a whole number >= 0", max_bytes)
        first = {("series", name): spacing for name, spacing in spacings.items() if spacing and name != "histograms"}
        if spacings["histograms"]:  # at steps at which there are values too, so that little is measured for them alone
            for name in WITH_HISTOGRAMS:
                if spacings[name]:
                    first["histograms", name] = math.ceil(spacings["histograms"] / spacings[name]) * spacings[name]
        self.max_bytes = max_bytes
        self._schedules = {what: Schedule(spacing, max_bytes // len(first)) for what, spacing in first.items()}

    def due(self, kind: str, name: str, step: int, source: Hashable = None) -> bool:
        """Return whether series ``name`` is due at ``step``: its values (kind ``series``) or its ``histograms``."""
        schedule = self._schedules.get((kind, name))
        return schedule is not None and schedule.due(step, source)

    def admit(self, kind: str, name: str, step: int, size: int, source: Hashable = None) -> bool:
        """Return whether a record of ``size`` bytes fits; it counts as written then. Arguments as for ``due``.

        Raises:
            InvalidArgumentError: not even the first one fits, so nothing of this series will be written.
        """
        schedule = self._schedules[kind, name]
        if schedule.admit(step, size, source):
            return True
        if schedule.bytes_written:
            return False
        what = f"the histograms of {name}" if kind == "histograms" else name
        raise InvalidArgumentError(
            f"max_bytes={self.max_bytes} leaves {schedule.bytes_left} bytes for {what}, but one record of this model "
            f"takes {size}, so none is written. Give at least max_bytes={size * len(self._schedules) * 100} (100 "
            f"records), or turn it off: every={{{('histograms' if kind == 'histograms' else name)!r}: 0}}."
        )

    @property
    def bytes_written(self) -> int:
        """How much was written so far."""
        return sum(schedule.bytes_written for schedule in self._schedules.values())


def _whole(rule: str, number: Any) -> int:
    """Return a whole number >= 0, numpy's too, as an int."""
    try:
        whole = -1 if isinstance(number, bool) else operator.index(number)
    except TypeError:
        whole = -1
    if whole < 0:
        raise InvalidArgumentError(f"{rule}, but it is {number!r}.")
    return whole


def _spacings(every: int | Mapping[str, int] | None) -> dict[str, int]:
    if every is None:
        return EVERY
    given = every if isinstance(every, Mapping) else dict.fromkeys(EVERY, every)
    for name in given:
        if name not in EVERY:
            raise InvalidArgumentError(f"every names {name!r}, but what can be recorded is {', '.join(EVERY)}.")
    return EVERY | {
        name: _whole(f"every[{name!r}] must be a whole number of steps >= 0", spacing)
        for name, spacing in given.items()
    }
