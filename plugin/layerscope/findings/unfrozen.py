"""Parameters that change although they are frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from layerscope.findings.detector import WARNING, Detector, Persistence, Sighting, also, finite
from layerscope.findings.record import Record


class Unfrozen(Detector):
    """A parameter requires no gradient, and yet the optimizer's step changes it.

    PyTorch's optimizers skip parameters without ``.grad``, not those that require none: one that was frozen with a
    gradient still in ``.grad`` goes on to move by momentum and weight decay.
    """

    series = ("updates",)
    needs: ClassVar[Mapping[str, int]] = {"updates": 1}
    rule = "Requires no gradient, but the update of the same step is not zero."
    source = (
        "PyTorch, torch.optim.Optimizer: step() skips parameters whose .grad is None, whatever requires_grad says; "
        "zero_grad(set_to_none=True)."
    )

    def __init__(self) -> None:
        self._persistence = Persistence(1)

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        norms, rows = record.column("norm"), record.rows
        if norms is None or not len(rows.parameters):
            return ()
        ids = rows.ids[rows.parameters]
        current = record.known.trainable_step[ids] == record.step
        norms = norms[rows.parameters]
        new = self._persistence.update(ids, current & (record.known.trainable[ids] == 0) & (norms > 0), record.step)
        if not len(new):
            return ()
        found = rows.parameters[new].tolist()
        row, layer = rows.names[found[0]], rows.owners[found[0]]
        others = tuple(rows.names[i] for i in found[1:] if rows.owners[i] != layer)
        return (
            Sighting(
                WARNING,
                record.step,
                layer,
                row,
                "updates.norm",
                f"{row!r} is frozen (it requires no gradient), and yet the optimizer changes it: a gradient was still "
                f"in .grad when it was frozen. Set it to None.{also(others)}",
                finite(update_norm=float(norms[new[0]]), parameters=len(new)),
                others,
            ),
        )
