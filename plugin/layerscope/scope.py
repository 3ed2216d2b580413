"""``Scope``, the object that users hold: joins tracing and probing to writing."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from layerscope import wire
from layerscope.containment import original
from layerscope.errors import InvalidArgumentError, LayerscopeError, TraceError
from layerscope.guarding import Guard
from layerscope.probing.activations import activations
from layerscope.probing.attributions import METHODS, attribute_all
from layerscope.probing.calls import input_tensors
from layerscope.probing.gradients import begin_gradients
from layerscope.probing.maximizing import maximize
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.parameters import Reference, begin_parameters
from layerscope.probing.ranks import Ranks
from layerscope.probing.sharding import own_rank
from layerscope.recorder import Due, Recorder
from layerscope.tracing import trace
from layerscope.watching import Optimizers, StepRecording, Watch, checked_optimizers
from layerscope.writing import MessageWriter
from layerscope.writing.nowhere import Nowhere
from layerscope.writing.schedule import MAX_BYTES, Schedules

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.utils.tensorboard import SummaryWriter


class Scope:
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
        self._model = original(model)
        self._guarded = Guard(strict=strict)
        self._own_writer: SummaryWriter | None = None
        self._executed: set[str] = set()
        self._image_options: dict[str, Any] = {}
        self._probed = False
        self._rows: ParameterRows | None = None
        self._reference: Reference | None = None
        self._ranks = Ranks()
        self._optimizers = Optimizers(self._model, self._ranks)
        self._watch: Watch | None = None
        writes = own_rank() == 0
        if writes and isinstance(writer, (str, PathLike)):
            from torch.utils.tensorboard import SummaryWriter

            writer = self._own_writer = SummaryWriter(fspath(writer))
        self._summary_writer: Any = writer if writes else Nowhere()
        self._writer = MessageWriter(self._summary_writer)
        self._recorder = Recorder(self._writer, self._ranks, writes=writes)

    def graph(self, *args: Any, **kwargs: Any) -> wire.ModelGraph | None:
        """Trace the structure, called exactly as ``model(*args, **kwargs)`` is, and write it.

        Returns:
            The structure, or None if it could not be traced. If the forward raised, it is the part that ran; that is
            written, too, before the failure is warned of or raised (``TraceError``).
        """
        graph = None
        with self._guarded("graph"):
            self._remember((args, kwargs), probe=False)
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
            step = _checked(step)
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
            step = _checked(step)
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
                they are now. With FSDP2 give it on every rank, whole or in shards.
        """
        with self._guarded("reference"):
            self._reference = Reference(self._model, state_dict)

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
            (optimizer,) = checked_optimizers([optimizer])
            step = _checked(step)
            rows = self._optimizers.rows(optimizer)
        return StepRecording(
            rows, optimizer, step, reference=self._reference, recorder=self._recorder, guard=self._guarded
        )

    def watch(
        self,
        *optimizers: Optimizer,
        every: int | Mapping[str, int] | None = None,
        step: int | Callable[[], int] = 0,
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

        Args:
            optimizers: all optimizers of the model; each records the rows of the parameters that it holds.
            every: how many steps apart the records are at first: a number for all, or a mapping that changes some of
                ``{"gradients": 1, "parameters": 50, "updates": 50, "training_activations": 100,
                "activation_gradients": 100, "histograms": 10}``; 0 turns one off. Later they are ever further apart.
            step: number of the first step, counted up with each step of an optimizer; or a function that gives the
                number of the current one.
            max_bytes: the most that is written by this, however long the run is (see ``writing/schedule.py``).
        """
        with self._guarded("training"):
            found = checked_optimizers(optimizers)
            if self._watch is not None:
                raise InvalidArgumentError(
                    "watch() was called again, but a scope watches once. Give all optimizers in one call."
                )
            self._watch = Watch(
                self._model,
                found,
                self._optimizers,
                schedules=Schedules(every, max_bytes),
                step=step if callable(step) else _checked(step),
                reference=lambda: self._reference,
                recorder=self._recorder,
                guard=self._guarded,
            )

    def activations(self, inputs: Any, *, step: int, layers: str | Sequence[str] = "all") -> None:
        """Write statistics of every layer's output on a probe batch.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model.
            step: training step.
            layers: ``"all"`` or layer keys.
        """
        with self._guarded("activations"):
            step = _checked(step)
            self._remember(inputs)
            self._recorder.write("activations", activations(self._model, inputs, layers=layers), step)

    def attributions(
        self,
        inputs: Any,
        target: Any = None,
        *,
        step: int,
        methods: Sequence[str] = ("grad_cam", "gradient_x_activation"),
        layers: str | Sequence[str] = "all",
        samples: str = "probe",
    ) -> None:
        """Write attribution maps of every layer, by each method, for a probe batch.

        Args:
            inputs: a tensor, a tuple (positional arguments) or a dict (keyword arguments) for the model.
            target: what is explained, as in ``layerscope.attribute``; None is the predicted class.
            step: training step.
            methods: names in ``layerscope.probing.attributions.METHODS``; they share one forward and backward. An
                unknown one does not keep the others from being recorded.
            layers: ``"all"`` or layer keys.
            samples: name of this probe set. Its inputs are written once, and again when they change.
        """
        with self._guarded("attributions"):
            step = _checked(step)
            self._remember(inputs)
            known = [method for method in methods if method in METHODS]
            results = attribute_all(self._model, inputs, target, methods=known or methods, layers=layers)
            self._writer.samples(samples, [_array(tensor) for tensor in input_tensors(inputs)], step=step)
            for method, result in results.items():
                maps = wire.AttributionMaps(
                    method=method,
                    signed=result.signed,
                    layers=result.maps(),
                    targets=_array(result.targets).astype(np.int64),
                    probabilities=_array(result.probabilities).astype(np.float32),
                    delta=None if result.delta is None else _array(result.delta).astype(np.float32),
                )
                self._writer.attribution(maps, samples=samples, step=step)
            if len(known) < len(methods):
                unknown = [method for method in methods if method not in METHODS]
                raise InvalidArgumentError(
                    f"method {unknown[0]!r} was asked for, but the methods are {', '.join(map(repr, METHODS))}. "
                    "The others were recorded."
                )

    def maximize(self, *, step: int, layers: Sequence[str] | None = None, channels: int = 6, **options: Any) -> None:
        """Write activation-maximization images of the first channels of some layers.

        Args:
            step: training step.
            layers: layer keys; None takes the first, the middle and the last convolution and the last linear layer
                that ``graph`` saw executed. One that fails does not keep the others from being recorded.
            channels: how many channels of each layer.
            options: as in ``layerscope.maximize``. Size and range of the images are by default those of the first
                images that ``activations`` or ``attributions`` was given, or else ``graph``.
        """
        with self._guarded("maximize"):
            step = _checked(step)
            if isinstance(layers, str):
                raise InvalidArgumentError(f"layers must be a list of layer keys, not {layers!r}; give [{layers!r}].")
            images: dict[wire.Unit, tuple[Any, float]] = {}
            failures: list[LayerscopeError] = []
            for layer in self._telling_layers() if layers is None else layers:
                try:
                    result = maximize(self._model, layer=layer, channels=channels, **(self._image_options | options))
                except LayerscopeError as error:  # the other layers are worth it
                    failures.append(error)
                    continue
                for i, channel in enumerate(result.channels):
                    images[wire.Unit(layer, channel)] = (result.images[i], float(result.objective[i][-1]))
            if images:
                self._writer.maximization(images, step=step)
            if failures:
                raise failures[0]

    def close(self) -> None:
        """Flush what was written; close the SummaryWriter if the scope opened it. Nothing is recorded afterwards.

        Where other ranks have not answered yet, waits for what they have of the last steps, at most half a minute.
        """
        if self._watch is not None:
            self._watch.stop()
        with self._guarded("training"):
            self._recorder.conclude()
        self._writer.close()
        self._summary_writer.flush()
        if self._own_writer is not None:
            self._own_writer.close()

    def __enter__(self) -> Scope:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _current_rows(self) -> ParameterRows:
        if self._rows is None or not self._rows.current():
            self._rows = ParameterRows(self._model, ranks=self._ranks)
        return self._rows

    def _remember(self, inputs: Any, *, probe: bool = True) -> None:
        """Note size and range of the first images that are seen; what is probed tells more than what is traced."""
        if "value_range" in self._image_options and (self._probed or not probe):
            return
        for tensor in input_tensors(inputs):
            if tensor.ndim != 4 or not tensor.is_floating_point() or not tensor.numel():
                continue
            self._image_options["input_shape"] = tuple(tensor.shape[1:])
            low, high = float(tensor.min()), float(tensor.max())
            if math.isfinite(low) and math.isfinite(high) and low < high:
                self._image_options["value_range"] = (low, high)
                self._probed = probe
            return

    def _telling_layers(self) -> list[str]:
        named = [
            (name, module)
            for name, module in self._model.named_modules()
            if name and (not self._executed or name in self._executed)
        ]
        convolutions = [name for name, m in named if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d))]
        linears = [name for name, m in named if isinstance(m, nn.Linear)]
        chosen = [convolutions[i] for i in (0, len(convolutions) // 2, -1)] if convolutions else []
        layers = list(dict.fromkeys([*chosen, *linears[-1:]]))
        if not layers:
            raise InvalidArgumentError(
                "layers were left to be chosen among convolutions and linear layers, but the model calls none. "
                "Name some: maximize(step=step, layers=[...])."
            )
        return layers


def _checked(step: object) -> int:
    """Return ``step`` as an int; a tensor or numpy integer will do."""
    try:
        return operator.index(step)  # pyright: ignore[reportArgumentType]
    except TypeError:
        raise InvalidArgumentError(f"step must be a whole number, but it is {step!r}.") from None


def _array(tensor: torch.Tensor) -> Any:
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
