"""A model of which several checkpoints are replayed, by one process or by two."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

STEPS = (5, 20, 100)
METHODS = ("grad_cam", "input_x_gradient", "integrated_gradients")
SAMPLES = 5


def build() -> nn.Module:
    """Make the model, with weights that no checkpoint has."""
    return weighted(1000)


def weighted(seed: int) -> nn.Module:
    """Make the model with weights of a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 36, 6),
            nn.ReLU(),
            nn.Linear(6, 3),
        )
        made[1].running_mean.normal_()
        return made


def checkpoint(step: int) -> dict[str, Tensor]:
    """Make the state dict of a step."""
    return weighted(step).state_dict()


def inputs() -> Tensor:
    """Make the probe batch."""
    return torch.randn(SAMPLES, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def probe() -> tuple[Tensor, list[int]]:
    """Make the probe batch with its labels, as ``--inputs`` wants it."""
    return inputs(), [0, 1, 2, 0, 1]


def three() -> tuple[Tensor, Tensor, Tensor]:
    """Make what ``--inputs`` does not take."""
    return inputs(), inputs(), inputs()


def saved(directory: Path, steps: tuple[int, ...] = STEPS) -> Path:
    """Save the checkpoints of some steps."""
    directory.mkdir(parents=True, exist_ok=True)
    for step in steps:
        torch.save({"state_dict": checkpoint(step), "step": step}, directory / f"net-v2-step{step}.pt")
    return directory


def options() -> dict[str, Any]:
    """Return what is recorded."""
    return {
        "methods": METHODS,
        "trust": ["completeness"],
        "maximize": {"layers": ["6"], "channels": 2, "steps": 2, "start": None},
        "class_names": ["a", "b", "c"],
    }


def assert_same(found: Any, expected: Any, tolerance: float = 0.0, place: str = "run") -> None:
    """Check that two recorded things are the same all through; attribution maps and their scores to a tolerance."""
    assert type(found) is type(expected), place
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, place
        close = tolerance if ".attributions" in place else 0.0
        np.testing.assert_allclose(found, expected, rtol=close, atol=close, err_msg=place)
    elif isinstance(expected, dict):
        assert list(found) == list(expected), place
        for key, value in expected.items():
            assert_same(found[key], value, tolerance, f"{place}[{key!r}]")
    elif isinstance(expected, tuple):
        assert len(found) == len(expected), place
        for i, value in enumerate(expected):
            assert_same(found[i], value, tolerance, f"{place}[{i}]")
    elif is_dataclass(expected):
        for field in fields(expected):
            assert_same(getattr(found, field.name), getattr(expected, field.name), tolerance, f"{place}.{field.name}")
    else:
        assert found == expected or (found != found and expected != expected), place
