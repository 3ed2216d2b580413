"""Bounded activation functions that sit at their bounds, where they have no slope."""

from __future__ import annotations

from layerscope.findings.detector import WARNING, Sighting, also, finite
from layerscope.findings.inactive import InactiveUnits
from layerscope.findings.record import Floats, Mask, Record


class Saturated(InactiveUnits):
    """Nearly all outputs of a bounded activation function (sigmoid, tanh, ...) lie at its bounds, record after record.

    What stands behind the last layer with parameters is exempt: the probabilities of a good classifier are near 0 and
    1, the pixels of a good generator often black and white. Without the structure it is what ran after that layer;
    which layers have parameters is known from the series of the parameters.
    """

    SATURATED_FRACTION = 0.9

    statistic = "saturated_fraction"
    rule = (
        f"At least {SATURATED_FRACTION:.0%} of the elements within 1 % of a bound of the activation function, in "
        f"{InactiveUnits.RECORDS} records in a row that span {InactiveUnits.STEPS} steps; not behind the last "
        "layer with parameters."
    )
    source = (
        "Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks, sections "
        "3.1 and 3.2. Stricter than Amazon SageMaker Debugger, rule SaturatedActivation (50 %), since gates are often "
        "open or shut in healthy networks."
    )

    def _too_many(self, record: Record, share: Floats) -> Mask:
        return share >= self.SATURATED_FRACTION

    def _is_exempt(self, record: Record, row: int) -> bool:
        nesting = record.rows.nesting
        if nesting.knows_edges:
            return row in nesting.at_output
        return row in nesting.behind(record.known.owners)

    def _sighting(self, record: Record, layer: str, share: float, others: tuple[str, ...], since: int) -> Sighting:
        return Sighting(
            WARNING,
            record.step,
            layer,
            layer,
            f"{record.series}.saturated_fraction",
            f"{layer!r} is saturated: {share:.0%} of its outputs lie at a bound, where hardly any gradient "
            "gets through."
            f"{also(others)}",
            finite(saturated_fraction=share, records=self.RECORDS),
            others,
            since,
        )
