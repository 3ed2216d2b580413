"""Records around the steps of optimizers: what ``Scope.watch`` and ``Scope.step`` stand on."""

# pyright: reportPrivateUsage=false
# Frames tell one step from another: nothing else does when a step calls that of its base class, or raises.

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.guarding import Guard
from layerscope.probing.gradients import begin_gradients
from layerscope.probing.optimizers import Optimizers
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.parameters import Reference, begin_parameters
from layerscope.probing.pending import Pending
from layerscope.probing.training_pass import TrainingPass
from layerscope.probing.updates import Snapshot, learning_rates
from layerscope.recorder import EVERYTHING, Due, Recorder
from layerscope.step_checks import StepChecks
from layerscope.writing.schedule import Schedules


class StepRecording:
    """Records one step of an optimizer, whatever a schedule says: what ``Scope.step`` returns.

    Gradients and parameters are recorded when it is made; used as a context manager around the optimizer's step, it
    records the update and the learning rates as well. If a GradScaler takes the step, and unscales gradients for it,
    they are recorded again, and that record counts.

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
        self._handle: RemovableHandle | None = None
        if rows is None or not recorder.takes(rows):
            self._rows = None
            return
        with guard("step"), recorder.alike():
            if any(parameter.grad is not None for parameter in rows.parameters):
                recorder.take("gradients", begin_gradients(rows, histogram=True), step, EVERYTHING)
            recorder.take("parameters", begin_parameters(rows, histogram=True, reference=reference), step, EVERYTHING)

    def __enter__(self) -> None:
        with self._guard("step"), self._recorder.alike():
            if self._rows is not None:
                self._snapshot = Snapshot(self._rows, learning_rates(self._optimizer))
                self._handle = self._optimizer.register_step_pre_hook(self._before)

    def _before(self, optimizer: Optimizer, *_: object) -> None:
        """Record the gradients again if they were scaled before."""
        self._remove_hook()
        with self._guard("step"), self._recorder.alike():
            if self._rows is not None and _is_in_grad_scaler():
                pending = begin_gradients(self._rows, histogram=True, scale=_scale(optimizer))
                self._recorder.take("gradients", pending, self._step, EVERYTHING)

    def _remove_hook(self) -> None:
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._remove_hook()
        with self._guard("step"), self._recorder.alike():
            if self._snapshot is not None and kind is None:
                due = Due(values=True, histograms=False)
                self._recorder.take("updates", self._snapshot.updates(), self._step, due)
            self._recorder.exchange()


class Watch:
    """Records every step of some optimizers that a schedule names, from hooks on the optimizers.

    Args:
        model: the model, uncompiled.
        known: the optimizers known so far.
        schedules: when to record what.
        reference: what gives the reference of ``parameters``, or None.
        recorder: takes what is to be written.
        guard: contains failures.
    """

    def __init__(
        self,
        model: nn.Module,
        known: Optimizers,
        *,
        schedules: Schedules,
        reference: Callable[[], Reference | None],
        recorder: Recorder,
        guard: Guard,
    ) -> None:
        self._known, self._schedules, self._recorder, self._guard = known, schedules, recorder, guard
        self._model = model
        self._reference = reference
        self._given_step: int | Callable[[], int] = 0
        self._pass = TrainingPass(model)
        self._pass_due = [_NOTHING, _NOTHING]
        """What of each of ``_OUTPUTS`` is due in the pass that is watched."""
        self._optimizers: list[Optimizer] = []
        """Those that are watched, by number; the steps of the first one bound the training passes."""
        self._steps: list[int] = []
        """How many steps each has taken, or another had before it took that one's place."""
        self._last_step: int | None = None
        self._stride = 1
        """How far apart the leader's last two steps were."""
        self._snapshots: dict[int, Snapshot] = {}
        self._frames: dict[int, FrameType] = {}
        """What runs the step of each optimizer, from which the hooks are called."""
        self._handles: list[RemovableHandle] = []
        self.checks = StepChecks(model, known, guard)

    def follow(self, optimizers: Sequence[Optimizer], step: int | Callable[[], int] | None) -> None:
        """Watch these optimizers from now on, and no others.

        Args:
            optimizers: which.
            step: number of the first step, or what gives the current one; None counts on.
        """
        counted = dict(zip(map(id, self._optimizers), self._steps, strict=True))
        self._stop_following()
        if step is not None:
            self._given_step, counted = step, {}
        self.checks.follow(optimizers)
        self._known.replace(optimizers)
        go_on = next(iter(counted.values()), 0)
        self._steps = [counted.get(id(optimizer), go_on) for optimizer in optimizers]
        self._optimizers = list(optimizers)
        for optimizer in optimizers:
            self._handles.append(optimizer.register_step_pre_hook(self._before))
            self._handles.append(optimizer.register_step_post_hook(self._after))
        if self._recorder.writes:
            with self._guard("training"):
                self._begin_pass(self._step(_LEADER))

    def stop(self) -> None:
        """Take back every hook."""
        self.checks.conclude()
        self._stop_following()

    def _stop_following(self) -> None:
        for handle in self._handles:
            handle.remove()
        for kept in (self._handles, self._snapshots, self._frames):
            kept.clear()
        self._pass.discard()

    def _step(self, number: int) -> int:
        if callable(self._given_step):
            return checked_step(self._given_step())
        return self._given_step + self._steps[number]

    def _next_step(self, step: int) -> int:
        """Return the number of the leader's step after ``step``, foreseen where it is not counted up yet."""
        coming = self._step(_LEADER)
        return step + self._stride if coming == step else coming

    def _note_stride(self, step: int) -> None:
        if self._last_step is not None:
            self._stride = max(1, step - self._last_step)
        self._last_step = step

    def _due(self, name: str, step: int, source: int) -> Due:
        return Due(
            values=self._schedules.due("series", name, step, source),
            histograms=self._schedules.due("histograms", name, step, source),
        )

    def _write(self, name: str, pending: Pending, step: int, due: Due, source: int) -> None:
        self._recorder.take(name, pending, step, due, source=source, schedules=self._schedules)

    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if torch.compiler.is_compiling():
            self._say_compiled()
            return
        number = self._known.number(optimizer)
        if _is_running(self._frames.get(number)):  # a step that calls the step of its base class
            return
        self._frames[number] = sys._getframe(1)
        with self._guard("training"), self._recorder.alike():
            step = self._step(number)
            if number == _LEADER:
                self._note_stride(step)
            self._snapshots.pop(number, None)  # of a step that raised
            if not _runs_closure(args, kwargs):
                self._record_pass(optimizer, number, step)
            due = self._due("parameters", step, number)
            if any(due) and self._recorder.takes(rows := self._known.rows(optimizer)):
                pending = begin_parameters(rows, histogram=due.histograms, reference=self._reference())
                self._write("parameters", pending, step, due, number)
            due = self._due("updates", step, number)
            if any(due) and self._recorder.takes(rows := self._known.rows(optimizer)):
                self._snapshots[number] = Snapshot(rows, learning_rates(optimizer))

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if torch.compiler.is_compiling():
            return
        number = self._known.number(optimizer)
        if self._frames.get(number) is not sys._getframe(1):
            return
        del self._frames[number]
        with self._guard("training"), self._recorder.alike():
            step = self._step(number)
            self._steps[number] += 1
            self.checks.count(number, step, counted=not callable(self._given_step))
            snapshot = self._snapshots.pop(number, None)
            if snapshot is not None:
                self._write("updates", snapshot.updates(), step, Due(values=True, histograms=False), number)
            if _runs_closure(args, kwargs):
                self._record_pass(optimizer, number, step)
            self._recorder.exchange()
        with self._guard("training"):
            if number == _LEADER and self._recorder.writes and self._last_step is not None:
                self._begin_pass(self._next_step(self._last_step))

    def _record_pass(self, optimizer: Optimizer, number: int, step: int) -> None:
        """Record what the training pass, which is over, has left."""
        due = self._due("gradients", step, number)
        rows = self._known.rows(optimizer) if any(due) else None
        if rows and self._recorder.takes(rows) and any(parameter.grad is not None for parameter in rows.parameters):
            pending = begin_gradients(rows, histogram=due.histograms, scale=_scale(optimizer))
            self._write("gradients", pending, step, due, number)
        if number == _LEADER:
            with self._guard("training"):  # of its own: what fails there fails on rank 0 alone
                self._end_pass(step)

    def _begin_pass(self, step: int) -> None:
        """Watch the pass that leads to ``step`` if anything of it is due then, or could not be seen before."""
        for i, name in enumerate(_OUTPUTS):
            due = self._due(name, step, _LEADER)
            self._pass_due[i] = Due(*map(operator.or_, self._pass_due[i], due))
        activations, gradients = self._pass_due
        if any(activations) or any(gradients):
            self._pass.begin(
                histogram=activations.histograms, gradients=any(gradients), gradient_histogram=gradients.histograms
            )

    def _end_pass(self, step: int) -> None:
        if not self._pass.running:
            return
        if self._pass.interrupted:  # torch.compile was at work; the next pass runs what it made
            self._pass.discard()
            return
        due, self._pass_due = self._pass_due, [_NOTHING, _NOTHING]
        found = self._pass.end()
        if found is None:
            raise CaptureError(
                f"the outputs of the layers were asked for at this step, but {self._why_unseen()}. Gradients, "
                f"parameters and updates are recorded all the same. {_INSTEAD}"
            )
        for name, pending, wanted in zip(_OUTPUTS, found, due, strict=True):
            if any(wanted):
                self._due(name, step, _LEADER)  # so that the schedule knows of this step, if another was foreseen
                self._write(name, pending, step, wanted, _LEADER)
        hidden = self._hidden()
        if hidden:
            raise CaptureError(
                f"no outputs were seen of {', '.join(map(repr, hidden[:3]))} ({len(hidden)} in all), though they have "
                "gradients: torch.compile hides the layers that it runs. Those of the other layers are recorded. "
                f"{_INSTEAD}"
            )

    def _why_unseen(self) -> str:
        if self._pass.validated and not self._pass.compiled:
            return (
                "the model was in evaluation mode ever since the step before, where it was in training mode, so every "
                "pass was taken for validation. Call model.train() after validation"
            )
        return (
            "no layer was seen while the training pass ran: torch.compile, scripting or another thread hides them, or "
            "the model was not called"
        )

    def _hidden(self) -> list[str]:
        """Return the names of modules that take part in training and were not seen where torch.compile was at work."""
        if not self._pass.compiled:
            return []
        return [
            name
            for name, module in self._model.named_modules()
            if module not in self._pass.seen and any(p.grad is not None for p in module.parameters(recurse=False))
        ]

    @torch.compiler.assume_constant_result  # so it runs while the compiler looks at the hook, which is then empty
    def _say_compiled(self) -> None:
        self._pass.discard()
        self.checks.note_compiled()
        with self._guard("training"):
            raise CaptureError(
                "torch.compile runs the step of the optimizer, where nothing can be recorded. Record around what was "
                "compiled: with scope.step(optimizer, step): compiled_step(), or scope.gradients(step) and "
                "scope.parameters(step)."
            )


_OUTPUTS = ("training_activations", "activation_gradients")

_LEADER = 0
"""Number of the optimizer whose steps bound the training passes."""

_NOTHING = Due(values=False, histograms=False)

_INSTEAD = (
    "For all of them give a batch to scope.activations(x, step=step), which runs the original model; "
    'every={"training_activations": 0, "activation_gradients": 0} turns this off.'
)


def _is_running(frame: FrameType | None) -> bool:
    """Tell whether a frame is on the stack, and not left behind by a step that raised."""
    caller = None if frame is None else sys._getframe(1)
    while caller is not None and caller is not frame:
        caller = caller.f_back
    return caller is not None


def _runs_closure(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Tell whether the step itself runs the training pass; ``args`` begin with the optimizer."""
    return callable(kwargs.get("closure", args[1] if len(args) > 1 else None))


def _is_in_grad_scaler() -> bool:
    """Return whether a GradScaler is taking the step from which this is called."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not GradScaler.step.__code__:
        frame = frame.f_back
    return frame is not None


def _scale(optimizer: Optimizer) -> Tensor | None:
    """Return what the gradients are still multiplied with: a GradScaler leaves it to fused optimizers to divide."""
    scale = getattr(optimizer, "grad_scale", None)
    return scale if isinstance(scale, Tensor) else None


def checked_step(step: object) -> int:
    """Return the number of a step as an int; a tensor or numpy integer will do.

    Raises:
        InvalidArgumentError: it is no whole number.
    """
    try:
        return operator.index(step)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise InvalidArgumentError(f"step must be a whole number, but it is {step!r}.") from None
