"""The optimizers that train a model: which they are, and which parameters each of them is responsible for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from layerscope.errors import InvalidArgumentError
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.ranks import Ranks
from layerscope.probing.sharding import is_sharded
from layerscope.probing.updates import held


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

    def replace(self, optimizers: Sequence[Optimizer]) -> None:
        """Know these from now on, numbered as they are given, and no others."""
        self._known = list(optimizers)
        self._rows.clear()

    def trains(self, optimizer: Optimizer) -> bool:
        """Return whether an optimizer holds a parameter of the model; of shards that is taken for granted."""
        present = {id(parameter) for parameter in self._model.parameters()}
        return any(id(parameter) in present or is_sharded(parameter) for parameter in held(optimizer))

    def rows(self, optimizer: Optimizer) -> ParameterRows:
        """Return the rows of an optimizer: of all parameters, but for those that only other known optimizers hold.

        Parameters that nobody holds are the first one's.

        Raises:
            InvalidArgumentError: the optimizer steps shards in whose place the model has gathered parameters now.
        """
        number = self.number(optimizer)
        holdings = tuple(tuple(len(group["params"]) for group in known.param_groups) for known in self._known)
        key, rows = self._rows.get(number, (None, None))
        if rows is None or key != holdings or not rows.current():
            present = {id(parameter) for parameter in self._model.parameters()}
            if any(is_sharded(parameter) and id(parameter) not in present for parameter in held(optimizer)):
                raise InvalidArgumentError(
                    "the optimizer steps shards, but FSDP has left gathered parameters in their place on the model. "
                    "Call model.set_reshard_after_backward(True) before the last backward(), or model.reshard()."
                )
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


def checked_optimizers(optimizers: Sequence[object], call: str = "watch") -> list[Optimizer]:
    """Return the optimizers; of one that another library has wrapped, that one.

    Args:
        optimizers: what was given as such.
        call: the method that was called with them.

    Raises:
        InvalidArgumentError: there is none, one is given twice, or one is no ``torch.optim.Optimizer``.
    """
    found: list[Optimizer] = []
    for optimizer in optimizers:
        wrapped = None if isinstance(optimizer, LRScheduler) else getattr(optimizer, "optimizer", None)  # by Accelerate
        inner = optimizer if wrapped is None else wrapped
        if not isinstance(inner, Optimizer):
            raise InvalidArgumentError(
                f"{call} needs a torch.optim.Optimizer, but was given {_kind(inner)}. {_instead(inner, call)}"
            )
        if any(inner is known for known in found):
            raise InvalidArgumentError(f"{call} was given one optimizer twice. Give each once.")
        found.append(inner)
    if not found:
        raise InvalidArgumentError(f"{call} needs at least one optimizer: scope.watch(optimizer).")
    return found


def _kind(given: object) -> str:
    name = type(given).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _instead(given: object, call: str) -> str:
    """Return what to give instead, in words."""
    if call != "watch":
        return f"Give the optimizer first, then the number of the step: scope.{call}(optimizer, step)."
    if isinstance(given, (list, tuple)):
        return "Give each as an argument of its own: scope.watch(*optimizers)."
    if isinstance(given, LRScheduler):
        return "Give its optimizer; the learning rates are recorded from there."
    return "Give what steps the parameters of the model: scope.watch(optimizer)."
