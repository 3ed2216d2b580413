"""A training that ``scope.watch`` records, timed where it is recorded; and how often what is due in a long run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from bench.training_models import Training
from layerscope.scope import Scope
from layerscope.writing.schedule import EVERY, Schedules


class Watched:
    """A training with ``scope.watch(optimizer)``, and a stopwatch before and behind its hooks on the optimizer.

    Hooks run in the order in which they were registered. So ``in_hooks`` is what the recording of gradients,
    parameters and updates takes, in the middle of a real step and without the noise of one: the caches are as backward
    and the optimizer leave them.
    """

    def __init__(self, training: Training, directory: Path, every: int | None = None) -> None:
        self.training = training
        self.in_hooks = 0.0
        """CPU seconds in the last step."""
        self._began = 0.0
        self._directory = directory
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

    def written(self) -> int:
        """Return the size of the event file in bytes."""
        self._writer.flush()
        return sum(path.stat().st_size for path in self._directory.glob("events*"))

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


def due_in(steps: int, sizes: Mapping[tuple[str, str], int]) -> Counter[str]:
    """Return how many of so many first steps record something of each sort.

    The default schedules are asked, with records of the given sizes by (kind, series).

    Returns:
        Keys: ``gradients``, ``parameters`` (or updates), ``histograms`` (of either), ``activations`` (or their
        gradients, or histograms of them).
    """
    schedules, found = Schedules(), Counter[str]()
    for step in range(steps):
        sorts = set[str]()
        for (kind, name), size in sizes.items():
            if schedules.due(kind, name, step) and schedules.admit(kind, name, step, size):
                activations = EVERY[name] > EVERY["parameters"]
                sorts.add("activations" if activations else kind if kind == "histograms" else name)
        found.update({"parameters" if sort == "updates" else sort for sort in sorts})
    return found
