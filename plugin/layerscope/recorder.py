"""Writes what was measured as soon as it has arrived from where it was measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from layerscope import wire
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

    Args:
        writer: where they go.
    """

    def __init__(self, writer: MessageWriter) -> None:
        self._writer = writer
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
        if due.values:
            shown = statistics if due.histograms else replace(statistics, histogram=None)
            self._writer.series(name, shown, step=step, admit=admit)
        elif due.histograms:
            self._writer.histograms(name, statistics, step=step, admit=admit)
