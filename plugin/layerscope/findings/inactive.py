"""Units that do nothing: dead and saturated ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from layerscope.findings.detector import Detector, Persistence, Sighting
from layerscope.findings.record import Floats, Mask, Record


class InactiveUnits(Detector):
    """A share of a layer's units that is too large in several records in a row, for some steps.

    What is initialized at zero gives zeros in the first steps, the more the more of it is nested; while the learning
    rate is warming up from zero, too.
    """

    RECORDS: ClassVar[int] = 3
    STEPS: ClassVar[int] = 10

    series = ("training_activations", "activations")
    needs: ClassVar[Mapping[str, int]] = dict.fromkeys(series, RECORDS)
    statistic: ClassVar[str]

    def __init__(self) -> None:
        self._persistence = {series: Persistence(self.RECORDS, steps=self.STEPS) for series in self.series}

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        share = record.column(self.statistic)
        if share is None:
            return ()
        rows = record.rows
        persistence = self._persistence[record.series]
        new = persistence.update(rows.ids, self._too_many(record, share), record.step).tolist()
        new = [row for row in rows.nesting.innermost(new) if not self._is_exempt(record, row)] if new else []
        if not new:
            return ()
        others = tuple(rows.names[row] for row in sorted(new[1:], key=lambda row: -share[row]))
        since = persistence.since(int(rows.ids[new[0]]))
        return (self._sighting(record, rows.names[new[0]], float(share[new[0]]), others, since),)

    @abstractmethod
    def _too_many(self, record: Record, share: Floats) -> Mask: ...

    @abstractmethod
    def _is_exempt(self, record: Record, row: int) -> bool: ...

    @abstractmethod
    def _sighting(self, record: Record, layer: str, share: float, others: tuple[str, ...], since: int) -> Sighting: ...
