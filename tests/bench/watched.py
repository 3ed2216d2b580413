"""A training that ``scope.watch`` records, timed where it is recorded; and how often what is due in a long run."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from bench.training_models import Training
from layerscope.scope import Scope
from layerscope.writing.schedule import EVERY, Schedules

Record = tuple[str, str]
"""Kind (``series`` or ``histograms``) and name of the series."""


class Watched:
    """A training with ``scope.watch(optimizer)``, and a stopwatch before and behind its hooks on the optimizer.

    Hooks run in the order in which they were registered. So ``in_hooks`` is what the recording of gradients,
    parameters and updates takes, in the middle of a real step and without the noise of one: the caches are as backward
    and the optimizer leave them.
    """

    def __init__(self, training: Training, directory: Path, every: Mapping[str, int] | None = None) -> None:
        self.training = training
        self.in_hooks = 0.0
        """CPU seconds in the last step."""
        self._began = 0.0
        self._writer = SummaryWriter(str(directory))
        self.scope = Scope(training.model, self._writer, strict=True)
        optimizer = training.optimizer
        self._handles = [optimizer.register_step_pre_hook(self._start), optimizer.register_step_post_hook(self._start)]
        self.scope.watch(optimizer, every=every)
        self._handles += [optimizer.register_step_pre_hook(self._stop), optimizer.register_step_post_hook(self._stop)]

    def seconds(self) -> float:
        """Train one step; return its CPU seconds."""
        self.in_hooks = 0.0
        return self.training.seconds()

    def hooks_seconds(self, steps: int) -> list[float]:
        """Return ``in_hooks`` of steps of the optimizer alone; a backward must have left gradients."""
        found: list[float] = []
        for _ in range(steps):
            self.in_hooks = 0.0
            self.training.optimizer.step()
            found.append(self.in_hooks)
        return found

    def close(self) -> None:
        """End the recording; the training can go on without it."""
        self.scope.close()
        self._writer.close()
        for handle in self._handles:
            handle.remove()

    def _start(self, *_: object) -> None:
        self._began = time.process_time()

    def _stop(self, *_: object) -> None:
        self.in_hooks += time.process_time() - self._began


def interval(record: Record) -> int:
    """Return how many steps apart records are at first, by default."""
    kind, name = record
    own = EVERY[name]
    return math.ceil(EVERY["histograms"] / own) * own if kind == "histograms" else own


def due_in(steps: int, sizes: Mapping[Record, int]) -> Counter[Record]:
    """Return how many records of each sort are written in so many first steps, by default; sizes are in bytes."""
    schedules, found = Schedules(), Counter[Record]()
    for step in range(steps):
        for (kind, name), size in sizes.items():
            if schedules.due(kind, name, step) and schedules.admit(kind, name, step, size):
                found[kind, name] += 1
    return found
