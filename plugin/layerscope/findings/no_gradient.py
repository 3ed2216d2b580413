"""Parameters that are to be trained, but that no gradient ever reaches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from layerscope.findings.detector import WARNING, Detector, Persistence, Sighting, also, finite, roomy
from layerscope.findings.record import Indices, Mask, Record, Rows, of_whole_layers


class NoGradient(Detector):
    """A parameter that requires a gradient has never had one, while others have: a branch is detached or not used.

    A gradient that is exactly zero counts as none if it is so for all parameters of the layer: a gradient that merely
    cancels (of a bias before a normalization) leaves rounding errors, one that is cut off or goes through dead units
    does not. Layers that a projection of zeros follows (LoRA, zero-initialized residuals) get theirs after the first
    steps, experts and heads that are used now and then sooner or later, hence the number of records. Whether a
    parameter requires a gradient is known from the series ``parameters``, or else from the structure.

    What loses a gradient on its way back shows in all layers before it. So the last of these is named, which is next to
    the place; the others are listed from there back to the input.
    """

    RECORDS = 10

    series = ("gradients",)
    needs: ClassVar[Mapping[str, int]] = {"gradients": RECORDS}
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
        kinds = new[absent[new]], new[~absent[new]]
        return [self._sighting(record, kind, absent=i == 0) for i, kind in enumerate(kinds) if len(kind)]

    def _sighting(self, record: Record, new: Indices, *, absent: bool) -> Sighting:
        rows = record.rows
        found = rows.parameters[new].tolist()
        layer = rows.owners[found[-1]]
        first = next(i for i, name in enumerate(found) if rows.owners[name] == layer)
        place = {owner: i for i, owner in enumerate(rows.places)}
        before = sorted(found[:first], key=lambda i: place[rows.owners[i]], reverse=True)
        row, others = rows.names[found[first]], tuple(rows.names[i] for i in before)
        what = (
            f"{row!r} requires a gradient but never gets one, not even zeros: the loss does not depend on it (it is "
            "not used, or what comes of it is detached)."
            if absent
            else f"The gradient of {row!r} has been exactly zero so far: nothing of it gets through what follows."
        )
        return Sighting(
            WARNING,
            record.step,
            layer,
            row,
            "gradients.norm",
            what + self._next(rows, int(new[-1])) + also(others),
            finite(records=self.RECORDS, parameters=len(new)),
            others,
            self._persistence.since(int(rows.ids[found[first]])),
        )

    def _next(self, rows: Rows, position: int) -> str:
        """Return a sentence that names the layer behind one of ``rows.parameters`` which has a gradient; "" if none."""
        after = rows.parameters[position + 1 :]
        having = after[self._had[rows.ids[after]]]
        if not len(having):
            return ""
        order = "were defined" if rows.graph is None else "ran"
        return f" In the order in which layers {order}, the next one with a gradient is {rows.owners[having[0]]!r}."

    def _note(self, ids: Indices, had: Mask) -> None:
        self._had = roomy(self._had, ids)
        self._had[ids[had]] = True
