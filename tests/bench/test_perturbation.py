"""Errors of KernelSHAP and LIME beside those of shap and lime, at the same number of evaluations (make bench).

Run where ``shap`` and ``lime`` are installed; they are in no extra, since they bring numba and pandas along.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import feature_games
from layerscope.probing.attributions.kernel_shap import KernelShap
from layerscope.probing.attributions.lime import Lime

pytestmark = pytest.mark.bench

SEEDS = range(12)
ONES = np.ones((1, feature_games.FEATURES))


def asked(model: nn.Module, coalitions: Any) -> Any:
    """Return the values of coalitions, as the libraries ask for them."""
    with torch.no_grad():
        return model(torch.from_numpy(np.asarray(coalitions)).float())[:, 0].double().numpy()


@pytest.mark.parametrize("evaluations", [256, 1024])
@pytest.mark.parametrize("game", feature_games.GAMES)
def test_kernel_shap_errs_no_more_than_shap(game: str, evaluations: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shap: Any = pytest.importorskip("shap")
        model = feature_games.GAMES[game]
        exact = feature_games.shapley_values(model)
        theirs: list[Any] = []
        for seed in SEEDS:
            np.random.seed(seed)
            explainer = shap.KernelExplainer(lambda x: asked(model, x), 0 * ONES)
            # It asks about the empty and the full coalition beside these.
            theirs.append(explainer.shap_values(ONES, nsamples=evaluations - 2, l1_reg=0, silent=True)[0])
    ours = [feature_games.effects(KernelShap(n_samples=evaluations, seed=seed), model) for seed in SEEDS]
    errors = feature_games.error(ours, exact), feature_games.error(theirs, exact)
    print(f"{game}, {evaluations} evaluations: error {errors[0]:.4f}, shap {errors[1]:.4f}")
    assert errors[0] <= errors[1]


@pytest.mark.parametrize("evaluations", [256, 1024])
@pytest.mark.parametrize("game", feature_games.GAMES)
def test_lime_errs_no_more_than_lime(game: str, evaluations: int) -> None:
    lime_base: Any = pytest.importorskip("lime.lime_base")
    model = feature_games.GAMES[game]
    exact = feature_games.regression(model)
    theirs: list[Any] = []
    for seed in SEEDS:
        generator = np.random.RandomState(seed)
        coalitions = generator.randint(0, 2, (evaluations, feature_games.FEATURES))
        coalitions[0] = 1  # as its explanations of images do
        distances = 1 - np.sqrt(coalitions.mean(1))
        base = lime_base.LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 0.25**2)), random_state=generator)
        found = base.explain_instance_with_data(
            coalitions,
            asked(model, coalitions)[:, None],
            distances,
            0,
            feature_games.FEATURES,
            feature_selection="none",
        )
        theirs.append(np.array([weight for _, weight in sorted(found[1])]))
    ours = [feature_games.effects(Lime(n_samples=evaluations, seed=seed), model) for seed in SEEDS]
    errors = feature_games.error(ours, exact), feature_games.error(theirs, exact)
    print(f"{game}, {evaluations} evaluations: error {errors[0]:.4f}, lime {errors[1]:.4f}")
    assert errors[0] <= errors[1]
