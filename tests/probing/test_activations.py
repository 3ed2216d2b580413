from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import layerscope
from layerscope import wire
from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing.activations import activations
from probed_models import DigitsNet, Recurrent, Reusing, Tokens, twin


@pytest.mark.parametrize("make", [DigitsNet, Reusing, Recurrent])
def test_every_row_holds_the_statistics_of_the_output(make: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x = make(), torch.randn(4, 1, 8, 8)
    found = activations(model, x)
    outputs, _ = twin(model.eval(), lambda logits: logits, x)
    assert set(found.layers) == set(outputs)
    assert found.owners == found.layers
    assert found.statistics == wire.SERIES["activations"].statistics
    for layer, values, counts in zip(found.layers, found.values, found.histogram, strict=True):
        flat = outputs[layer].flatten().double().numpy()
        expected = [
            np.linalg.norm(flat), flat.mean(), flat.std(), flat.min(), flat.max(), (flat == 0).mean(), 0, 0
        ]  # fmt: skip
        np.testing.assert_allclose(values[:8], expected, rtol=1e-5, atol=1e-6, err_msg=layer)
        assert counts.sum() == flat.size


def test_values_modified_in_place_later_are_those_the_layer_returned() -> None:
    model = nn.Sequential(nn.Flatten(), nn.ReLU(inplace=True))
    found = activations(model, torch.tensor([[-3.0, 4.0]]), histogram=False)
    column = list(wire.MOMENTS).index("min")
    assert found.values[:, column].tolist() == [-3, 0]
    assert found.histogram is None


def test_the_layers_of_attention_are_the_same_as_with_gradients() -> None:
    model, ids = Tokens(), torch.tensor([[1, 2, 3]])
    expected = layerscope.attribute(model, {"ids": ids}, method="gradient_x_activation").layers
    assert activations(model, {"ids": ids}).layers == tuple(expected)


def test_layers_can_be_chosen() -> None:
    x = torch.randn(1, 1, 8, 8)
    assert activations(Reusing(), x, layers=["fc", "relu#1"]).layers == ("relu#1", "fc")
    with pytest.raises(LayerNotFoundError, match="'fc2' was asked for"):
        activations(Reusing(), x, layers=["fc2"])
    with pytest.raises(CaptureError, match="Choose among 'fc'"):
        activations(Reusing(), x, layers=["fc#1"])


def test_layers_are_named() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    for given in (model[0], [model[0]]):
        with pytest.raises(InvalidArgumentError, match=r"it has a Linear; for this module give \['0'\]"):
            activations(model, torch.ones(1, 2), layers=given)
    with pytest.raises(InvalidArgumentError, match=r"it has a int; as layerscope.trace\(model, x\) shows them"):
        activations(model, torch.ones(1, 2), layers=[0])  # pyright: ignore[reportArgumentType]


def test_nan_and_infinity_are_counted() -> None:
    model = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[torch.nan, 0.0], [torch.inf, 0.0]]))
    found = activations(model, torch.ones(3, 2))
    by_name = dict(zip(found.statistics, found.values[0].tolist(), strict=True))
    assert (by_name["nan_count"], by_name["inf_count"]) == (3, 3)
    assert np.isnan(by_name["norm"])
    assert found.histogram is not None
    assert found.histogram.sum() == 0


def test_a_frozen_teacher_made_in_inference_mode_is_observed_and_left_as_found() -> None:
    with torch.inference_mode():
        teacher = nn.Linear(3, 2)
    model, x = nn.Sequential(nn.Linear(3, 3), teacher), torch.randn(4, 3)
    for _ in range(2):
        found = activations(model, x)
        with torch.no_grad():
            assert found.values[1, 0] == pytest.approx(model(x).norm().item())
        assert all(parameter.requires_grad for parameter in model.parameters())
