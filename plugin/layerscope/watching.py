"""Records around the steps of optimizers: what ``Scope.watch`` and ``Scope.step`` stand on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.guarding import Guard
from layerscope.probing.gradients import begin_gradients
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.parameters import Reference, begin_parameters
from layerscope.probing.pending import Pending
from layerscope.probing.ranks import Ranks
from layerscope.probing.training_pass import TrainingPass
from layerscope.probing.updates import Snapshot, held, learning_rates
from layerscope.recorder import EVERYTHING, Due, Recorder
from layerscope.writing.schedule import Schedules


class Optimizers:
    """The optimizers that are known to train a model, and the rows that each of them is responsible for."""

    def __init__(self, model: nn.Module, ranks: Ranks) -> None:
        self._model = model
        self._ranks = ranks
        self._known: list[Optimizer] = []
        self._rows: dict[int, tuple[object, ParameterRows]] = {}

    def number(self, optimizer: Optimizer) -> int:
        """Return the number of an optimizer, from 0 in the order in which they became known."""
        for i, known in enumerate(self._known):
            if known is optimizer:
                return i
        self._known.append(optimizer)
        return len(self._known) - 1

    def rows(self, optimizer: Optimizer) -> ParameterRows:
        """Return the rows of an optimizer: of all parameters, but for those that only other known optimizers hold.

        Parameters that nobody holds are the first one's.
        """
        number = self.number(optimizer)
        holdings = tuple(tuple(len(group["params"]) for group in known.param_groups) for known in self._known)
        key, rows = self._rows.get(number, (None, None))
        if rows is None or key != holdings or not rows.current():
            rows = ParameterRows(self._model, self._only(number), ranks=self._ranks)
            self._rows[number] = holdings, rows
        return rows

    def _only(self, number: int) -> list[nn.Parameter] | None:
        if len(self._known) == 1:
            return None
        own = {id(parameter) for parameter in held(self._known[number])}
        others = {id(p) for i, known in enumerate(self._known) if i != number for p in held(known)}
        mine = own if number else {id(p) for p in self._model.parameters()} - (others - own)
        return [parameter for parameter in self._model.parameters() if id(parameter) in mine]


class StepRecording:
    """Records one step of an optimizer, whatever a schedule says: what ``Scope.step`` returns.

    Gradients and parameters are recorded when it is made; used as a context manager around the optimizer's step, it
    records the update and the learning rates as well.

    Args:
        rows: which parameters; None if there is nothing to record, since something failed before.
        optimizer: the optimizer.
        step: training step.
        reference: what parameters are compared with.
        recorder: takes what is to be written.
        guard: contains failures.
    """

    def __init__(
        self,
        rows: ParameterRows | None,
        optimizer: Optimizer,
        step: int,
        *,
        reference: Reference | None,
        recorder: Recorder,
        guard: Guard,
    ) -> None:
        self._rows, self._optimizer, self._step = rows, optimizer, step
        self._recorder, self._guard = recorder, guard
        self._snapshot: Snapshot | None = None
        if rows is None or not recorder.takes(rows):
            self._rows = None
            return
        with recorder.alike():
            if any(parameter.grad is not None for parameter in rows.parameters):
                recorder.take("gradients", begin_gradients(rows, histogram=True), step, EVERYTHING)
            recorder.take("parameters", begin_parameters(rows, histogram=True, reference=reference), step, EVERYTHING)

    def __enter__(self) -> None:
        with self._guard("step"), self._recorder.alike():
            if self._rows is not None:
                self._snapshot = Snapshot(self._rows, learning_rates(self._optimizer))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._guard("step"), self._recorder.alike():
            if self._snapshot is not None and kind is None:
                due = Due(values=True, histograms=False)
                self._recorder.take("updates", self._snapshot.updates(), self._step, due)
            self._recorder.exchange()


class Watch:
    """Records every step of some optimizers that a schedule names, from hooks on the optimizers.

    Args:
        model: the model, uncompiled.
        optimizers: which optimizers.
        known: the optimizers known so far; these are added.
        schedules: when to record what.
        step: number of the first step, or what gives the current one.
        reference: what gives the reference of ``parameters``, or None.
        recorder: takes what is to be written.
        guard: contains failures.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Optimizer],
        known: Optimizers,
        *,
        schedules: Schedules,
        step: int | Callable[[], int],
        reference: Callable[[], Reference | None],
        recorder: Recorder,
        guard: Guard,
    ) -> None:
        self._known, self._schedules, self._recorder, self._guard = known, schedules, recorder, guard
        self._reference = reference
        self._given_step = step
        self._pass = TrainingPass(model)
        self._pass_step = 0
        self._steps: dict[int, int] = {}
        self._snapshots: dict[int, Snapshot] = {}
        self._handles: list[RemovableHandle] = []
        self._leader = known.number(optimizers[0])
        """Number of the optimizer whose steps bound the training passes."""
        for optimizer in optimizers:
            self._steps[known.number(optimizer)] = 0
            self._handles.append(optimizer.register_step_pre_hook(self._before))
            self._handles.append(optimizer.register_step_post_hook(self._after))
        if recorder.writes:
            with guard("training", depth=2):
                self._begin_pass(self._step(self._leader))

    def stop(self) -> None:
        """Take back every hook."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._pass.end()

    def _step(self, number: int) -> int:
        if callable(self._given_step):
            return operator.index(self._given_step())
        return self._given_step + self._steps[number]

    def _due(self, name: str, step: int, source: int) -> Due:
        return Due(
            values=self._schedules.due("series", name, step, source),
            histograms=self._schedules.due("histograms", name, step, source),
        )

    def _write(self, name: str, pending: Pending, step: int, due: Due, source: int) -> None:
        self._recorder.take(name, pending, step, due, source=source, schedules=self._schedules)

    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        with self._guard("training"):  # of its own: what fails there fails on rank 0 alone
            number = self._known.number(optimizer)
            step = self._step(number)
            if number == self._leader:
                self._end_pass(step)
        with self._guard("training"), self._recorder.alike():
            number = self._known.number(optimizer)
            step = self._step(number)
            rows = self._known.rows(optimizer)
            if not self._recorder.takes(rows):
                return
            due = self._due("gradients", step, number)
            if any(due) and any(parameter.grad is not None for parameter in rows.parameters):
                pending = begin_gradients(rows, histogram=due.histograms, scale=_scale(optimizer))
                self._write("gradients", pending, step, due, number)
            due = self._due("parameters", step, number)
            if any(due):
                pending = begin_parameters(rows, histogram=due.histograms, reference=self._reference())
                self._write("parameters", pending, step, due, number)
            if any(self._due("updates", step, number)):
                self._snapshots[number] = Snapshot(rows, learning_rates(optimizer))

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        with self._guard("training"), self._recorder.alike():
            number = self._known.number(optimizer)
            snapshot = self._snapshots.pop(number, None)
            if snapshot is not None:
                self._write(
                    "updates", snapshot.updates(), self._step(number), Due(values=True, histograms=False), number
                )
            self._steps[number] += 1
            self._recorder.exchange()
            if number == self._leader and self._recorder.writes:
                self._begin_pass(self._step(number))

    def _begin_pass(self, step: int) -> None:
        """Watch the pass that leads to ``step`` if anything of it is due then."""
        activations = self._due("training_activations", step, self._leader)
        gradients = self._due("activation_gradients", step, self._leader)
        if any(activations) or any(gradients):
            self._pass.begin(
                histogram=activations.histograms, gradients=any(gradients), gradient_histogram=gradients.histograms
            )

    def _end_pass(self, step: int) -> None:
        if not self._pass.running:
            return
        found = self._pass.end()
        if found is None:
            raise CaptureError(
                "the outputs of the layers were asked for at this step, but no layer was seen while the training pass "
                "ran: torch.compile, scripting or another thread hides them. Gradients, parameters and updates are "
                "recorded all the same. For outputs give a batch to scope.activations(x, step=step), which runs the "
                'original model; every={"training_activations": 0, "activation_gradients": 0} turns this off.'
            )
        for name, pending in zip(("training_activations", "activation_gradients"), found, strict=True):
            due = self._due(name, step, self._leader)
            if any(due):
                self._write(name, pending, step, due, self._leader)


def _scale(optimizer: Optimizer) -> Tensor | None:
    """Return what the gradients are still multiplied with: a GradScaler leaves it to fused optimizers to divide."""
    scale = getattr(optimizer, "grad_scale", None)
    return scale if isinstance(scale, Tensor) else None


def checked_optimizers(optimizers: Sequence[object]) -> list[Optimizer]:
    """Return the optimizers.

    Raises:
        InvalidArgumentError: there is none, one is given twice, or one is no ``torch.optim.Optimizer``.
    """
    found: list[Optimizer] = []
    for optimizer in optimizers:
        inner = getattr(optimizer, "optimizer", optimizer)  # what Accelerate and others wrap
        if not isinstance(inner, Optimizer):
            raise InvalidArgumentError(f"watch needs a torch.optim.Optimizer, but was given {optimizer!r}.")
        if any(inner is known for known in found):
            raise InvalidArgumentError("watch was given one optimizer twice. Give each once.")
        found.append(inner)
    if not found:
        raise InvalidArgumentError("watch needs at least one optimizer: scope.watch(optimizer).")
    return found
