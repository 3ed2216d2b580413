"""Models that give no finite number where features are missing: what the methods of perturbation say all the same."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import layerscope
from layerscope import Scope
from layerscope.errors import CaptureError
from layerscope.probing.attributions.kernel_shap import Pairs
from layerscope.probing.attributions.perturbation import all_coalitions
from layerscope.probing.attributions.shapley_sampling import exact_shapley_values

PERTURBATION = ("lime", "kernel_shap", "shapley_sampling", "occlusion")


class Sums(nn.Module):
    """Tokens [batch, length] -> the sum of a weight of each, and NaN where fewer than ``least`` are no padding."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self.weight = nn.Embedding(6, 1, padding_idx=0)
        with torch.no_grad():
            self.weight.weight[:, 0] = torch.tensor([0.0, 1.0, -2.0, 3.0, 0.5, -1.0])
        self.least = least

    def forward(self, ids: Tensor) -> Tensor:
        told = (ids != 0).sum(1, keepdim=True) >= self.least
        return self.weight(ids).sum(1).where(told, math.nan)


IDS = torch.tensor([[1, 2, 3, 4], [5, 3, 2, 0]])
WEIGHTS = torch.tensor([[1.0, -2.0, 3.0, 0.5], [-1.0, 3.0, -2.0, 0.0]])


@pytest.mark.parametrize(
    ("method", "options", "left_out"),
    [
        ("lime", {}, "2 of 24"),
        ("kernel_shap", {}, "2 of 22"),
        ("kernel_shap", {"n_samples": 12}, "2 of 18"),
        ("shapley_sampling", {}, "2 of 24"),
        ("shapley_sampling", {"n_samples": 12}, "2 of 15"),
        ("occlusion", {}, None),  # takes one token away at a time
    ],
)
def test_effects_of_a_sum_are_found_though_nothing_is_said_of_no_token(
    method: str, options: dict[str, Any], left_out: str | None
) -> None:
    found = layerscope.attribute(Sums(1), IDS, method=method, padding_id=0, **options)
    np.testing.assert_allclose(found.inputs[0], WEIGHTS, atol=0.02 if method == "lime" else 1e-5)
    told = [note for note in found.notes if "no finite number" in note]
    assert len(told) == (left_out is not None)
    for note in told:
        assert f"for {left_out} inputs with missing features, of 2 of 2 samples; they were left out" in note
        assert "baselines=the integer of a token that is no padding" in note


@pytest.mark.parametrize("method", PERTURBATION)
def test_where_nothing_is_left_it_is_raised_and_written_with_its_note(method: str, tmp_path: Path) -> None:
    """No input with a missing token gives a number."""
    model, ids = Sums(4), torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1]])
    why = r"it tells nothing\. The model gave no finite number for .* of 2 of 2 samples; .* baselines="
    with pytest.raises(CaptureError, match=f"{method} was asked for, but {why}"):
        layerscope.attribute(model, ids, method=method)
    with warnings.catch_warnings(record=True) as caught, Scope(model, tmp_path) as scope:
        warnings.simplefilter("always")
        scope.attributions(ids, step=0, methods=[method, "saliency"], trust=False)
    (said,) = [str(warning.message) for warning in caught]
    assert said.startswith(
        f"Layerscope could not record all of attributions: CaptureError: {method} was asked for, but"
    )
    run = layerscope.read(tmp_path)["."]
    assert set(run.attributions) == {method, "saliency"}
    maps = run.attributions[method][0]
    assert np.isnan(maps.inputs[0]).all()
    assert "Say what else stands for what is missing" in maps.notes[0]


@pytest.mark.parametrize("method", PERTURBATION)
def test_of_one_sample_alone_nothing_is_told(method: str) -> None:
    ids = torch.tensor([[1, 2, 3, 4], [5, 0, 0, 0]])
    found = layerscope.attribute(Sums(1), ids, method=method, padding_id=0)
    np.testing.assert_allclose(found.inputs[0][0], WEIGHTS[0], atol=0.02 if method == "lime" else 1e-5)
    assert found.inputs[0][1, 0].isnan()
    assert found.inputs[0][1, 1:].tolist() == [0, 0, 0]


def test_a_feature_without_which_nothing_is_said_has_no_effect_that_lime_could_tell() -> None:
    class Needed(nn.Module):
        """A sum of columns, of which the first must not be 0."""

        def forward(self, x: Tensor) -> Tensor:
            return x.sum(1, keepdim=True).where(x[:, :1] != 0, math.inf)

    found = layerscope.attribute(Needed(), torch.tensor([[2.0, 3.0, -1.0]]), method="lime").inputs[0][0]
    assert found[0].isnan()
    np.testing.assert_allclose(found[1:], [3.0, -1.0], atol=0.02)


def test_values_that_are_missing_leave_the_exact_values_of_an_additive_game_what_they_are() -> None:
    worth = np.array([1.0, -2.0, 0.5, 4.0])
    values = all_coalitions(4) @ worth + 7
    values[[0, 6, 9]] = np.nan
    np.testing.assert_allclose(exact_shapley_values(values), worth)
    plan = Pairs.drawn(4, 7, np.random.default_rng(0))
    asked = plan.coalitions @ worth + 7
    asked[[0, 3]] = np.nan
    effects, noise = plan.solved(asked, float(worth.sum() + 7))
    np.testing.assert_allclose(effects, worth)
    assert noise == 0
