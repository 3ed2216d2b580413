"""DeepSHAP: the mean of DeepLIFT over a background; shap, where it is installed, and exact Shapley values agree."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import probed_models
from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions import Question
from layerscope.probing.attributions.deep_lift import DeepLift
from layerscope.probing.attributions.deep_shap import DeepShap


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("internal_batch_size", [None, 4, 1])
@pytest.mark.parametrize("kind", [probed_models.DigitsNet, probed_models.Reusing, probed_models.Tokens])
def test_it_is_the_mean_of_deep_lift_over_the_background(
    kind: type[nn.Module], internal_batch_size: int | None
) -> None:
    torch.manual_seed(0)
    model = kind().eval()
    if kind is probed_models.Tokens:
        inputs: Any = {"ids": torch.arange(12).reshape(2, 6)}
        background: Any = {"ids": torch.randint(0, 20, (5, 6), generator=torch.Generator().manual_seed(1))}
        each = [{"ids": background["ids"][i : i + 1]} for i in range(5)]
    else:
        inputs, background = random(2, 1, 8, 8), random(5, 1, 8, 8, seed=1)
        each = [background[i : i + 1] for i in range(5)]
    question = Question(model, inputs, [1, 2])
    found = DeepShap(background, internal_batch_size).attribute("deep_shap", question)
    singles = [DeepLift(baseline).attribute("deep_lift", question) for baseline in each]
    expected = torch.stack([single.inputs[0] for single in singles]).mean(0)
    torch.testing.assert_close(found.inputs[0], expected, rtol=1e-4, atol=1e-7)
    shared = {} if internal_batch_size == 1 else found.skipped  # what is looked up for positions, once for all samples
    assert list(found.layers) == [key for key in singles[0].layers if key not in shared]
    assert list(shared) == (["positions"] if kind is probed_models.Tokens and internal_batch_size != 1 else [])
    for key, attribution in found.layers.items():
        expected = torch.stack([single.layers[key] for single in singles]).mean(0)
        torch.testing.assert_close(attribution, expected, rtol=1e-4, atol=1e-6)
    assert found.delta is not None
    torch.testing.assert_close(found.delta, torch.zeros(2), rtol=0, atol=1e-6)


def test_of_an_additive_model_it_gives_exact_shapley_values() -> None:
    class Additive(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0].exp() + x[:, 1] * x[:, 2] + x[:, 3].relu()

    x, background = random(1, 4).double(), random(6, 4, seed=1).double()
    found = DeepShap(background).attribute("deep_shap", Question(Additive(), x, None))
    expected = torch.zeros(4).double()
    for order in permutations(range(4)):
        mixed = background.clone()
        for feature in order:
            before = Additive()(mixed).mean()
            mixed[:, feature] = x[0, feature]
            expected[feature] += (Additive()(mixed).mean() - before) / 24
    torch.testing.assert_close(found.inputs[0][0], expected)


def test_it_equals_shap() -> None:
    shap = pytest.importorskip("shap")
    torch.manual_seed(0)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(54, 20), nn.Sigmoid()),
        nn.Linear(20, 10),
    ).eval()
    x, background = random(3, 1, 8, 8), random(20, 1, 8, 8, seed=1)
    values = shap.DeepExplainer(model, background).shap_values(x)
    expected = torch.from_numpy(np.stack([values[i, ..., label] for i, label in enumerate((1, 2, 3))])).float()
    found = DeepShap(background).attribute("deep_shap", Question(model, x, [1, 2, 3]))
    torch.testing.assert_close(found.inputs[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("baselines", "given"), [(None, "None"), (torch.zeros(0, 4), "[[0, 4]]")])
def test_the_error_without_a_background_is_readable(baselines: Any, given: str) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        DeepShap(baselines).attribute("deep_shap", Question(nn.Linear(4, 2), random(2, 4), 0))
    assert str(error.value) == (
        "deep_shap needs background samples: baselines=tensor [samples, ...] like the input, e.g. 20 of the training "
        f"data; given: {given}."
    )
