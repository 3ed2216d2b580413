"""Replaying: what a training would have recorded, from the checkpoints that it left.

``checkpoints.py`` finds and loads them, ``team.py`` is the processes that work together, ``shares.py`` splits the
samples among them where there are fewer checkpoints, and ``merging.py`` writes what all of them have recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from torch import nn

from layerscope.containment import original
from layerscope.errors import InvalidArgumentError
from layerscope.guarding import failing_last
from layerscope.probing.attributions import Methods, Target
from layerscope.probing.calls import copied_arguments
from layerscope.probing.sharding import alone, is_sharded
from layerscope.replaying.checkpoints import Checkpoint, Checkpoints, apart, in_order, load_into, weights_put_back
from layerscope.replaying.merging import merging
from layerscope.replaying.shares import Question, joined, split
from layerscope.replaying.team import Team, team
from layerscope.scope import Scope
from layerscope.writing.message_log import MessageLog

__all__ = ["replay"]


def replay(
    model: nn.Module,
    checkpoints: Checkpoints,
    logdir: str | PathLike[str],
    inputs: Any,
    target: Target = None,
    *,
    methods: Methods = ("grad_cam", "gradient_x_activation"),
    layers: str | Sequence[str] = "all",
    activations: bool = True,
    parameters: bool = True,
    maximize: bool | Mapping[str, Any] = False,
    **options: Any,
) -> tuple[int, ...]:
    """Record what happened inside a model from the checkpoints of its training, as a ``Scope`` would have done then.

    The structure comes first, then each checkpoint at its step, in one event file. Weights are loaded into ``model``
    one after the other; at the end, also when something failed, it has its own again. A part that fails keeps neither
    the others of its checkpoint nor what came before from being recorded; it is raised then.

    With ``torchrun``, or in a process group that was begun already, call it on every rank with the same arguments. The
    checkpoints are shared among the ranks; if there are fewer, those at one checkpoint share the samples to attribute
    (methods that draw at random then draw other numbers; a target that is a function or a tuple stays on one rank).
    Rank 0 writes.

    Args:
        model: the model as it was trained, whole, not in shards; a compiled one is looked at through its original.
        checkpoints: steps -> files or state dicts; or files, a directory (of ``.pt``, ``.pth``, ``.ckpt``, ``.bin``,
            ``.safetensors``) or a pattern (``"ckpt/*.pt"``), where the last number in a file's name is the step. Files
            are loaded without running code, as safetensors by their suffix, else by torch. The state dict may lie under
            ``"state_dict"``, ``"model_state_dict"`` or ``"model"``; what DistributedDataParallel (``module.``) and
            ``torch.compile`` (``_orig_mod.``) put into the names is taken off.
        logdir: a log directory of its own, without event files.
        inputs: the probe batch: a tensor, a tuple (positional arguments) or a mapping (keyword arguments).
        target: what is explained, as in ``layerscope.attribute``; None is the class predicted at each step.
        methods: of attribution, as in ``Scope.attributions``; an empty list records none.
        layers: whose activations and attributions: ``"all"``, ``"auto"`` or a list of layer keys and patterns.
        activations: record statistics of every layer's output.
        parameters: record statistics of the parameters, with the distance from those of the first checkpoint.
        maximize: record activation-maximization images; or the arguments of ``Scope.maximize``: ``{"layers": [...]}``.
            As nothing waits for it, ``seconds`` is None here if not given; and ``start`` is, so that it makes no
            difference which process records a checkpoint.
        options: of ``Scope.attributions``: ``samples``, ``trust``, ``batch_dim``, ``tokens``, ``class_names``, ...

    Returns:
        The steps, in order.

    Raises:
        InvalidArgumentError: a checkpoint cannot be loaded or does not fit the model, a file's name has no step, or
            ``logdir`` holds event files.
        NotFoundError: there is no checkpoint.
        RankError: it failed on another rank.
    """
    if not isinstance(methods, (str, Mapping)):
        methods = tuple(methods)  # asked again at each checkpoint
    parts = _Parts(methods, layers, activations, parameters, maximize, Question(inputs, target, options))
    model = original(model)
    with team() as together:
        with together.alike():
            found = in_order(checkpoints)
            if any(map(is_sharded, model.parameters())):
                raise InvalidArgumentError(
                    "model must be whole on each process to be replayed, but its parameters are in shards. Give the "
                    "model before fully_shard()."
                )
            if together.rank == 0:
                _require_own(Path(logdir))
        _record(model, found, parts, together, logdir)
    return tuple(checkpoint.step for checkpoint in found)


@dataclass(frozen=True)
class _Parts:
    """What is recorded of each checkpoint."""

    methods: Methods
    layers: str | Sequence[str]
    activations: bool
    parameters: bool
    maximize: bool | Mapping[str, Any]
    question: Question

    def record(self, scope: Scope, step: int, question: Question | None, *, first: bool, last: bool) -> None:
        """Record one checkpoint, on one of the ranks that it is shared among.

        Args:
            scope: what records.
            step: of the checkpoint.
            question: the samples that are attributed here.
            first: whether this rank does what cannot be shared.
            last: whether it makes the images.
        """
        with failing_last() as attempt:
            if first and self.parameters:
                with attempt():
                    scope.parameters(step)
            if first and self.activations:
                with attempt():
                    samples = self.question.options.get("samples", "probe")
                    scope.activations(self.question.inputs, step=step, layers=self.layers, samples=samples)
            # Before attributions: size and range of the images are those of all samples, which the graph was given.
            if last and self.maximize is not False:
                with attempt():
                    given: dict[str, Any] = {} if self.maximize is True else dict(self.maximize)
                    samples = self.question.options.get("samples", "probe")
                    given = {"seconds": None, "start": None, "samples": samples, **given}
                    given.setdefault("inputs", self.question.inputs)
                    scope.maximize(step=step, **given)
            if question is not None and self.methods:
                with attempt():
                    scope.attributions(
                        question.inputs,
                        question.target,
                        step=step,
                        methods=self.methods,
                        layers=self.layers,
                        **question.options,
                    )


def _record(
    model: nn.Module, found: Sequence[Checkpoint], parts: _Parts, together: Team, logdir: str | PathLike[str]
) -> None:
    """Record the checkpoints, as many at a time as there are ranks; rank 0 writes what comes in of each round."""
    at_once = min(together.size, len(found))
    place, member = together.rank % at_once, together.rank // at_once
    members = len(range(place, together.size, at_once))
    log = MessageLog()
    found = [apart(checkpoint, model) for checkpoint in found]
    with weights_put_back(model), alone(), Scope(model, log, strict=True) as scope:  # pyright: ignore[reportArgumentType]
        with together.alike():
            load_into(model, found[0])
            arguments = copied_arguments(parts.question.inputs)
            graph = scope.graph(*arguments.args, **arguments.kwargs)
            if parts.parameters:
                scope.reference()
            shared = split(parts.question, members) if parts.methods else []
            question = shared[member] if member < len(shared) else None
        with merging(logdir if together.rank == 0 else None, graph) as write:
            write(log.take())
            for start in range(0, len(found), at_once):
                with together.alike(), failing_last() as attempt:
                    with attempt():
                        if start + place < len(found):
                            load_into(model, found[start + place])
                            step = found[start + place].step
                            parts.record(scope, step, question, first=member == 0, last=member == members - 1)
                    gathered = together.gather(log.take())
                    with attempt():
                        for i in range(min(at_once, len(gathered))):
                            write(joined(gathered[i::at_once]))


def _require_own(logdir: Path) -> None:
    """Raise if a log directory holds event files: another one would freeze the curves of the first in TensorBoard."""
    there = next(logdir.glob("*tfevents*"), None) if logdir.is_dir() else None
    if there is not None:
        raise InvalidArgumentError(
            f"logdir must be a directory of its own, since TensorBoard may show only one event file of a run, but "
            f"{fspath(logdir)!r} holds {there.name!r}. Choose another, e.g. {fspath(logdir / 'replay')!r}."
        )
