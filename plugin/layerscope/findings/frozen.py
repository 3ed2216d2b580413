"""Parameters that stay as they are although they were meant to learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerscope.findings.detector import WARNING, Detector, Persistence, Sighting, also, finite
from layerscope.findings.record import Floats, Mask, Record, of_whole_layers


class Frozen(Detector):
    """An optimizer holds a parameter and leaves it as it is, or it could learn and no optimizer holds it.

    Three ways: it does not require a gradient, though an optimizer got it (of a whole backbone that is meant so, which
    then is better left out); it has a gradient, and the update is exactly zero for all parameters of the layer (an
    update below the precision of the parameters' type is rounded away); it has a gradient, and no recorded optimizer
    holds it. A learning rate of zero, as in a warm-up, counts as meant. ``NoGradient`` looks at those without gradient.
    """

    RECORDS = 3
    RECORDS_WITHOUT_OPTIMIZER = 10

    series = ("updates",)
    rule = (
        "Learning rate above zero, but requires no gradient; or it has a gradient other than zero, but the updates "
        f"of its whole layer are exactly zero in {RECORDS} records in a row; or it has such a gradient, but no "
        f"optimizer holds it, in {RECORDS_WITHOUT_OPTIMIZER} records in a row."
    )
    source = (
        "PyTorch, Autograd mechanics, Setting requires_grad. Unchanged parameters: Amazon SageMaker Debugger, rule "
        "UnchangedTensor, with its 3 steps; Wardat et al. 2022, DeepDiagnosis, symptom Unchanged Weight."
    )

    def __init__(self) -> None:
        self._handed = Persistence(1)
        self._unmoved = Persistence(self.RECORDS)
        self._unheld = Persistence(self.RECORDS_WITHOUT_OPTIMIZER)

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        norms, rates, rows = record.column("norm"), record.column("learning_rate"), record.rows
        if norms is None or rates is None or not len(rows.parameters):
            return ()
        ids, known = rows.ids[rows.parameters], record.known
        norms, rates = norms[rows.parameters], rates[rows.parameters]
        current = known.trainable_step[ids] == record.step
        trainable, gradient = known.trainable[ids], known.gradient[ids]
        had = (gradient > 0) & (known.gradient_step[ids] == record.step)
        had &= known.finite_gradients == record.step  # a step that a GradScaler skips moves nothing
        held, moving = rates > 0, bool((norms > 0).any())
        ways: tuple[tuple[Persistence, Mask, str], ...] = (
            (
                self._handed,
                held & current & (trainable == 0) & ~(norms > 0),
                "{} is frozen, though an optimizer holds it: it requires no gradient. If that is meant, leave it out "
                "of the optimizer.",
            ),
            (
                self._unmoved,
                held & had & (trainable != 0) & of_whole_layers(rows, norms == 0),
                "{} has a gradient but is left exactly as it is: the updates are too small for the precision of its "
                "type, or the optimizer skips it.",
            ),
            (
                self._unheld,
                np.isnan(rates) & had & (trainable != 0) & moving,
                "{} has a gradient, but no recorded optimizer holds it, so it does not learn.",
            ),
        )
        return [
            self._sighting(record, new.tolist(), words, norms, rates, gradient)
            for persistence, holds, words in ways
            if len(new := persistence.update(ids, holds, record.step))
        ]

    def _sighting(
        self, record: Record, new: list[int], words: str, norms: Floats, rates: Floats, gradient: Floats
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
            finite(
                update_norm=norms[new[0]],
                learning_rate=rates[new[0]],
                gradient_norm=gradient[new[0]],
                parameters=len(new),
            ),
            others,
        )
