"""Steps of the optimizer that are too large or too small for what they change: a bad learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from layerscope.findings.detector import ERROR, WARNING, Detector, Persistence, Sighting, also, finite, roomy
from layerscope.findings.record import Floats, Indices, Mask, Record


class UpdateRatio(Detector):
    """The norm of a layer's update over the norm of its parameters is far from what trains, record after record.

    Of each layer all its own parameters count together, so that a bias that begins at zero, with an infinite ratio of
    its own, does not matter. A layer that begins near zero as a whole is judged once its ratio has come down. What is
    too small is said only if half of the layers have never had larger updates, at a learning rate that is not rising:
    converged networks, warm-up and decay are no faults, and gradients that vanish are another one.
    """

    GREATEST_RATIO = 0.3
    RECORDS = 5
    STEPS = 10
    GREATEST_RATIO_AT_ONCE = 1.0
    LEAST_RATIO = 1e-7
    RECORDS_TOO_SMALL = 3
    STEPS_TOO_SMALL = 50

    series = ("updates",)
    needs: ClassVar[Mapping[str, int]] = {"updates": min(RECORDS, RECORDS_TOO_SMALL)}
    rule = (
        f"Norm of the update over norm of the parameters of a layer above {GREATEST_RATIO:g} in {RECORDS} records in a "
        f"row that span {STEPS} steps, or above {GREATEST_RATIO_AT_ONCE:g} in half of the layers at once; or below "
        f"{LEAST_RATIO:g}, and never above, in half of the layers in {RECORDS_TOO_SMALL} records in a row that span "
        f"{STEPS_TOO_SMALL} steps, at a learning rate that does not rise."
    )
    source = (
        "Karpathy, CS231n, Neural Networks Part 3, Ratio of weights:updates: about 1e-3; 0.3 is 300 times that, and "
        "1e-7 the precision of float32. Amazon SageMaker Debugger, rule WeightUpdateRatio, has 10 and 1e-8."
    )

    def __init__(self) -> None:
        self._high = Persistence(self.RECORDS, steps=self.STEPS)
        self._at_once = Persistence(1)
        self._low = Persistence(self.RECORDS_TOO_SMALL, steps=self.STEPS_TOO_SMALL)
        self._too_high = False
        """Whether it was said of half of the layers: what follows is no news."""
        self._largest = np.zeros(0)
        self._rate = np.zeros(0)
        self._judged = np.zeros(0, np.bool_)

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        norms, ratios, rates, rows = (
            record.column("norm"),
            record.column("update_ratio"),
            record.column("learning_rate"),
            record.rows,
        )
        if norms is None or ratios is None or rates is None or not len(rows.parameters):
            return ()
        ids = rows.ids[rows.parameters[rows.starts]]  # a layer goes by its first parameter
        self._largest, self._rate = roomy(self._largest, ids), roomy(self._rate, ids)
        self._judged = roomy(self._judged, ids)
        ratio = _of_layers(record, norms, ratios)
        rate = np.fmax.reduceat(rates[rows.parameters], rows.starts)
        first = (self._largest[ids] == 0) & (ratio > 0)
        self._judged[ids] |= (ratio <= self.GREATEST_RATIO) | (first & (ratio < np.inf))
        self._largest[ids] = np.fmax(self._largest[ids], ratio)
        before = self._rate[ids]
        steady = (rate > 0) & ((before == 0) | (rate <= before * (1 + 1e-6)))
        self._rate[ids] = rate
        judged, moving = self._judged[ids], ratio > 0
        huge = judged & (ratio > self.GREATEST_RATIO_AT_ONCE)
        huge &= _many(huge, moving)
        new = self._high.update(ids, judged & (ratio > self.GREATEST_RATIO), record.step)
        if not self._too_high and huge.any():
            new = np.union1d(new, self._at_once.update(ids, huge, record.step))
        found: list[Sighting] = []
        if len(new) and not self._too_high:
            self._too_high = bool(_many(np.isin(np.arange(len(ratio)), new), moving))
            found.append(self._sighting(record, new[np.argsort(-ratio[new], kind="stable")], ratio, rate, large=True))
        too_small = moving & (self._largest[ids] < self.LEAST_RATIO) & steady
        too_small &= _many(too_small, moving)
        if len(new := self._low.update(ids, too_small, record.step)):
            found.append(self._sighting(record, new[np.argsort(ratio[new], kind="stable")], ratio, rate, large=False))
        return found

    def _sighting(self, record: Record, new: Indices, ratio: Floats, rate: Floats, *, large: bool) -> Sighting:
        layers = [record.rows.places[i] for i in new.tolist()]
        layer, others = layers[0], tuple(layers[1:])
        first = int(new[0])
        persistence = self._high if large else self._low
        words = (
            f"The updates of {layer!r} are {ratio[first]:.2g} times as large as its parameters: the learning rate, "
            f"{rate[first]:.3g}, is too high."
            if large
            else f"The updates of {layer!r} are {ratio[first]:.1e} times as large as its parameters: at the "
            f"learning rate {rate[first]:.3g} it does not learn."
        )
        return Sighting(
            ERROR if large else WARNING,
            record.step,
            layer,
            layer,
            "updates.update_ratio",
            words + also(others),
            finite(update_ratio=ratio[first], learning_rate=rate[first], layers=len(layers)),
            others,
            persistence.since(int(record.rows.ids[record.rows.parameters[record.rows.starts[first]]])),
        )


def _many(some: Mask, of_all: Mask) -> bool:
    """Return whether ``some`` are at least half of all: then the learning rate is to blame, not one layer."""
    return 2 * np.count_nonzero(some) >= max(1, np.count_nonzero(of_all))


def _of_layers(record: Record, norms: Floats, ratios: Floats) -> Floats:
    """Return [places] the ratio of each layer's own parameters together; NaN where one of them does not move.

    The norm of a parameter follows from its update and its ratio. The ratio of one that was zero is NaN (or infinite);
    the norm of one that does not move is not known.
    """
    rows = record.rows
    updates, ratios = norms[rows.parameters], ratios[rows.parameters]
    held = np.where(np.isnan(ratios) & (updates > 0), 0.0, updates / ratios)
    sums = np.add.reduceat(np.stack([updates, held]) ** 2, rows.starts, axis=1)
    return np.sqrt(sums[0] / sums[1])
