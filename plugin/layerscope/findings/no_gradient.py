"""Parameters that are to be trained, but that no gradient ever reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerscope.findings.detector import WARNING, Detector, Persistence, Sighting, also, finite, roomy
from layerscope.findings.record import Indices, Mask, Record, of_whole_layers


class NoGradient(Detector):
    """A parameter that requires a gradient has never had one, while others have: a branch is detached or not used.

    A gradient that is exactly zero counts as none if it is so for all parameters of the layer: a gradient that merely
    cancels (of a bias before a normalization) leaves rounding errors, one that is cut off or goes through dead units
    does not. Layers that a projection of zeros follows (LoRA, zero-initialized residuals) get theirs after the first
    steps, experts and heads that are used now and then sooner or later, hence the number of records. Whether a
    parameter requires a gradient is known from the series ``parameters``, or else from the structure.
    """

    RECORDS = 10

    series = ("gradients",)
    rule = (
        f"Requires a gradient, but has never had one other than zero in the first {RECORDS} records in a row, in each "
        "of which other parameters had."
    )
    source = (
        "PyTorch, Autograd mechanics: .grad is None where no graph leads from the loss to a leaf; "
        "DistributedDataParallel calls these unused parameters."
    )

    def __init__(self) -> None:
        self._persistence = Persistence(self.RECORDS)
        self._had = np.zeros(0, np.bool_)

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        norms, rows = record.column("norm"), record.rows
        if norms is None or not len(rows.parameters):
            return ()
        norms, ids = norms[rows.parameters], rows.ids[rows.parameters]
        had = (norms > 0) | record.not_finite[rows.parameters]  # NaN > 0 is False
        self._note(ids, had)
        absent = np.isnan(norms) & ~record.not_finite[rows.parameters]
        lacking = (absent | of_whole_layers(rows, norms == 0)) & ~self._had[ids] & had.any()
        if not lacking.any():
            self._persistence.update(ids, lacking, record.step)
            return ()
        trainable = record.known.trainable[ids]
        lacking &= np.where(np.isnan(trainable), rows.handed_gradients[rows.parameters], trainable == 1)
        new = self._persistence.update(ids, lacking, record.step)
        if not len(new):
            return ()
        found = rows.parameters[new]
        row, layer = rows.names[found[0]], rows.owners[found[0]]
        others = tuple(dict.fromkeys(rows.names[i] for i in found[1:].tolist() if rows.owners[i] != layer))
        what = (
            f"{row!r} requires a gradient but never gets one, not even zeros: the loss does not depend on it (it is "
            "not used, or what comes of it is detached)."
            if absent[new[0]]
            else f"The gradient of {row!r} has been exactly zero so far: nothing of it gets through what follows."
        )
        return (
            Sighting(
                WARNING,
                record.step,
                layer,
                row,
                "gradients.norm",
                what + also(others),
                finite(records=self.RECORDS, parameters=len(new)),
                others,
            ),
        )

    def _note(self, ids: Indices, had: Mask) -> None:
        self._had = roomy(self._had, ids)
        self._had[ids[had]] = True
