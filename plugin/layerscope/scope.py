"""``Scope``, the object that users hold: joins tracing and probing to writing.

Here is what it records of the training itself; what it records of samples that it is given is in ``probe_scope.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from layerscope import wire
from layerscope.containment import original
from layerscope.errors import InvalidArgumentError, TraceError
from layerscope.guarding import Guard, failing_last
from layerscope.probe_scope import ProbeScope
from layerscope.probing.gradients import begin_gradients
from layerscope.probing.optimizers import Optimizers, checked_optimizers
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.parameters import Reference, begin_parameters, left_out_told
from layerscope.probing.ranks import Ranks
from layerscope.probing.sharding import own_rank
from layerscope.recorder import Due, Recorder
from layerscope.tracing import trace
from layerscope.tracing.forward import described, stopped_in
from layerscope.watching import StepRecording, Watch, checked_step
from layerscope.writing import MessageWriter
from layerscope.writing.nowhere import Nowhere
from layerscope.writing.schedule import MAX_BYTES, Schedules

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.utils.tensorboard import SummaryWriter


class Scope(ProbeScope):
    """Records what happens inside a model into the log directory of its training.

    Nothing stays on the model and nothing of it changes: training with and without a scope gives the same bits. A
    failure inside is warned about once, with its cause, and training goes on. Also a context manager, which closes it.

    In a distributed training, make the scope and every call of it on all ranks, after ``init_process_group``; rank 0
    writes. With ``DistributedDataParallel`` every rank has the same parameters and gradients, so nothing is exchanged
    and a scope on rank 0 alone will do. With FSDP2 (``fully_shard``) what is recorded of gradients, parameters and
    updates is of the whole tensors: once a step at which something is due, each rank gives its numbers, not its
    shards, to rank 0, in the background. If a rank dies or fails to record, the others say so and train on without.

    Args:
        model: the model; a compiled one is looked at through its original. In ``DistributedDataParallel`` every name
            begins with ``module``; give ``model.module`` for those of the model.
        writer: the SummaryWriter of the training, into whose event file everything goes, or a log directory, for
            which a SummaryWriter is opened. On ranks other than 0 nothing is opened or written, and None will do.
        strict: raise what goes wrong instead of warning.
    """

    def __init__(
        self, model: nn.Module, writer: SummaryWriter | str | PathLike[str] | None, *, strict: bool = False
    ) -> None:
        if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InvalidArgumentError(f"model must be a torch.nn.Module, but it is {model!r}.")
        self._own_writer: SummaryWriter | None = None
        self._rows: ParameterRows | None = None
        self._reference: Reference | None = None
        self._ranks = Ranks()
        self._watch: Watch | None = None
        self._watch_options: tuple[int | Mapping[str, int] | None, int] | None = None
        writes = own_rank() == 0
        if writes and isinstance(writer, (str, PathLike)):
            from torch.utils.tensorboard import SummaryWriter

            writer = self._own_writer = SummaryWriter(fspath(writer))
        self._summary_writer: Any = writer if writes else Nowhere()
        message_writer = MessageWriter(self._summary_writer)
        recorder = Recorder(message_writer, self._ranks, writes=writes)
        guard = Guard(strict=strict, locate=self._locate, written=lambda: message_writer.messages)
        super().__init__(original(model), message_writer, recorder, guard)
        self._optimizers = Optimizers(self._model, self._ranks)

    def graph(self, *args: Any, **kwargs: Any) -> wire.ModelGraph | None:
        """Trace the structure, called exactly as ``model(*args, **kwargs)`` is, and write it.

        Returns:
            The structure, or None if it could not be traced. If the forward raised, it is the part that ran; that is
            written, too, before the failure is warned of or raised (``TraceError``).
        """
        graph = None
        with self._guarded("graph"):
            self._probed.trace(self._model, args, kwargs)
            graph = trace(self._model, *args, **kwargs)
            self._writer.graph(graph)
            if graph.failure:
                raise TraceError(graph.failure)
            self._recorder.examination.graph = graph
            self._executed = {node.module for node in graph.nodes.values()}
        return graph

    def gradients(self, step: int, *, histogram: bool = True) -> None:
        """Write statistics of the gradients that are there now: after ``backward()``, before ``zero_grad()``.

        Args:
            step: training step.
            histogram: write the histogram of every layer and parameter too.
        """
        with self._guarded("gradients"), self._recorder.alike():
            self._writer.require_open()
            step = checked_step(step)
            rows = self._current_rows()
            if not self._recorder.takes(rows):
                return
            if all(parameter.grad is None for parameter in rows.parameters):
                raise InvalidArgumentError(
                    "no parameter has a gradient. Call gradients(step) after loss.backward() and before zero_grad()."
                )
            pending = begin_gradients(rows, histogram=histogram)
            self._recorder.take("gradients", pending, step, Due(values=True, histograms=histogram))
            self._recorder.exchange()

    def parameters(self, step: int, *, histogram: bool = True) -> None:
        """Write statistics of the parameters, which of them are trainable, and how far they are from the reference.

        Args:
            step: training step.
            histogram: write the histogram of every layer and parameter too.
        """
        with self._guarded("parameters"), self._recorder.alike():
            step = checked_step(step)
            rows = self._current_rows()
            if not self._recorder.takes(rows):
                return
            pending = begin_parameters(rows, histogram=histogram, reference=self._reference)
            self._recorder.take("parameters", pending, step, Due(values=True, histograms=histogram))
            self._recorder.exchange()

    def reference(self, state_dict: Mapping[str, torch.Tensor] | None = None) -> None:
        """Measure the parameters' ``distance`` and ``cosine`` from here on, which says what fine-tuning changes.

        Keeps a copy of every parameter: as much memory as the model takes.

        Args:
            state_dict: a checkpoint to measure from, qualified parameter name -> tensor; None takes the parameters as
                they are now. With FSDP2 give it on every rank, whole or in shards. What has another shape there (a head
                that was replaced) has no distance, which is said.
        """
        with self._guarded("reference"):
            self._reference = Reference(self._model, state_dict)
            if self._reference.left_out:
                self._guarded.tell("reference", left_out_told(self._reference.left_out))

    def step(self, optimizer: Optimizer, step: int) -> StepRecording:
        """Write everything about one step of an optimizer: gradients and parameters now, and the update around it.

        ::

            with scope.step(optimizer, step):
                optimizer.step()  # or scaler.step(optimizer)

        Call it after ``backward()``. It takes no step itself. Without ``with`` the update and the learning rates are
        not recorded.

        Args:
            optimizer: the optimizer that is about to take a step.
            step: training step.
        """
        rows = None
        with self._guarded("step"):
            self._writer.require_open()
            (optimizer,) = checked_optimizers([optimizer], "step")
            step = checked_step(step)
            rows = self._optimizers.rows(optimizer)
        return StepRecording(
            rows, optimizer, step, reference=self._reference, recorder=self._recorder, guard=self._guarded
        )

    def watch(
        self,
        *optimizers: Optimizer,
        every: int | Mapping[str, int] | None = None,
        step: int | Callable[[], int] | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Record every step of the optimizers from now on, by itself, as often as is worth it.

        Hooks into the optimizers' ``step``: what it finds, after clipping, unscaling and reducing, is what is recorded.
        At steps at which outputs of layers are due, forward hooks are on the model, too. Nothing happens at a step at
        which nothing is due. ``close()`` takes everything back. In a distributed training the outputs and the gradients
        there are those of rank 0's own batch.

        What ``torch.compile`` runs is hidden, which is said once: outputs of the layers inside (``activations`` shows
        them on a probe batch), and compiled steps of an optimizer (use ``with scope.step(...)`` around them). With a
        GradScaler, gradients are recorded unscaled; gradients at outputs of layers are those of the scaled loss.

        A later call takes the place of the one before: call it again with the new optimizer where a stage of
        fine-tuning makes one, or with the old and the new one where one is added.

        Args:
            optimizers: all optimizers of the model; each records the rows of the parameters that it holds.
            every: how many steps apart the records are at first: a number for all, or a mapping that changes some of
                ``{"gradients": 1, "parameters": 50, "updates": 50, "training_activations": 100,
                "activation_gradients": 100, "histograms": 10}``; 0 turns one off. Later they are ever further apart.
                This and ``max_bytes`` hold from the first call on; a later one need not repeat them.
            step: number of the first step, counted up with each step of an optimizer; or a function that gives the
                number of the current one. None is 0, and in a later call goes on as before.
            max_bytes: the most that is written by this, however long the run is (see ``writing/schedule.py``).
        """
        with self._guarded("training"):
            self._writer.require_open()
            found = checked_optimizers(optimizers)
            counted = step if step is None or callable(step) else checked_step(step)
            if self._watch is None:
                self._watch = Watch(
                    self._model,
                    self._optimizers,
                    schedules=Schedules(every, max_bytes),
                    reference=lambda: self._reference,
                    recorder=self._recorder,
                    guard=self._guarded,
                )
                self._watch_options = every, max_bytes
            elif (every, max_bytes) not in ((None, MAX_BYTES), self._watch_options):
                raise InvalidArgumentError(
                    "every and max_bytes hold from the first watch() on. Leave them out in later calls, or repeat them."
                )
            self._watch.follow(found, counted)

    def close(self) -> None:
        """Flush what was written; close the SummaryWriter if the scope opened it. Nothing is recorded afterwards.

        Where other ranks have not answered yet, waits for what they have of the last steps, at most half a minute.
        """
        with self._guarded("training"), failing_last() as attempt:
            with attempt():
                if self._watch is not None:
                    self._watch.stop()
            with attempt():
                self._recorder.conclude()
            self._writer.close()
            with attempt():
                self._summary_writer.flush()
            if self._own_writer is not None:
                self._own_writer.close()

    def __enter__(self) -> Scope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _locate(self, error: Exception) -> str:
        module = stopped_in(error, self._model)
        return "" if module is self._model else described(module, self._model)

    def _current_rows(self) -> ParameterRows:
        if self._rows is None or not self._rows.current():
            self._rows = ParameterRows(self._model, ranks=self._ranks)
        return self._rows
