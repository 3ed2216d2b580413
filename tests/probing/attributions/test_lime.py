"""LIME, against a weighted regression written out, against its limit and against Captum's estimates."""

from __future__ import annotations

import math
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnRidge
from sklearn.linear_model import Ridge
from torch import Tensor, nn

import feature_games
from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions import Question
from layerscope.probing.attributions.lime import Lime
from layerscope.probing.attributions.perturbation import all_coalitions

SEEDS = range(12)


def kernel(coalitions: Any) -> Any:
    """Return LIME's weights of coalitions: ``sqrt(exp(-d^2 / width^2))`` of the cosine distance to all ones."""
    similarity = [math.sqrt(row.sum() / len(row)) if row.any() else 0.0 for row in coalitions]
    return np.array([math.sqrt(math.exp(-((1 - s) ** 2) / 0.25**2)) for s in similarity])


@pytest.mark.parametrize("game", feature_games.GAMES)
def test_all_coalitions_give_the_weighted_regression(game: str) -> None:
    model, coalitions = feature_games.GAMES[game], all_coalitions(feature_games.FEATURES)
    with torch.no_grad():
        values = model(torch.from_numpy(coalitions).float())[:, 0].double().numpy()
    weights = kernel(coalitions)
    for ridge in (0.0, 0.01):
        found = Lime(n_samples=4096, ridge=ridge).attribute("lime", Question(model, feature_games.ONES, 0))
        fit = Ridge(alpha=ridge * weights.sum()).fit(coalitions, values, sample_weight=weights)
        np.testing.assert_allclose(found.inputs[0][0].numpy(), fit.coef_, atol=1e-5)
        assert found.trust["noise"].tolist() == [0.0]
        assert found.delta is None
        score = fit.score(coalitions, values, sample_weight=weights)
        assert found.notes == (f"weighted R^2 of the linear model, sample by sample: {score:.2f}",)


def test_a_linear_model_gives_weight_times_difference() -> None:
    torch.manual_seed(0)
    model = nn.Linear(30, 3)
    x, baseline = torch.randn(2, 30), torch.randn(30)
    found = Lime(baselines=baseline, ridge=0.0).attribute("lime", Question(model, x, 2))
    torch.testing.assert_close(found.inputs[0], model.weight[2].detach() * (x - baseline), atol=1e-5, rtol=1e-5)
    assert found.notes == ("weighted R^2 of the linear model, sample by sample: 1.00, 1.00",)
    shrunk = Lime(baselines=baseline).attribute("lime", Question(model, x, 2)).inputs[0]
    largest = found.inputs[0].abs().max()
    assert 1e-4 * largest < (shrunk - found.inputs[0]).abs().max() < 2e-2 * largest


@pytest.mark.parametrize("game", feature_games.GAMES)
@pytest.mark.parametrize("evaluations", [256, 1024])
def test_errors_are_no_larger_than_those_of_captum(game: str, evaluations: int) -> None:
    model = feature_games.GAMES[game]
    exact = feature_games.regression(model)
    ours = [feature_games.effects(Lime(n_samples=evaluations, seed=seed), model) for seed in SEEDS]

    def near(original: Tensor, perturbed: Tensor, interpretable: Tensor, **_: Any) -> Tensor:
        return torch.from_numpy(kernel(interpretable.bool().numpy()))

    oracle: Any = captum.attr.LimeBase(
        model,
        SkLearnRidge(alpha=1.0),
        similarity_func=near,
        perturb_func=lambda x, **_: torch.randint(0, 2, x.shape),
        perturb_interpretable_space=True,
        from_interp_rep_transform=lambda z, x, **_: z.float(),
        to_interp_rep_transform=None,
    )
    theirs: list[Any] = []
    with torch.random.fork_rng():
        for seed in SEEDS:
            torch.manual_seed(seed)
            found = oracle.attribute(feature_games.ONES, target=0, n_samples=evaluations, perturbations_per_eval=256)
            theirs.append(found[0].double().numpy())
    assert feature_games.error(ours, exact) < feature_games.error(theirs, exact)


@pytest.mark.parametrize("game", feature_games.GAMES)
@pytest.mark.parametrize("evaluations", [128, 512])
def test_the_noise_floor_is_the_error_over_seeds(game: str, evaluations: int) -> None:
    model = feature_games.GAMES[game]
    exact = feature_games.effects(Lime(n_samples=4096), model)
    answers = [
        Lime(n_samples=evaluations, seed=seed).attribute("lime", Question(model, feature_games.ONES, 0))
        for seed in range(30)
    ]
    noise = float(np.sqrt(np.mean([float(answer.trust["noise"]) ** 2 for answer in answers])))
    error = feature_games.error([answer.inputs[0][0].double().numpy() for answer in answers], exact)
    assert 0.7 < noise / error < 1.6


def test_the_seed_decides_and_too_few_draws_tell_no_noise() -> None:
    torch.manual_seed(0)
    question = Question(nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 2)), torch.randn(1, 20), 0)
    first = Lime(n_samples=100).attribute("lime", question)
    torch.manual_seed(6)
    assert torch.equal(first.inputs[0], Lime(n_samples=100).attribute("lime", question).inputs[0])
    assert not torch.equal(first.inputs[0], Lime(n_samples=100, seed=1).attribute("lime", question).inputs[0])
    assert Lime(n_samples=40).attribute("lime", question).trust["noise"].isnan().all()


def test_a_model_that_ignores_its_input_has_no_effects() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :2] * 0

    found = Lime().attribute("lime", Question(Constant(), torch.rand(1, 20), 0))
    assert (found.inputs[0] == 0).all()
    assert found.trust["noise"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_width": 0.0}, "kernel_width must be greater than 0 and ridge at least 0, but they are 0.0 and 0.001"),
        ({"ridge": -1.0}, "but they are 0.25 and -1.0"),
        ({"n_samples": 21}, "n_samples must be at least 22 for 20 features, but it is 21"),
    ],
)
def test_options_that_break_a_rule(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Lime(**options).attribute("lime", Question(nn.Linear(20, 2), torch.rand(1, 20), 0))
