"""Tells where what is watched may not be what trains the model, or does not count steps as the user does."""

# pyright: reportPrivateUsage=false
# Whether somebody else watches an optimizer shows in its hooks alone.

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakMethod

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.hooks import RemovableHandle

from layerscope.guarding import Guard
from layerscope.probing.optimizers import Optimizers

MOST_REPEATED = 100
"""After so many steps of an optimizer at which the user's counter has stood still that is told."""

MOST_UNWATCHED = 3
"""After so many steps of an optimizer that is not watched, and none of one that is, that is told. One step alone may be
that of a wrapper around an optimizer that is watched."""


class StepChecks:
    """Looks at the steps of the optimizers that are watched, and of others, and tells once what seems not to be meant.

    Args:
        model: the model.
        known: knows which optimizers train it.
        guard: what tells.
    """

    def __init__(self, model: nn.Module, known: Optimizers, guard: Guard) -> None:
        self._model, self._known, self._guard = model, known, guard
        self._watched: list[Optimizer] = []
        self._taken: list[int] = []
        """How many steps each of these has taken, as far as they have a number."""
        self._stepped: set[int] = set()
        """Which of them have stepped at all."""
        self._last_step: int | None = None
        self._repeated = 0
        """How often in a row the first one's number of the step has stayed the same."""
        self._advanced = self._compiled = False
        self._trains: WeakKeyDictionary[Optimizer, bool] = WeakKeyDictionary()
        """Of each optimizer that is not watched, whether it trains the model."""
        self._replaced: WeakKeyDictionary[Optimizer, None] = WeakKeyDictionary()
        """Those that were watched before."""
        self._unwatched_steps = 0
        own = WeakMethod(self._before_any)

        def before_any(optimizer: Optimizer, args: Any, kwargs: Any) -> None:  # keeps neither the scope nor the model
            if torch.compiler.is_compiling():
                return
            look = own()
            if look is not None:
                look(optimizer)

        self._handle: RemovableHandle = register_optimizer_step_pre_hook(before_any)

    def follow(self, optimizers: Sequence[Optimizer]) -> None:
        """Look at these from now on; call it before they are hooked into."""
        self._replaced.update(dict.fromkeys(self._watched))
        self._watched, self._taken = list(optimizers), [0] * len(optimizers)
        self._stepped.clear()
        self._last_step, self._repeated, self._advanced = None, 0, False
        for optimizer in optimizers:
            self._replaced.pop(optimizer, None)
            name = type(optimizer).__name__
            if not self._known.trains(optimizer):
                self._guard.tell(
                    "foreign optimizer",
                    f"none of the parameters of the {name} given to watch() is one of the model, so what it updates "
                    "is not what is recorded. Was it made before the model was rebuilt, or for another one? Make it "
                    "from the parameters of the scope's model, and call watch() again.",
                )
            hooks = optimizer._optimizer_step_pre_hooks.values()
            others = [getattr(getattr(hook, "__self__", None), "checks", None) for hook in hooks]
            if any(isinstance(other, StepChecks) and other._model is self._model for other in others):
                self._guard.tell(
                    "two scopes",
                    f"another scope, which was not closed, watches this {name} for this model already, so everything "
                    "is recorded twice. Close that one first: scope.close().",
                )

    def count(self, number: int, step: int, *, counted: bool) -> None:
        """Look at a step that a watched optimizer has taken.

        Args:
            number: of the optimizer.
            step: number of the step.
            counted: whether each optimizer's own steps are counted, and not those of the user.
        """
        self._taken[number] += 1
        if counted and max(self._taken) - min(self._taken) > 1:
            taken = ", ".join(f"{type(o).__name__} {n}" for o, n in zip(self._watched, self._taken, strict=True))
            self._guard.tell(
                "uneven steps",
                f"the optimizers have taken different numbers of steps ({taken}), and the records of each stand at "
                "its own, which are not the steps of your scalars then. Give your counter: scope.watch(..., "
                "step=lambda: iteration).",
            )
        if number == 0:
            self._advanced |= self._last_step not in (None, step)
            self._repeated = self._repeated + 1 if step == self._last_step else 0
            self._last_step = step
            if self._repeated == MOST_REPEATED:
                self._tell_standstill(MOST_REPEATED)

    def note_compiled(self) -> None:
        """Note that steps are compiled, and so cannot be looked at."""
        self._compiled = True

    def conclude(self) -> None:
        """Look back at the end, unless it is one by an exception, which tells enough; take back the hook."""
        self._handle.remove()
        if self._compiled or sys.exc_info()[0] is not None:
            return
        idle = [type(o).__name__ for i, o in enumerate(self._watched) if i not in self._stepped]
        if idle:
            self._guard.tell(
                "no step",
                f"{' and '.join(idle)} took no step while watched, so of its steps nothing is recorded. Call watch() "
                "before the training, with the very optimizer whose step() is called in it.",
            )
        elif self._taken and self._taken[0] > 1 and not self._advanced:
            self._tell_standstill(self._taken[0])

    def _tell_standstill(self, steps: int) -> None:
        self._guard.tell(
            "standstill",
            f"the function given to watch() as step said {self._last_step} at {steps} steps of the optimizer in a row; "
            "what is recorded at one step is shown once. Let it return your counter: step=lambda: iteration.",
        )

    def _before_any(self, optimizer: Optimizer) -> None:
        watched = [i for i, one in enumerate(self._watched) if one is optimizer]
        if watched:
            self._stepped.update(watched)
            self._unwatched_steps = 0
            return
        if optimizer not in self._trains:
            self._trains[optimizer] = self._known.trains(optimizer)
        if not self._trains[optimizer]:
            return
        self._unwatched_steps += 1
        if self._unwatched_steps == MOST_UNWATCHED or optimizer in self._replaced:
            self._guard.tell(
                "unwatched optimizer",
                f"an optimizer that is not watched, {type(optimizer).__name__}, trains the model, and nothing of its "
                "steps is recorded. Give all optimizers to watch(), in one call, for a later call takes the place of "
                "the one before: scope.watch(optimizer) or scope.watch(optimizer_d, optimizer_g).",
            )
