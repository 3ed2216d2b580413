"""Collects the statistics of layers' outputs, or of the gradients there, over one or several passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from layerscope import wire
from layerscope.probing.measuring import Measuring
from layerscope.probing.moments import table
from layerscope.probing.units import alive, saturated


class LayerRows:
    """A row for each layer key, in the order in which they first came; passes of one key are united.

    Tensors are reduced when they are added, on the device where they lie, so that none is kept.

    Args:
        with_histogram: count the elements of each bin too.
        with_units: have the columns ``dead_fraction`` and ``saturated_fraction`` too.
    """

    def __init__(self, *, with_histogram: bool, with_units: bool) -> None:
        self._with_histogram = with_histogram
        self._with_units = with_units
        self._measuring = Measuring(with_histogram=with_histogram)
        self._sets: dict[str, list[int]] = {}
        self._alive: dict[str, Tensor] = {}
        self._saturated: dict[str, list[Tensor]] = {}
        self._units: dict[tuple[str, int], int] = {}
        """(layer key, column of units) -> place among the single numbers of the measuring."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._sets)

    def add(self, key: str, tensor: Tensor, *, module: nn.Module | None = None, channels: int | None = None) -> None:
        """Measure a tensor for the row of ``key``; ``module`` and its dimension of channels tell about its units."""
        self._sets.setdefault(key, []).extend(self._measuring.add([tensor]))
        if not self._with_units:
            return
        active = alive(tensor, channels)
        if active is not None:
            known = self._alive.get(key)
            self._alive[key] = active if known is None or known.shape != active.shape else known | active
        share = None if module is None else saturated(module, tensor)
        if share is not None:
            self._saturated.setdefault(key, []).append(share)

    def send(self) -> None:
        """Begin to copy what lies on accelerators; nothing is added afterwards."""
        for key, active in self._alive.items():
            self._units[key, 0] = self._measuring.add_number(1 - active.double().mean())
        for key, shares in self._saturated.items():
            self._units[key, 1] = self._measuring.add_number(torch.stack(shares).mean())
        self._alive.clear()
        self._saturated.clear()
        self._measuring.send()

    @property
    def arrived(self) -> bool:
        """Whether ``result()`` need not wait."""
        return self._measuring.arrived

    def result(self, order: Sequence[str]) -> wire.Statistics:
        """Return the rows of those layer keys in ``order`` that were added; waits for what is on its way."""
        self.send()
        names = [key for key in order if key in self._sets]
        moments = self._measuring.result().united([self._sets[name] for name in names])
        found = table(names, names, moments)
        if not self._with_units:
            return found
        units = np.full((len(names), 2), np.nan, np.float32)
        numbers = self._measuring.numbers()
        for row, name in enumerate(names):
            for column in (0, 1):
                if (name, column) in self._units:
                    units[row, column] = numbers[self._units[name, column]]
        return wire.Statistics(
            found.layers,
            found.owners,
            (*found.statistics, "dead_fraction", "saturated_fraction"),
            np.concatenate([found.values, units], axis=1),
            found.histogram,
            found.edges,
        )
