"""Writes what was measured as soon as it has arrived from where it was measured.

Where parameters are in shards, all ranks measure at the same steps, without asking each other: what is due must not
depend on what rank 0 alone knows. So there the schedules count what a record is foreseen to take, which every rank
knows, when it is taken; and rank 0 sees to it that what is really written stays within the bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from layerscope import wire
from layerscope.errors import RankError
from layerscope.findings import Examination
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.pending import Pending
from layerscope.probing.ranks import Ranks
from layerscope.writing import MessageWriter
from layerscope.writing.nowhere import Nowhere
from layerscope.writing.schedule import Schedules


class Due(NamedTuple):
    """What of one series is to be written at a step."""

    values: bool
    histograms: bool


EVERYTHING = Due(values=True, histograms=True)

Admit = Callable[[str, int], bool]
"""Asked whether there is room: (kind of summary, bytes) -> yes or no."""


class Recorder:
    """Takes statistics and writes them, at once from a CPU, later from an accelerator or from several ranks.

    Detectors look at everything that is written; what they find is written, too.

    Args:
        writer: where they go.
        ranks: what gathers statistics from several processes.
        writes: whether this is the process that writes; others measure what is sharded, and that is all.
    """

    def __init__(self, writer: MessageWriter, ranks: Ranks, *, writes: bool) -> None:
        self.examination = Examination()
        """The detectors, and what they have found."""
        self.writes = writes
        """Whether this is the process that writes."""
        self._writer = writer
        self._ranks = ranks
        self._rehearsal = MessageWriter(Nowhere())
        self._bytes_written = 0
        self._last_step = 0
        self._examined = False
        self._queue: deque[tuple[Pending, Callable[[wire.Statistics], None]]] = deque()

    def takes(self, rows: ParameterRows) -> bool:
        """Return whether this process has anything to do with what is measured of some parameters."""
        return self.writes or rows.sharded

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
        foreseen: set[str] = set()

        def admit(kind: str, size: int) -> bool:
            if pending.outline is None:
                fits = schedules is None or schedules.admit(kind, name, step, size, source)
            else:
                fits = kind in foreseen and (schedules is None or self._bytes_written + size <= schedules.max_bytes)
            self._bytes_written += size if fits and schedules is not None else 0
            return fits

        def foresee(kind: str, size: int) -> bool:
            if schedules is None or schedules.admit(kind, name, step, size, source):
                foreseen.add(kind)
            return kind in foreseen

        if pending.outline is not None:
            self._ranks.note(f"{name} at step {step}")
            _write(self._rehearsal, name, pending.outline, step, due, foresee)
        if self.writes:
            self._queue.append((pending, lambda statistics: self.write(name, statistics, step, due, admit)))
        self.flush()

    @contextmanager
    def alike(self) -> Iterator[None]:
        """Run what all ranks do alike: if it fails on this one, the others are told."""
        with self._ranks.alike():
            yield

    def exchange(self) -> None:
        """Let what was measured in this step go to rank 0; write what has arrived. Nothing waits.

        Raises:
            RankError: another rank is gone, does not record, or records something else.
        """
        self._ranks.send()
        self.flush()

    def flush(self) -> None:
        """Write what has arrived."""
        while self._queue and self._queue[0][0].arrived:
            self._write_next()

    def write(
        self, name: str, statistics: wire.Statistics, step: int, due: Due = EVERYTHING, admit: Admit | None = None
    ) -> None:
        """Write statistics now; those of no row at all, as of gradients where none came back, are left out."""
        self._last_step = step
        if not statistics.layers:
            return
        _write(self._writer, name, statistics, step, due, admit)
        if due.values:
            self._write_findings(self.examination.observe(name, statistics, step))

    def conclude(self) -> None:
        """Write everything that is still arriving, and what the detectors can say at the end of a training.

        Waits for other ranks, though not for long. Nothing can be taken afterwards.

        Raises:
            RankError: as ``exchange``, or a rank takes too long.
        """
        try:
            self._ranks.settle()
        finally:
            while self._queue:
                self._write_next()
            self._write_findings(self.examination.conclude())
            self._ranks.close()

    def _write_next(self) -> None:
        pending, write = self._queue.popleft()
        try:
            statistics = pending.result()
        except RankError:  # was raised when the ranks came apart
            return
        write(statistics)

    def _write_findings(self, new: tuple[wire.Finding, ...]) -> None:
        """Write new findings if there are any, and once when there are none, to say that the detectors look."""
        if new or (self.examination.examined and not self._examined):
            self._writer.findings(new, step=self._last_step)
            self._examined = True


def _write(
    writer: MessageWriter, name: str, statistics: wire.Statistics, step: int, due: Due, admit: Admit | None
) -> None:
    if due.values:
        shown = statistics if due.histograms else replace(statistics, histogram=None)
        writer.series(name, shown, step=step, admit=admit)
    elif due.histograms:
        writer.histograms(name, statistics, step=step, admit=admit)
