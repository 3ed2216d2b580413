"""Steps of optimizers kept plainly by the training loop itself, to compare with what was recorded of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor, nn

import layerscope
from layerscope import wire
from slow_moments import assert_counts, assert_moments, column, doubles, united


@dataclass(frozen=True)
class Step:
    """The gradients and parameters before a step, and the parameters after it, by name."""

    gradients: dict[str, Tensor]
    before: dict[str, Tensor]
    after: dict[str, Tensor]


def gradients_of(model: nn.Module, scale: float = 1.0) -> dict[str, Tensor]:
    """Return copies of the gradients that are there, divided by ``scale``."""
    named = model.named_parameters(remove_duplicate=False)
    return {name: p.grad.detach().clone() / scale for name, p in named if p.grad is not None}


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters(remove_duplicate=False)}


def stepped(model: nn.Module, step: Callable[[], object], *, scale: float = 1.0) -> Step:
    """Take a step and return what was before and after it."""
    gradients, before = gradients_of(model, scale), parameters_of(model)
    step()
    return Step(gradients, before, parameters_of(model))


def series_of(logdir: Path) -> dict[str, wire.Series]:
    """Return what was recorded."""
    run = layerscope.read(logdir)["."]
    assert run.problems == ()
    return run.series


def assert_recorded(
    series: Mapping[str, wire.Series],
    model: nn.Module,
    steps: Mapping[int, Step],
    *,
    only: tuple[str, ...] = (),
) -> None:
    """Check every row of gradients, parameters and updates at the given steps.

    Args:
        series: what was recorded.
        model: tells which parameters a row unites.
        steps: number of the step -> what happened in it; others may have been recorded, too.
        only: beginnings of the names of the rows to check; none: all rows.
    """
    for name in ("gradients", "parameters", "updates"):
        found = series[name]
        for number, step in steps.items():
            (at,) = np.flatnonzero(found.steps == number)
            for i, row in enumerate(found.layers):
                if only and not row.startswith(only):
                    continue
                where = f"{name} of {row} at step {number}"
                tensors = step.gradients if name == "gradients" else step.before
                there = [tensors[member] for member in united(model, row) if member in tensors]
                if not there:
                    assert np.isnan(found.values[at, i]).all(), where
                elif name == "updates":
                    _assert_update(found, at, i, step, united(model, row), where)
                else:
                    assert_moments(found.values[at, i], *there, where=where)
                    assert found.histogram is not None
                    assert found.histogram_steps is not None
                    for counts in found.histogram[found.histogram_steps == number]:
                        assert_counts(counts[i], *there, where=where)


def _assert_update(found: wire.Series, at: int, row: int, step: Step, members: list[str], where: str) -> None:
    before, after = (doubles([tensors[name] for name in members]) for tensors in (step.before, step.after))
    norm, size = np.linalg.norm(after - before), np.linalg.norm(before)
    expected = [norm, norm / size if size else np.nan]
    np.testing.assert_allclose(found.values[at, row, :2], expected, rtol=1e-5, atol=1e-12, err_msg=where)


def at_step(series: wire.Series, statistic: str, row: str) -> list[float]:
    """Return one statistic of one row at all steps."""
    return column(series, statistic)[:, series.layers.index(row)].tolist()
