"""Answers what is wrong in a run: what detectors wrote, and what must be looked for now."""

from __future__ import annotations

from typing import Any

import numpy as np

from layerscope import codec, wire
from layerscope.errors import MalformedError
from layerscope.findings import DETECTORS, EXAMINED, Examination, in_order, is_loss, replay, unjudged
from layerscope.viewing.reader import read_run
from layerscope.viewing.store import Store

_REMEMBERED = 256
_PLENTY = max(least for detector in DETECTORS.values() for least in detector.needs.values())
"""As many records of a series as any detector needs."""


class Examiner:
    """Gives the findings of runs, and remembers them until the run has grown.

    Where findings were written, series stay unread, unless a loss has jumped: then the gradients are read once, to say
    which layers moved first. Only where none were written all series are examined.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[Any, wire.FindingsListing]] = {}
        self._counts: dict[tuple[str, str, str], tuple[int | None, int]] = {}
        self._spikes: dict[tuple[str, str, str, int], tuple[wire.Finding, ...]] = {}

    def listing(self, store: Store, run: str) -> wire.FindingsListing:
        """Return the findings of a run, in order of step.

        Raises:
            NotFoundError: there is no such run.
            WireError: what was written as findings is malformed, or, where none were, all that would be examined is.
        """
        tags = store.tags(run)
        written = [entry for entry in tags.tags if entry.kind == "findings"]
        read = written or [entry for entry in tags.tags if _is_examined(entry)]
        losses = {tag: store.scalar(run, tag) for tag in tags.scalars if is_loss(tag)}
        records = self._records(store, run, tags)
        state = (
            [(name, min(count, _PLENTY)) for name, count in records.items()],
            [(entry.tag, entry.max_step, entry.max_wall_time) for entry in read],
            [(tag, arrays.steps[-1], arrays.wall_times[-1]) for tag, arrays in losses.items()],
        )
        key = store.experiment_id, run
        known = self._known.get(key)
        if known is not None and known[0] == state:
            return known[1]
        found = _written(store, run, written) if written else _replayed(store, run)
        for tag, arrays in losses.items():
            values = arrays.values[:, 0, 0].astype(np.float64)
            found = in_order(found, self._spike(store, run, tag, arrays.steps, values))
        lacking = unjudged(records, tags.scalars, found)
        listing = wire.FindingsListing(run, found, bool(read or losses), lacking)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = state, listing
        return listing

    def _records(self, store: Store, run: str, tags: wire.TagListing) -> dict[str, int]:
        """Return name of a series that detectors look at -> number of its steps, at most about ``_PLENTY``.

        Of a tag that has that many it is known for good: to count them all of it would have to be read.
        """
        records: dict[str, int] = {}
        for entry in filter(_is_examined, tags.tags):
            key = store.experiment_id, run, entry.tag
            step, count = self._counts.get(key, (None, 0))
            if count < _PLENTY and step != entry.max_step:
                count = len(store.array(run, entry.tag).steps)
                if len(self._counts) >= _REMEMBERED:
                    self._counts.clear()
                self._counts[key] = entry.max_step, count
            records[_names(entry)] = max(records.get(_names(entry), 0), count)
        return records

    def _spike(self, store: Store, run: str, tag: str, steps: Any, values: Any) -> tuple[wire.Finding, ...]:
        """Return the first spike of a loss; with the layers that moved first, as they were when it was first seen."""
        found = Examination().observe_scalars({tag: (steps, values)})
        if not found:
            return ()
        key = store.experiment_id, run, tag, found[0].step
        if key not in self._spikes:
            gradients = read_run(store, run, lambda entry: _names(entry) == "gradients").series.get("gradients")
            if len(self._spikes) >= _REMEMBERED:
                self._spikes.clear()
            self._spikes[key] = Examination().observe_scalars({tag: (steps, values)}, gradients)
        return self._spikes[key]


def _names(entry: wire.TagEntry) -> str:
    """Return the name of the series that a tag holds, or ""."""
    return entry.metadata.name if isinstance(entry.metadata, wire.SeriesMetadata) else ""


def _is_examined(entry: wire.TagEntry) -> bool:
    return _names(entry) in EXAMINED


def _written(store: Store, run: str, entries: list[wire.TagEntry]) -> tuple[wire.Finding, ...]:
    blobs = (store.blob(run, entry.tag, step) for entry in entries for step in entry.steps)
    return in_order(*(codec.decode_findings(blob).findings for blob in blobs))


def _replayed(store: Store, run: str) -> tuple[wire.Finding, ...]:
    read = read_run(store, run, lambda entry: entry.kind == "graph" or _is_examined(entry))
    if read.problems and not read.series:
        raise MalformedError(f"nothing of run {run!r} could be examined: {' '.join(read.problems)}")
    examination = Examination(read.graph)
    replay(examination, read.series)
    return examination.findings
