"""Games of twelve features, whose every coalition can be asked about: what estimates are compared with."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope.probing.attributions import Question
from layerscope.probing.attributions.lime import Lime
from layerscope.probing.attributions.perturbation import Perturbation
from layerscope.probing.attributions.shapley_sampling import ShapleySampling

FEATURES = 12
ONES = torch.ones(1, FEATURES)


class Largest(nn.Module):
    """The largest of the features that are there, beside a sum: strong interactions."""

    def forward(self, x: Tensor) -> Tensor:
        weights = torch.arange(1, FEATURES + 1) / FEATURES
        return ((x * weights).max(1).values + x @ torch.linspace(-0.2, 0.2, FEATURES))[:, None]


def network() -> nn.Module:
    """Return a network with 24 hidden units and fixed weights."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 24), nn.ReLU(), nn.Linear(24, 1))
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) / 2
    return model


GAMES: dict[str, nn.Module] = {"network": network(), "largest": Largest()}


def effects(method: Perturbation, model: nn.Module) -> NDArray[np.float64]:
    """Return what a method says of each feature of ``ONES``."""
    return method.attribute("", Question(model, ONES, 0)).inputs[0][0].double().numpy()


def shapley_values(model: nn.Module) -> NDArray[np.float64]:
    """Return the exact Shapley values, from all coalitions."""
    return effects(ShapleySampling(n_samples=1 << FEATURES), model)


def regression(model: nn.Module) -> NDArray[np.float64]:
    """Return the coefficients of LIME's weighted regression on all coalitions, without a penalty."""
    return effects(Lime(n_samples=1 << FEATURES, ridge=0.0), model)


def error(found: Iterable[NDArray[np.float64]], exact: NDArray[np.float64]) -> float:
    """Return the root mean square error of several estimates over the largest exact magnitude."""
    return float(np.sqrt(np.mean([(one - exact) ** 2 for one in found])) / np.abs(exact).max())
