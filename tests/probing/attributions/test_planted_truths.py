"""What was planted is found by every method: weights of a linear model, a watermark, a word, a column."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerscope.probing.attributions import METHODS, attribute, named
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.trust import score

OF_INPUTS = [name for name in METHODS if name not in ("activation", "grad_cam", "layer_conductance")]
OF_INPUTS.remove("layer_integrated_gradients")
LAYERS_ALONE = ("activation", "grad_cam", "layer_conductance", "layer_integrated_gradients")
NEEDS_BACKGROUND = ("gradient_shap", "deep_shap")

W = torch.tensor([[3.0, -2.0, 0.0, 1.0, 5.0], [0.0, 1.0, -4.0, 2.0, -1.0]])
X = torch.tensor([[1.0, 2.0, 3.0, -1.0, 0.5], [0.0, -1.0, 2.0, 4.0, 1.0]])


def linear() -> nn.Linear:
    model = nn.Linear(5, 2)
    model.weight.data, model.bias.data = W.clone(), torch.tensor([0.5, -0.5])
    return model


def options(method: str, background: Tensor) -> dict[str, Any]:
    return {"baselines": background} if method in NEEDS_BACKGROUND else {}


EXACT = {
    "saliency": W[1].abs().expand(2, 5),
    "guided_backprop": W[1].expand(2, 5),
    "smooth_grad": W[1].expand(2, 5),
    "output_sum_gradient": W.sum(0).expand(2, 5),
}
"""Those that say how the target would change, not what it is made of; all others give w x."""


@pytest.mark.parametrize("method", OF_INPUTS)
def test_a_linear_model_gives_its_weights(method: str) -> None:
    model = linear()
    found = attribute(model, X, 1, method=method, **options(method, torch.zeros(1, 5)))
    expected = EXACT.get(method, X * W[1])
    if method == "gradient_x_probability":
        expected = model(X).softmax(1)[:, 1:].detach() * W[1]
    tolerance = 2e-2 if method == "lime" else 1e-5  # its penalty shrinks
    torch.testing.assert_close(found.inputs[0].float(), expected, rtol=tolerance, atol=tolerance)


class Watermarked(nn.Module):
    """Has learned the watermark, a bright square in a corner, and hardly anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 4, 4)
        nn.init.constant_(self.conv.weight, 1 / 16)
        nn.init.zeros_(self.conv.bias)
        self.fc = nn.Linear(32, 2)
        nn.init.zeros_(self.fc.bias)
        with torch.no_grad():
            weight = 0.02 * torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(5))
            weight[1, :, 3, 3], weight[0, :, 3, 3] = 4.0, -4.0
            self.fc.weight.copy_(weight.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(functional.relu(self.conv(x)).flatten(1))


def watermarked(count: int, seed: int = 0) -> Tensor:
    images = 0.3 * torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    images[:, :, 12:, 12:] = 1.0
    return images


class Noticing(nn.Module):
    """Says class 1 of a text that holds word 7."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(12, 4)
        self.fc = nn.Linear(4, 2, bias=False)
        with torch.no_grad():
            self.words.weight.copy_(0.05 * torch.randn(12, 4, generator=torch.Generator().manual_seed(1)))
            self.words.weight[7] = torch.tensor([1.0, 1.0, -1.0, 1.0])
            self.fc.weight.copy_(torch.tensor([[-1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, 1.0]]))

    def forward(self, ids: Tensor) -> Tensor:
        return self.fc(functional.relu(3 * self.words(ids)).sum(1) - functional.relu(-3 * self.words(ids)).sum(1))


class Judging(nn.Module):
    """Judges by column 2 of a table, beside a little of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 2)
        with torch.no_grad():
            self.first.weight.copy_(0.03 * torch.randn(8, 6, generator=torch.Generator().manual_seed(2)))
            self.first.weight[:4, 2] = 2.0
            nn.init.zeros_(self.first.bias)
            self.second.weight.copy_(torch.tensor([[-1.0] * 4 + [0.1] * 4, [1.0] * 4 + [-0.1] * 4]))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(functional.relu(self.first(x)))


@pytest.mark.parametrize("method", OF_INPUTS)
def test_a_planted_watermark_is_found(method: str) -> None:
    images = watermarked(3)
    extra: dict[str, Any] = {"features": "patches", "n_features": 16} if is_perturbing(method) else {}
    target = (lambda scores: scores[:, 1]) if method == "output_sum_gradient" else 1
    background = torch.zeros(2, 1, 16, 16)
    found = attribute(Watermarked(), images, target, method=method, **options(method, background), **extra)
    mass = found.inputs[0].abs()
    assert (mass[:, :, 12:, 12:].flatten(1).sum(1) > 0.7 * mass.flatten(1).sum(1)).all()
    assert (found.inputs[0][:, :, 12:, 12:].flatten(1).sum(1) > 0).all()  # it supports


def is_perturbing(method: str) -> bool:
    return "features" in METHODS[method].__dataclass_fields__


@pytest.mark.parametrize("method", OF_INPUTS)
def test_a_planted_word_is_found(method: str) -> None:
    ids = torch.tensor([[1, 7, 3, 4, 2], [5, 6, 8, 9, 7]])
    target = (lambda scores: scores[:, 1]) if method == "output_sum_gradient" else 1
    found = attribute(Noticing(), ids, target, method=method, **options(method, torch.tensor([[1, 2, 3, 4, 5]])))
    if method in ("saliency", "guided_backprop", "smooth_grad", "output_sum_gradient", "gradient_x_probability"):
        # How the score would change with a word is the same for every word here: only what is there can be found.
        assert found.inputs[0].shape == (2, 5)
        return
    assert found.inputs[0].abs().argmax(1).tolist() == [1, 4]
    assert found.inputs[0].argmax(1).tolist() == [1, 4]


@pytest.mark.parametrize("method", OF_INPUTS)
def test_a_planted_column_is_found(method: str) -> None:
    x = 0.5 + torch.rand(4, 6, generator=torch.Generator().manual_seed(3))
    target = (lambda scores: scores[:, 1]) if method == "output_sum_gradient" else 1
    found = attribute(Judging(), x, target, method=method, **options(method, torch.zeros(2, 6)))
    assert found.inputs[0].abs().argmax(1).tolist() == [2, 2, 2, 2]
    assert (found.inputs[0][:, 2] > 0).all()


@pytest.mark.parametrize("method", LAYERS_ALONE)
def test_methods_of_layers_find_the_watermark_in_the_layer(method: str) -> None:
    images = watermarked(2)
    found = attribute(Watermarked(), images, 1, method=method, layers=["conv"])
    layer = found.layers["conv"].sum(1)
    assert layer.abs().flatten(1).argmax(1).tolist() == [15, 15]


@pytest.mark.parametrize("method", OF_INPUTS)
def test_maps_change_with_the_weights_and_beat_chance(method: str) -> None:
    """Random weights give another map, and what a method says to matter does."""
    images = watermarked(3)
    extra: dict[str, Any] = {"features": "patches", "n_features": 16} if is_perturbing(method) else {}
    chosen = options(method, torch.zeros(2, 1, 16, 16)) | extra
    found = attribute(Watermarked(), images, 1, method=method, **chosen)
    methods = named({method: chosen})
    scored = score(Question(Watermarked(), images, 1), methods, {method: found}, ["deletion", "randomization"])[method]
    assert (scored.trust["randomization"] < 0.9).all()
    if method != "output_sum_gradient":  # the sum of the two classes has nothing to do with the watermark
        # Single samples by less: where the map is moved to may tell something, too.
        assert (scored.trust["deletion"] < scored.trust["deletion_random"]).all()
        assert scored.trust["deletion"].mean() < scored.trust["deletion_random"].mean() - 0.1
