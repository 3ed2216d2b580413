"""Gradients that die on their way from the loss to the first layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from layerscope.findings.detector import WARNING, Detector, Sighting, also, finite
from layerscope.findings.record import Record, Rows


class Vanishing(Detector):
    """The gradients of the first layers are far smaller than those of the last ones, record after record.

    Compared are the medians of the first and the last quarter of the layers that own parameters; of each layer the
    largest root mean square among its parameters' gradients, sqrt((mean² + std²) / (1 - share of zeros)), which depends
    neither on how many elements it has nor on how many are used. Layers without gradient, or with one that is exactly
    zero, are left out. Behind a layer that was initialized at zero the ratio begins low and grows with the steps: the
    records are counted anew where it has grown by half, and they must be half of those since it became low, which they
    never are while it grows in proportion to them, however small the learning rate.
    """

    LEAST_RATIO = 1e-4
    RECORDS = 5
    GROWN = 1.5
    LEAST_LAYERS = 3

    series = ("gradients",)
    needs: ClassVar[Mapping[str, int]] = {"gradients": RECORDS}
    rule = (
        f"Root mean square of the gradients of the first quarter of the layers below {LEAST_RATIO:g} of that of the "
        f"last quarter, in {RECORDS} records in a row (and half of all since it is) in which it does not grow by half."
    )
    source = (
        "Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, section "
        "4.2.2. The threshold is a tenth of beta_1 in Zhang et al. 2021, AutoTrainer: perceptrons of ten layers, which "
        "Adam still trains, come down to 2e-4."
    )

    def __init__(self) -> None:
        self._runs: dict[Rows, tuple[int, float, int]] = {}
        """Rows -> (records in a row, ratio and step of the first of them)."""
        self._low: dict[Rows, int] = {}
        """Rows -> records in a row with a low ratio, however it grew."""
        self._told: set[Rows] = set()

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        flow = record.flow
        if len(flow.places) < self.LEAST_LAYERS or record.rows in self._told:
            return ()
        early, late = flow.early, flow.late
        ratio = early / late
        count, first, since = self._runs.get(record.rows, (0, ratio, record.step))
        if ratio >= self.LEAST_RATIO:
            self._runs.pop(record.rows, None)
            self._low.pop(record.rows, None)
            return ()
        grown = ratio > self.GROWN * first
        count, first, since = (1, ratio, record.step) if grown else (count + 1, first, since)
        self._runs[record.rows] = count, first, since
        self._low[record.rows] = low_records = self._low.get(record.rows, 0) + 1
        if count < self.RECORDS or 2 * count < low_records:
            return ()
        self._told.add(record.rows)
        low = [i for i in range(len(flow.places)) if flow.sizes[i] < self.LEAST_RATIO * late]
        first_layer = flow.places[low[0]]
        others = tuple(flow.places[i] for i in sorted(low[1:], key=lambda i: flow.sizes[i]))
        return (
            Sighting(
                WARNING,
                record.step,
                first_layer,
                first_layer,
                "gradients.norm",
                f"The gradient vanishes towards the input: in {first_layer!r} it is "
                f"{flow.sizes[low[0]] / late:.1e} of what it is in the last layers, so the first layers hardly learn."
                f"{also(others)}",
                finite(ratio=ratio, early=early, late=late, layer=flow.sizes[low[0]], layers=len(flow.places)),
                others,
                since,
            ),
        )
