"""Parameters that stay as they are although they were meant to learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from layerscope.findings.detector import WARNING, Detector, Persistence, Sighting, also, finite, roomy
from layerscope.findings.record import Floats, Indices, Mask, Record, of_whole_layers


class Frozen(Detector):
    """An optimizer holds a parameter and leaves it as it is, or it could learn and no optimizer holds it.

    Three ways: it does not require a gradient, though an optimizer got it (of a whole backbone that is meant so, which
    then is better left out, unless it is unfrozen later); it has a gradient, and the update is exactly zero for all
    parameters of the layer (an update below the precision of the parameters' type is rounded away); it has a gradient,
    and no recorded optimizer holds it. A learning rate of zero, as in a warm-up, counts as meant. ``NoGradient`` looks
    at those without gradient.

    What no optimizer holds is known from the last record of updates, while gradients are recorded far more often: so
    these are counted.
    """

    RECORDS = 3
    RECORDS_WITHOUT_OPTIMIZER = 10

    series = ("gradients", "updates")
    needs: ClassVar[Mapping[str, int]] = {"updates": RECORDS}
    rule = (
        "Learning rate above zero, but requires no gradient; or it has a gradient other than zero, but the updates "
        f"of its whole layer are exactly zero in {RECORDS} records in a row; or no optimizer holds it, but it has such "
        f"a gradient in {RECORDS_WITHOUT_OPTIMIZER} records in a row."
    )
    source = (
        "PyTorch, Autograd mechanics, Setting requires_grad. Unchanged parameters: Amazon SageMaker Debugger, rule "
        "UnchangedTensor, with its 3 steps; Wardat et al. 2022, DeepDiagnosis, symptom Unchanged Weight."
    )

    def __init__(self) -> None:
        self._handed = Persistence(1)
        self._unmoved = Persistence(self.RECORDS)
        self._unheld = Persistence(self.RECORDS_WITHOUT_OPTIMIZER)
        self._is_unheld = np.zeros(0, np.bool_)
        """By number of the row, whether no optimizer held it in the last record of updates, though one did others."""

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        if not len(record.rows.parameters):
            return ()
        return self._updates(record) if record.series == "updates" else self._gradients(record)

    def _gradients(self, record: Record) -> Sequence[Sighting]:
        norms, rows, known = record.column("norm"), record.rows, record.known
        ids = rows.ids[rows.parameters]
        self._is_unheld = roomy(self._is_unheld, ids)
        if norms is None or known.finite_gradients != record.step:
            return ()
        holds = self._is_unheld[ids] & (norms[rows.parameters] > 0) & (known.trainable[ids] != 0)
        new = self._unheld.update(ids, holds, record.step)
        if not len(new):
            return ()
        words = "{} has a gradient, but no recorded optimizer holds it, so it has not learned so far."
        gradient = float(norms[rows.parameters[new[0]]])
        return (self._sighting(record, new, words, self._unheld, gradient_norm=gradient),)

    def _updates(self, record: Record) -> Sequence[Sighting]:
        norms, rates, rows = record.column("norm"), record.column("learning_rate"), record.rows
        if norms is None or rates is None:
            return ()
        ids, known = rows.ids[rows.parameters], record.known
        norms, rates = norms[rows.parameters], rates[rows.parameters]
        current = known.trainable_step[ids] == record.step
        trainable, gradient = known.trainable[ids], known.gradient[ids]
        had = (gradient > 0) & (known.gradient_step[ids] == record.step)
        had &= known.finite_gradients == record.step  # a step that a GradScaler skips moves nothing
        held = rates > 0
        self._is_unheld = roomy(self._is_unheld, ids)
        self._is_unheld[ids] = np.isnan(rates) & held.any()
        ways: tuple[tuple[Persistence, Mask, str], ...] = (
            (
                self._handed,
                held & current & (trainable == 0) & ~(norms > 0),
                "{} is frozen, though an optimizer holds it: it requires no gradient. If that is meant, leave it out "
                "of the optimizer, unless it is to be unfrozen later.",
            ),
            (
                self._unmoved,
                held & had & (trainable != 0) & of_whole_layers(rows, norms == 0),
                "{} has a gradient but is left exactly as it is: the updates are too small for the precision of its "
                "type, or the optimizer skips it.",
            ),
        )
        return [
            self._sighting(record, new, words, persistence, **_numbers(int(new[0]), norms, rates, gradient))
            for persistence, holds, words in ways
            if len(new := persistence.update(ids, holds, record.step))
        ]

    def _sighting(
        self, record: Record, new: Indices, words: str, persistence: Persistence, **evidence: float
    ) -> Sighting:
        rows = record.rows
        found = rows.parameters[new].tolist()
        row, layer = rows.names[found[0]], rows.owners[found[0]]
        others = tuple(rows.names[i] for i in found[1:] if rows.owners[i] != layer)
        return Sighting(
            WARNING,
            record.step,
            layer,
            row,
            "updates.norm",
            words.format(repr(row)) + also(others),
            finite(**evidence, parameters=len(new)),
            others,
            persistence.since(int(rows.ids[found[0]])),
        )


def _numbers(position: int, norms: Floats, rates: Floats, gradient: Floats) -> dict[str, float]:
    return {
        "update_norm": norms[position],
        "learning_rate": rates[position],
        "gradient_norm": gradient[position],
    }
