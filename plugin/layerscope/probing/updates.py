"""What a step of an optimizer adds to the parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor, nn
from torch.optim import Optimizer

from layerscope import wire
from layerscope.probing.measuring import Measuring
from layerscope.probing.pairs import DIFFERENCE, REFERENCE, Pairs
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.pending import Pending


def learning_rates(optimizer: Optimizer) -> dict[int, float | Tensor]:
    """Return the learning rate of each parameter that an optimizer holds, by the parameter's ``id``."""
    return {
        id(parameter): rate if isinstance(rate, Tensor) and rate.device.type != "cpu" else float(rate)
        for group in optimizer.param_groups
        if (rate := group.get("lr")) is not None
        for parameter in group["params"]
    }


class Snapshot:
    """The parameters before a step; ``updates`` tells afterwards what the step added.

    Copies every parameter for the time of the step.

    Args:
        rows: which parameters, and how they are united.
        rates: learning rates by the parameters' ``id``; one that lies on an accelerator is fetched without waiting.
    """

    def __init__(self, rows: ParameterRows, rates: Mapping[int, float | Tensor]) -> None:
        self._rows = rows
        self._rates = Measuring(with_histogram=False)
        found = [rates.get(id(parameter), np.nan) for parameter in rows.parameters]
        places = {id(rate): self._rates.add_number(rate) for rate in {id(rate): rate for rate in found}.values()}
        self._places = [places[id(rate)] for rate in found]
        self._rates.send()
        self._before = [parameter.detach().clone() for parameter in rows.counted(rows.parameters)]

    def updates(self) -> Pending:
        """Begin to measure the updates.

        Returns:
            Rows as in ``ParameterRows``. Columns: ``norm`` of the update; ``update_ratio``, that norm over the norm of
            the parameters before the step, NaN where this is zero; and ``learning_rate``, the mean over the elements
            that an optimizer holds, NaN where it holds none.
        """
        rows = self._rows
        measuring = rows.measuring(with_histogram=False)
        pairs = Pairs(measuring, with_angle=False)
        for parameter, before in zip(rows.counted(rows.parameters), self._before, strict=True):
            pairs.add(parameter, before)
        sizes = np.array([parameter.numel() for parameter in rows.parameters], np.float64)
        self._before.clear()

        def finish() -> wire.Statistics:
            sums = rows.sums(pairs.sums())
            rates = np.array(self._rates.numbers())[self._places]
            held = np.where(np.isnan(rates), 0.0, sizes)
            weighted = rows.sums(np.stack([held, held * np.nan_to_num(rates)], axis=1))
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(sums[:, REFERENCE] > 0, np.sqrt(sums[:, DIFFERENCE] / sums[:, REFERENCE]), np.nan)
                rate = weighted[:, 1] / weighted[:, 0]
            values = np.stack([np.sqrt(sums[:, DIFFERENCE]), ratio, rate], axis=1).astype(np.float32)
            return wire.Statistics(rows.names, rows.owners, wire.SERIES["updates"].statistics, values)

        return Pending(measuring, finish, rows.outline("updates", histogram=False))


def held(optimizer: Optimizer) -> list[nn.Parameter]:
    """Return the parameters that an optimizer holds, each once."""
    found = {id(parameter): parameter for group in optimizer.param_groups for parameter in group["params"]}
    return list(found.values())
