"""Inputs and networks that look like others: a number for each sample, views changed later, probabilities given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import layerscope
from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing import capture as capturing
from layerscope.probing.attributions import METHODS, attribute, attribute_all
from layerscope.probing.attributions.grad_cam import GradCam


class Beside(nn.Module):
    """Takes one number for each sample beside its features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.out = nn.Linear(5, 3)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.out(torch.cat([x, t[:, None]], 1))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("layer_conductance", "grad_cam")])
def test_one_number_for_each_sample_beside_the_others(method: str) -> None:
    model, x, t = Beside(), torch.randn(4, 4), torch.randn(4)
    background = {"baselines": (torch.zeros(2, 4), torch.zeros(2))} if method.endswith("_shap") else {}
    background = background if method in ("gradient_shap", "deep_shap") else {}
    found = attribute(model, (x, t), 1, method=method, **background)
    exact = (
        "gradient_shap",
        "deep_shap",
        "integrated_gradients",
        "deep_lift",
        "occlusion",
        "kernel_shap",
        "shapley_sampling",
    )
    if found.inputs and method in exact:
        torch.testing.assert_close(found.inputs[0], x * model.out.weight[1, :4], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(found.inputs[1], t * model.out.weight[1, 4], atol=1e-4, rtol=1e-4)


class ViewThenInPlace(nn.Module):
    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 3, 3)
        self.flat = nn.Flatten()
        self.act = nn.ReLU(inplace=inplace)
        self.out = nn.Linear(48, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.act(self.flat(self.conv(x))))


class BaseUsedAgain(ViewThenInPlace):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv(x)
        self.act(self.flat(maps))
        return self.out(maps.flatten(1))


@pytest.mark.parametrize("method", ["saliency", "gradient_x_activation", "grad_cam", "layer_conductance"])
def test_a_view_that_is_changed_in_place_keeps_its_gradient(method: str) -> None:
    x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    plain = attribute(ViewThenInPlace(inplace=False), x, 1, method=method)
    found = attribute(ViewThenInPlace(inplace=True), x, 1, method=method)
    assert list(found.layers) == list(plain.layers)
    for key, expected in plain.layers.items():
        torch.testing.assert_close(found.layers[key], expected)


def test_where_the_memory_of_the_view_is_used_again_nothing_is_parted() -> None:
    x = torch.randn(2, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    model = BaseUsedAgain(inplace=True)
    found = attribute(model, x, 1, method="saliency")
    held = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(held)[:, 1].sum(), held)
    torch.testing.assert_close(found.inputs[0], gradient.abs())
    assert "flat" not in found.layers
    assert capturing._BOUND[model] == {"flat"}


def test_what_inference_mode_made_is_seen_without_a_gradient() -> None:
    class Frozen(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            with torch.inference_mode():
                return super().forward(x)

    model = nn.Sequential(Frozen(nn.Linear(4, 4), nn.Identity()), nn.Linear(4, 2))
    x = torch.randn(3, 4)
    found = attribute_all(model, x, 0, methods=["activation", "gradient_x_activation"])
    torch.testing.assert_close(found["activation"].layers["0.0"], model[0][0](x).detach())
    assert "1" in found["gradient_x_activation"].layers


def test_probabilities_are_not_made_of_probabilities() -> None:
    torch.manual_seed(0)
    logits, x = nn.Linear(4, 3), torch.randn(5, 4) * 3
    model = nn.Sequential(logits, nn.Softmax(1))
    expected = logits(x).softmax(1)[:, 2]
    torch.testing.assert_close(attribute(model, x, 2, method="saliency").probabilities, expected.detach())
    torch.testing.assert_close(attribute(logits, x, 2, method="saliency").probabilities, expected.detach())


def at_the_first(model: nn.Module, inputs: Any, target: Any) -> dict[str, Tensor]:
    return {"out": inputs[0]}


@pytest.mark.parametrize("method", ["kernel_shap", "lime", "occlusion", "shapley_sampling", at_the_first, "saliency"])
def test_a_layer_that_is_not_there_is_told_by_every_method(method: Any) -> None:
    inputs = (torch.randn(2, 4), torch.randn(2))
    for layers in (["nope"], ["no*"], ["out", "nope"]):
        with pytest.raises(LayerNotFoundError, match=r"'no(pe|\*)' was asked for"):
            attribute(Beside(), inputs, 0, method=method, layers=layers)
    with pytest.raises(CaptureError, match="no such call of 'out'"):
        attribute(Beside(), inputs, 0, method=method, layers=["out#1"])
    found = attribute(Beside(), inputs, 0, method=method, layers=["out"])
    assert list(found.layers) == ([] if method in ("kernel_shap", "lime", "occlusion", "shapley_sampling") else ["out"])


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'grad_cam' stands there 2 times.*grad_cam_1"):
        attribute_all(Beside(), (torch.randn(2, 4), torch.randn(2)), methods=[GradCam(), GradCam(relu=True)])


@pytest.mark.parametrize("method", ["saliency", "integrated_gradients", "kernel_shap", "deep_lift", "smooth_grad"])
def test_a_tuple_of_labels_is_one_for_each_sample(method: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 3), nn.Tanh()), torch.randn(2, 4)
    found, expected = (attribute(model, x, labels, method=method).inputs[0] for labels in ((0, 1), [0, 1]))
    torch.testing.assert_close(found, expected)


def test_auto_is_looked_into_once_for_all_passes() -> None:
    features = nn.Sequential(*[layer for _ in range(7) for layer in (nn.Conv2d(2, 2, 3, padding=1), nn.ReLU())])
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("avgpool", nn.AdaptiveAvgPool2d(1))
    model.add_module("classifier", nn.Sequential(nn.Flatten(), nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)))
    calls = 0

    def count(*_: Any) -> None:
        nonlocal calls
        calls += 1

    features[0].register_forward_hook(count)
    x = torch.randn(2, 2, 6, 6)
    found = attribute(model, x, 0, method="layer_conductance", layers="auto", internal_batch_size=2, n_steps=4)
    auto = calls
    assert list(found.layers) == [*(f"features.{2 * i}" for i in range(7)), "classifier.1", "classifier.3"]
    calls = 0
    attribute(model, x, 0, method="layer_conductance", layers="all", internal_batch_size=2, n_steps=4)
    assert auto == calls + 1


def test_replay_keeps_apart_what_is_the_models_own(tmp_path: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    zeros = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    norm = float(torch.linalg.vector_norm(model[0].weight.detach()))
    layerscope.replay(model, {0: zeros, 100: model.state_dict()}, tmp_path, torch.randn(2, 4), parameters=True)
    (run,) = layerscope.read(tmp_path).values()
    series = run.series["parameters"]
    row, column = series.layers.index("0.weight"), series.statistics.index("norm")
    assert series.values[:, row, column].tolist() == pytest.approx([0.0, norm], rel=1e-5)
    assert float(torch.linalg.vector_norm(model[0].weight.detach())) == pytest.approx(norm)
