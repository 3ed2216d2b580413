"""Writes what was measured as soon as it has arrived from where it was measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from layerscope import wire
from layerscope.findings import Examination
from layerscope.probing.pending import Pending
from layerscope.writing import MessageWriter
from layerscope.writing.schedule import Schedules


class Due(NamedTuple):
    """What of one series is to be written at a step."""

    values: bool
    histograms: bool


EVERYTHING = Due(values=True, histograms=True)

Admit = Callable[[str, int], bool]
"""Asked whether there is room: (kind of summary, bytes) -> yes or no."""


class Recorder:
    """Takes statistics and writes them, at once from a CPU, at a later record from an accelerator.

    Detectors look at everything that is written; what they find is written, too.

    Args:
        writer: where they go.
    """

    def __init__(self, writer: MessageWriter) -> None:
        self.examination = Examination()
        """The detectors, and what they have found."""
        self._writer = writer
        self._last_step = 0
        self._examined = False
        self._queue: deque[tuple[Pending, Callable[[wire.Statistics], None]]] = deque()

    def take(
        self, name: str, pending: Pending, step: int, due: Due, *, source: int = 0, schedules: Schedules | None = None
    ) -> None:
        """Take the statistics of series ``name`` at ``step``, of which ``due`` is to be written.

        Args:
            name: of the series.
            pending: the statistics.
            step: training step.
            due: what of them is to be written.
            source: on whose behalf ``schedules`` are asked.
            schedules: asked for room; None writes in any case.
        """

        def admit(kind: str, size: int) -> bool:
            return schedules is None or schedules.admit(kind, name, step, size, source)

        self._queue.append((pending, lambda statistics: self.write(name, statistics, step, due, admit)))
        self.flush(wait=False)

    def flush(self, *, wait: bool) -> None:
        """Write what has arrived; with ``wait``, everything."""
        while self._queue and (wait or self._queue[0][0].arrived):
            pending, write = self._queue.popleft()
            write(pending.result())

    def write(
        self, name: str, statistics: wire.Statistics, step: int, due: Due = EVERYTHING, admit: Admit | None = None
    ) -> None:
        """Write statistics now."""
        self._last_step = step
        if due.values:
            shown = statistics if due.histograms else replace(statistics, histogram=None)
            self._writer.series(name, shown, step=step, admit=admit)
            self._write_findings(self.examination.observe(name, statistics, step))
        elif due.histograms:
            self._writer.histograms(name, statistics, step=step, admit=admit)

    def conclude(self) -> None:
        """Write everything that is still arriving, and what the detectors can say at the end of a training."""
        self.flush(wait=True)
        self._write_findings(self.examination.conclude())

    def _write_findings(self, new: tuple[wire.Finding, ...]) -> None:
        """Write all findings if there are new ones, and once when there are none, to say that the detectors look."""
        if new or (self.examination.examined and not self._examined):
            self._writer.findings(self.examination.findings, step=self._last_step)
            self._examined = True
