"""KernelSHAP and Shapley sampling, against exact Shapley values worked out slowly and against Captum's estimates."""

from __future__ import annotations

import itertools
import math
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import feature_games
from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions import Question, attribute
from layerscope.probing.attributions.kernel_shap import KernelShap, Pairs
from layerscope.probing.attributions.shapley_sampling import ShapleySampling, exact_shapley_values
from probed_models import DigitsNet, Tokens

METHODS = [KernelShap, ShapleySampling]
SEEDS = range(12)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_shapley_values(values: dict[frozenset[int], float], features: int) -> list[float]:
    """Return the mean of what each feature adds over all orders: Shapley 1953."""
    added = [0.0] * features
    for order in itertools.permutations(range(features)):
        for place, feature in enumerate(order):
            before = frozenset(order[:place])
            added[feature] += values[before | {feature}] - values[before]
    return [total / math.factorial(features) for total in added]


def network(features: int, classes: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, 16), nn.Tanh(), nn.Linear(16, classes))


@pytest.mark.parametrize("features", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("method", METHODS)
def test_all_coalitions_give_exact_shapley_values(method: Any, features: int) -> None:
    model, x, baseline = network(features), random(2, features), random(features, seed=1)
    found = method(baselines=baseline).attribute("m", Question(model, x, [1, 0]))
    for sample, label in enumerate((1, 0)):
        values: dict[frozenset[int], float] = {}
        for number in range(1 << features):
            there = frozenset(i for i in range(features) if number >> i & 1)
            masked = torch.tensor([x[sample, i] if i in there else baseline[i] for i in range(features)])
            with torch.no_grad():
                values[there] = model(masked[None])[0, label].item()
        expected = torch.tensor(slow_shapley_values(values, features))
        torch.testing.assert_close(found.inputs[0][sample], expected, atol=1e-6, rtol=1e-5)
    assert found.trust["noise"].tolist() == [0.0, 0.0]
    assert (found.layers, found.signed) == ({}, True)


def test_the_glove_game() -> None:
    """Shapley's textbook example: feature 0 has a left glove, 1 and 2 have right ones, a pair is worth 1."""
    values = np.array([float(n & 1 and n & 6) > 0 for n in range(8)], np.float64)
    np.testing.assert_allclose(exact_shapley_values(values), [4 / 6, 1 / 6, 1 / 6])


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_model_gives_weight_times_difference(method: Any) -> None:
    torch.manual_seed(0)
    model, x, baseline = nn.Linear(30, 3), random(2, 30), random(30, seed=1)
    found = method(baselines=baseline, n_samples=120).attribute("m", Question(model, x, 2))
    torch.testing.assert_close(found.inputs[0], model.weight[2].detach() * (x - baseline), atol=1e-5, rtol=1e-5)
    assert (found.trust["noise"] < 1e-5).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_samples", [60, 201, None])
def test_effects_add_up_exactly(method: Any, n_samples: int | None) -> None:
    model, x = network(30), random(3, 30)
    found = method(n_samples=n_samples).attribute("m", Question(model, x, 1))
    with torch.no_grad():
        change = (model(x) - model(torch.zeros_like(x)))[:, 1]
    torch.testing.assert_close(found.inputs[0].sum(1), change, atol=1e-5, rtol=1e-5)
    assert found.delta is not None
    assert found.delta.abs().max() < 1e-6


@pytest.mark.parametrize("game", feature_games.GAMES)
@pytest.mark.parametrize("evaluations", [256, 1024])
def test_errors_are_no_larger_than_those_of_captum(game: str, evaluations: int) -> None:
    model = feature_games.GAMES[game]
    exact = feature_games.shapley_values(model)
    errors: dict[str, float] = {}
    for method in METHODS:
        found = [feature_games.effects(method(n_samples=evaluations, seed=seed), model) for seed in SEEDS]
        errors[method.__name__] = feature_games.error(found, exact)
    oracle: Any = captum.attr.KernelShap(model)
    theirs: list[Any] = []
    with torch.random.fork_rng():
        state = np.random.get_state()
        for seed in SEEDS:
            torch.manual_seed(seed)
            np.random.seed(seed)
            found = oracle.attribute(
                feature_games.ONES, target=0, n_samples=evaluations, perturbations_per_eval=evaluations
            )
            theirs.append(found[0].double().numpy())
        np.random.set_state(state)
    captums = feature_games.error(theirs, exact)
    assert errors["KernelShap"] < captums
    # tests/bench/test_perturbation.py compares with shap and lime, which bring much along.
    assert errors["KernelShap"] < errors["ShapleySampling"] < 1.5 * captums


@pytest.mark.parametrize("game", feature_games.GAMES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("evaluations", [128, 512])
def test_the_noise_floor_is_the_error_over_seeds(method: Any, game: str, evaluations: int) -> None:
    model = feature_games.GAMES[game]
    exact = feature_games.shapley_values(model)
    answers = [
        method(n_samples=evaluations, seed=seed).attribute("m", Question(model, feature_games.ONES, 0))
        for seed in range(30)
    ]
    noise = float(np.sqrt(np.mean([float(answer.trust["noise"]) ** 2 for answer in answers])))
    error = feature_games.error([answer.inputs[0][0].double().numpy() for answer in answers], exact)
    assert 0.7 < noise / error < 1.5


def test_too_few_draws_tell_no_noise() -> None:
    model, x = network(20), random(1, 20)
    assert KernelShap(n_samples=40).attribute("m", Question(model, x, 0)).trust["noise"].isnan().all()
    assert ShapleySampling(n_samples=41).attribute("m", Question(model, x, 0)).trust["noise"].isnan().all()


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_decides(method: Any) -> None:
    question = Question(network(20), random(1, 20), 0)
    torch.manual_seed(5)
    first = method(n_samples=100).attribute("m", question).inputs[0]
    torch.manual_seed(6)
    assert torch.equal(first, method(n_samples=100).attribute("m", question).inputs[0])
    assert not torch.equal(first, method(n_samples=100, seed=1).attribute("m", question).inputs[0])


@pytest.mark.parametrize("features", [2, 3, 6, 7, 12, 40])
@pytest.mark.parametrize("pairs", [1, 9, 40, 300])
def test_pairs_stand_for_the_kernel(features: int, pairs: int) -> None:
    """What is drawn has the weights of eq. 8: size by size they add up to those of all coalitions of that size."""
    pairs = min(pairs, (1 << features) // 2 - 1)
    drawn = Pairs.drawn(features, pairs, np.random.default_rng(0))
    rows = np.concatenate([drawn.first, ~drawn.first])
    assert len({row.tobytes() for row in rows}) == len(rows) == 2 * pairs
    sizes = drawn.first.sum(1)
    assert sizes.min() >= 1
    assert sizes.max() <= features // 2
    for size in set(sizes.tolist()):
        count = math.comb(features, size)
        both = 1 if 2 * size == features else 2
        kernel = (features - 1) / (count * size * (features - size)) * count * both
        assert drawn.weights[sizes == size].sum() == pytest.approx(kernel / (features - 1))
        share = (sizes == size).sum() * 2 / (count * both)
        np.testing.assert_allclose(drawn.chance[sizes == size], 1 - share)


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_patch_a_token_and_a_column_are_found(method: Any) -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([x[:, :, :4, 4:].mean((1, 2, 3)) ** 2, x.mean((1, 2, 3)) * 0.1], 1)

    image = random(2, 3, 8, 8).abs() + 0.5
    found = method(n_features=4).attribute("m", Question(Corner(), image, 0)).inputs[0].sum(1)
    quarters = found.reshape(2, 2, 4, 2, 4).sum((2, 4)).flatten(1)
    torch.testing.assert_close(quarters[:, [0, 2, 3]], torch.zeros(2, 3))
    torch.testing.assert_close(quarters[:, 1], image[:, :, :4, 4:].mean((1, 2, 3)) ** 2)

    class Word(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return (ids == 7).float().sum(1, keepdim=True)

    words = torch.tensor([[3, 7, 2, 9], [1, 5, 7, 4]])
    found = method().attribute("m", Question(Word(), words, None)).inputs[0]
    torch.testing.assert_close(found, (words == 7).float())


def test_dictionaries_keywords_and_padding() -> None:
    torch.manual_seed(0)
    ids = torch.tensor([[1, 5, 3, 0], [2, 7, 8, 9]])
    found = KernelShap(padding_id=0).attribute("m", Question(Tokens().eval(), {"ids": ids}, [1, 2]))
    assert found.inputs[0].shape == (2, 4)
    assert found.inputs[0][0, 3] == 0
    assert (found.inputs[0].flatten()[[0, 1, 2, 4, 5, 6, 7]] != 0).all()
    assert found.targets.tolist() == [1, 2]


def test_samples_with_different_numbers_of_features() -> None:
    model, x = network(6), random(2, 6)
    features = torch.tensor([[0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, -1]])
    both = KernelShap(features=features).attribute("m", Question(model, x, 0))
    for sample in range(2):
        one = KernelShap(features=features[sample : sample + 1])
        alone = one.attribute("m", Question(model, x[sample : sample + 1], 0))
        torch.testing.assert_close(both.inputs[0][sample], alone.inputs[0][0])
    assert both.inputs[0][1, 5] == 0
    assert both.inputs[0][0, 0] == both.inputs[0][0, 2]  # a feature's effect is shared evenly


def test_samples_in_another_dimension_come_first_in_the_answer() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network(4)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.T)

    model, x = Turned(), random(3, 4)
    turned = attribute(model, x.T, 1, method="kernel_shap", batch_dim=1)
    torch.testing.assert_close(turned.inputs[0], attribute(model.inner, x, 1, method="kernel_shap").inputs[0])


def test_inputs_without_features_have_no_attribution() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return (x * scale).sum(1, keepdim=True)

    x = random(2, 3)
    found = KernelShap().attribute("m", Question(Scaled(), (x, torch.tensor(2.0)), 0))
    torch.testing.assert_close(found.inputs[0], x * 2)
    assert found.inputs[1].isnan().all()


@pytest.mark.parametrize("method", ["kernel_shap", "shapley_sampling"])
def test_too_few_samples_are_refused(method: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"n_samples must be at least 40 for 20 features, but it is 39. Ask"):
        attribute(network(20), random(1, 20), 0, method=method, n_samples=39)
    with pytest.raises(InvalidArgumentError, match="n_features must be at least 1, but it is 0"):
        attribute(DigitsNet(), random(1, 1, 8, 8), 0, method=method, n_features=0)
