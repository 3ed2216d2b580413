"""Gradients that grow without bounds: on their way to the input, or from step to step."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from layerscope.findings.detector import ERROR, WARNING, Detector, Sighting, also, finite
from layerscope.findings.record import Floats, Record, Rows


class Exploding(Detector):
    """Gradients are far larger in the first layers than in the last ones, or far larger than they ever were.

    Over depth: the root mean squares that ``Vanishing`` compares, the other way round, and the norms of the gradients
    of the layers' outputs, among them each call of a recurrent cell. Over time: the norm of the
    whole gradient against its median in the records before and against the largest of all of them, so that a step that
    is hard for a converged network, whose median is tiny, is none. What explodes may be infinite with the next record:
    then fewer records are enough.
    """

    GREATEST_RATIO = 1e3
    GREATEST_GROWTH = 100.0
    RECORDS = 3
    HISTORY = 50
    LEAST_HISTORY = 10

    series = ("activation_gradients", "gradients")
    needs: ClassVar[Mapping[str, int]] = dict.fromkeys(series, RECORDS)
    rule = (
        f"Gradients of the first quarter of the layers above {GREATEST_RATIO:g} times those of the last quarter (root "
        "mean square for parameters, norm for outputs); or the norm of all gradients of parameters above "
        f"{GREATEST_GROWTH:g} times its median over up to {HISTORY} records before, and above every one of them. In "
        f"{RECORDS} records in a row, or until a record that is not finite."
    )
    source = (
        "Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, sections 2.1 and "
        "3.2 (the norm is judged by its average over earlier updates). Both thresholds lie above the 70 of beta_3 in "
        "Zhang et al. 2021, AutoTrainer, section III, which healthy deep networks reach."
    )

    def __init__(self) -> None:
        self._depth: dict[Rows, list[Sighting]] = {}
        self._time: dict[Rows, list[Sighting]] = {}
        self._history: dict[Rows, deque[tuple[float, Floats]]] = {}
        self._largest: dict[Rows, float] = {}
        self._told: set[tuple[Rows, str]] = set()

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        rows = record.rows
        if record.any_not_finite:
            found = [self._tell(rows, way, runs[rows]) for way, runs in self._ways() if runs.get(rows)]
            self._depth.pop(rows, None)
            self._time.pop(rows, None)
            return [sighting for sighting in found if sighting is not None]
        found: list[Sighting | None] = []
        for (way, runs), sighting in zip(
            self._ways(), (self._over_depth(record), self._over_time(record)), strict=True
        ):
            if sighting is None:
                runs.pop(rows, None)
                continue
            runs.setdefault(rows, []).append(sighting)
            if len(runs[rows]) >= self.RECORDS:
                found.append(self._tell(rows, way, runs.pop(rows)))
        return [sighting for sighting in found if sighting is not None]

    def _ways(self) -> tuple[tuple[str, dict[Rows, list[Sighting]]], ...]:
        return ("depth", self._depth), ("time", self._time)

    def _tell(self, rows: Rows, way: str, sightings: list[Sighting]) -> Sighting | None:
        if (rows, way) in self._told:
            return None
        self._told.add((rows, way))
        return replace(sightings[-1], since=sightings[0].step)

    def _over_depth(self, record: Record) -> Sighting | None:
        flow = record.flow
        if len(flow.places) < 2 or (record.rows, "depth") in self._told:
            return None
        early, late = flow.early, flow.late
        if early <= self.GREATEST_RATIO * late:
            return None
        high = [i for i in range(len(flow.places)) if flow.sizes[i] > self.GREATEST_RATIO * late]
        high.sort(key=lambda i: -flow.sizes[i])
        layer, others = flow.places[high[0]], tuple(flow.places[i] for i in high[1:])
        return Sighting(
            WARNING,
            record.step,
            layer,
            layer,
            f"{record.series}.norm",
            f"The gradient explodes towards the input: in {layer!r} it is {flow.sizes[high[0]] / late:.1e} times what "
            f"it is in the last layers.{also(others)}",
            finite(ratio=early / late, early=early, late=late, layers=len(flow.places)),
            others,
        )

    def _over_time(self, record: Record) -> Sighting | None:
        norms, rows = record.column("norm"), record.rows
        if norms is None or not len(rows.parameters):  # of outputs: batches may differ in size
            return None
        norms = norms[rows.parameters]
        total = float(np.sqrt(np.nansum(norms * norms)))
        history = self._history.setdefault(rows, deque(maxlen=self.HISTORY))
        largest = self._largest.get(rows, 0.0)
        if (
            len(history) < self.LEAST_HISTORY
            or total <= largest
            or total <= self.GREATEST_GROWTH * (median := float(np.median([past for past, _ in history])))
        ):
            history.append((total, norms))
            self._largest[rows] = max(largest, total)
            return None
        # What explodes is no measure for what comes: neither history nor largest learn of it.
        before = np.median(np.nan_to_num(np.stack([past for _, past in history])), axis=0)
        growth = np.maximum.reduceat(np.nan_to_num(norms / np.maximum(before, np.finfo(np.float32).tiny)), rows.starts)
        order = np.argsort(-growth, kind="stable")
        high = [rows.places[i] for i in order.tolist() if growth[i] > self.GREATEST_GROWTH] or [rows.places[order[0]]]
        return Sighting(
            ERROR,
            record.step,
            high[0],
            high[0],
            "gradients.norm",
            f"The gradient explodes: its norm is {total:.3g}, and was {median:.3g} in the records before. It grew most "
            f"in {high[0]!r}, {float(growth[order[0]]):.1e} times.{also(high[1:])}",
            finite(norm=total, median_norm=median, largest_norm=largest, growth=total / median if median else np.inf),
            tuple(high[1:]),
        )
