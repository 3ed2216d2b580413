"""Errors of KernelSHAP and LIME beside those of shap and lime, at the same number of evaluations (make bench).

Run where ``shap`` and ``lime`` are installed; they are in no extra, since they bring numba and pandas along.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import feature_games
from bench.measuring import write_section
from layerscope.probing.attributions.kernel_shap import KernelShap
from layerscope.probing.attributions.lime import Lime

pytestmark = pytest.mark.bench

SEEDS = range(12)
ONES = np.ones((1, feature_games.FEATURES))
HEADING = "Errors of KernelSHAP and LIME"


@pytest.fixture(scope="module")
def rows() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    if not found:  # neither library is installed
        return
    head = [
        f"{date.today()}, shap {version('shap')}, lime {version('lime')}. Root mean square errors over {len(SEEDS)}",
        f"seeds against exact values from all 2^{feature_games.FEATURES} coalitions, at as many evaluations.",
        "",
        "| game | method | evaluations | ours | theirs |",
        "|---|---|---|---|---|",
    ]
    write_section(HEADING, head + found)


def asked(model: nn.Module, coalitions: Any) -> Any:
    """Return the values of coalitions, as the libraries ask for them."""
    with torch.no_grad():
        return model(torch.from_numpy(np.asarray(coalitions)).float())[:, 0].double().numpy()


@pytest.mark.parametrize("evaluations", [256, 1024])
@pytest.mark.parametrize("game", feature_games.GAMES)
def test_kernel_shap_errs_no_more_than_shap(game: str, evaluations: int, rows: list[str]) -> None:
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
    rows.append(f"| {game} | kernel_shap, shap | {evaluations} | {errors[0]:.4f} | {errors[1]:.4f} |")
    assert errors[0] <= errors[1]


@pytest.mark.parametrize("evaluations", [256, 1024])
@pytest.mark.parametrize("game", feature_games.GAMES)
def test_lime_errs_no_more_than_lime(game: str, evaluations: int, rows: list[str]) -> None:
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
    rows.append(f"| {game} | lime, lime | {evaluations} | {errors[0]:.4f} | {errors[1]:.4f} |")
    assert errors[0] <= errors[1]
