"""Layers whose units give zero whatever comes in."""

from __future__ import annotations

from collections.abc import Sequence

from layerscope.findings.detector import ERROR, WARNING, Sighting, also, finite
from layerscope.findings.inactive import InactiveUnits
from layerscope.findings.nesting import module_of
from layerscope.findings.record import Floats, Mask, Record


class Dead(InactiveUnits):
    """Nearly all units (channels) of a layer are zero for the whole batch, record after record.

    Sparse activations are no fault: of a batch of one sample every zero looks like a dead unit. So if some units live,
    some zeros must lie in living units, which shows that the batch is large enough to tell them apart. Layers that
    pass on what is dead before them are listed as others: the first one in the order of execution is named. Dropout
    and what drops whole paths is exempt, by its class or, without the structure, by its name; and so is what the
    records of the gradients of outputs lack while they have others: no gradient leads through it, so nothing of it was
    to be learned (an attention bias, a mask).
    """

    DEAD_FRACTION = 0.9

    statistic = "dead_fraction"
    rule = (
        f"At least {DEAD_FRACTION:.0%} of the units zero for the whole batch, in {InactiveUnits.RECORDS} records in a "
        f"row that span {InactiveUnits.STEPS} steps."
    )
    source = (
        "Lu et al. 2020, Dying ReLU and initialization: theory and numerical examples, section 1. Stricter than others "
        "(Zhang et al. 2021, AutoTrainer: 70 % of the gradients zero; Amazon SageMaker Debugger, rule DeadRelu: 50 %), "
        "since healthy ReLU networks are sparse (Glorot, Bordes and Bengio 2011, section 3.2)."
    )

    series = (*InactiveUnits.series, "activation_gradients")

    def __init__(self) -> None:
        super().__init__()
        self._with_gradient: set[str] = set()
        """The layers whose output had a gradient in some record."""

    def observe(self, record: Record) -> Sequence[Sighting]:  # noqa: D102
        if record.series == "activation_gradients":
            self._with_gradient.update(record.rows.names)
            return ()
        return super().observe(record)

    def _too_many(self, record: Record, share: Floats) -> Mask:
        zeros = record.column("zero_fraction")
        telling = share >= 1 if zeros is None else (share >= 1) | (zeros > share * (1 + 1e-6))
        return (share >= self.DEAD_FRACTION) & telling

    def _is_exempt(self, record: Record, row: int) -> bool:
        graph = record.rows.graph
        name = record.rows.names[row]
        if self._with_gradient and name not in self._with_gradient:
            return True
        node = None if graph is None else graph.nodes.get(name)
        if node is None:
            return "drop" in module_of(name).rpartition(".")[2].lower()
        return "Drop" in node.class_name or node.class_name == "StochasticDepth"

    def _sighting(self, record: Record, layer: str, share: float, others: tuple[str, ...], since: int) -> Sighting:
        every = share >= 1
        message = (
            f"All units of {layer!r} are dead: its output is zero whatever comes in, and no gradient gets through it."
            if every
            else f"{share:.0%} of the units of {layer!r} are dead: zero for the whole batch, without a gradient."
        )
        return Sighting(
            ERROR if every else WARNING,
            record.step,
            layer,
            layer,
            f"{record.series}.dead_fraction",
            message + also(others),
            finite(dead_fraction=share, records=self.RECORDS),
            others,
            since,
        )
