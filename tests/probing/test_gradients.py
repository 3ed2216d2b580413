from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import layerscope
from layerscope import wire
from layerscope.probing.gradients import gradients
from probed_models import DigitsNet


def trained(model: nn.Module, *args: Tensor) -> nn.Module:
    model(*args).square().sum().backward()
    return model


def test_every_row_holds_the_statistics_of_its_gradients() -> None:
    torch.manual_seed(0)
    model = trained(DigitsNet(), torch.randn(4, 1, 8, 8))
    found = gradients(model)
    parameters = dict(model.named_parameters())
    for layer, values, counts in zip(found.layers, found.values, found.histogram, strict=True):
        under = [p for name, p in parameters.items() if name == layer or name.startswith(f"{layer}.")]
        flat = torch.cat([p.grad.flatten() for p in under if p.grad is not None]).double().numpy()
        expected = [
            np.linalg.norm(flat), flat.mean(), flat.std(), flat.min(), flat.max(), (flat == 0).mean(), 0, 0
        ]  # fmt: skip
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-9, err_msg=layer)
        assert counts.sum() == flat.size


def test_a_module_stands_before_its_parameters_and_what_it_encloses() -> None:
    found = gradients(trained(DigitsNet(), torch.randn(2, 1, 8, 8)), histogram=False)
    assert found.layers[:9] == (
        "stem", "stem.0", "stem.0.weight", "stem.1", "stem.1.weight", "stem.1.bias", "block1", "block1.conv1",
        "block1.conv1.weight",
    )  # fmt: skip
    assert found.owners[:9] == (
        "stem", "stem.0", "stem.0", "stem.1", "stem.1", "stem.1", "block1", "block1.conv1", "block1.conv1",
    )  # fmt: skip
    assert found.layers[-3:] == ("fc", "fc.weight", "fc.bias")
    assert not any("relu" in layer or "pool" in layer for layer in found.layers)
    assert found.histogram is None
    assert found.statistics == wire.MOMENTS


def test_the_model_has_a_row_if_it_owns_parameters() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.fc = nn.Parameter(torch.tensor([2.0])), nn.Linear(1, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.scale * self.fc(x)

    found = gradients(trained(Scaled(), torch.ones(1, 1)))
    assert found.layers == ("<Scaled>", "scale", "fc", "fc.weight")
    assert found.owners == ("<Scaled>", "<Scaled>", "fc", "fc")
    norm = found.values[:, 0]
    assert norm[0] == pytest.approx(np.hypot(norm[1], norm[3]))
    assert gradients(nn.Linear(2, 2)).layers == ("<Linear>", "weight", "bias")
    assert gradients(nn.ReLU()).values.shape == (0, 8)


def test_without_gradients_rows_are_nan_and_containers_count_what_is_there() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    assert np.isnan(gradients(model).values).all()
    model[0].weight.grad = torch.ones(3, 2)
    found = gradients(model)
    measured = {
        layer: None if np.isnan(row).any() else row[0] for layer, row in zip(found.layers, found.values, strict=True)
    }
    expected = np.float32(6**0.5)
    assert measured == {
        "0": expected, "0.weight": expected, "0.bias": None, "1": None, "1.weight": None, "1.bias": None,
    }  # fmt: skip


def test_a_tied_parameter_has_a_row_under_each_name_and_counts_once_in_containers() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
            self.inner["b"].weight = self.inner["a"].weight

        def forward(self, x: Tensor) -> Tensor:
            return self.inner["b"](self.inner["a"](x))

    found = gradients(trained(Tied(), torch.ones(1, 2)))
    assert found.layers == ("inner", "inner.a", "inner.a.weight", "inner.b", "inner.b.weight")
    assert found.histogram is not None
    assert found.histogram.sum(1).tolist() == [4] * 5
    assert len(set(found.values[:, 0].tolist())) == 1

    class TwoNames(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = self.other = nn.Parameter(torch.ones(2))

    assert gradients(TwoNames()).layers == ("<TwoNames>", "one", "other")


def test_implicit_zeros_of_a_sparse_gradient_count() -> None:
    model = trained(nn.Embedding(10, 4, sparse=True), torch.tensor([3, 3, 5]))
    assert model.weight.grad.is_sparse
    found = gradients(model)
    dense = model.weight.grad.to_dense()
    assert found.values[0, 0] == pytest.approx(dense.norm().item())
    assert found.values[0, 5] == pytest.approx(0.8)
    assert not model.weight.grad.is_coalesced()


def test_gradients_are_only_read() -> None:
    model = trained(DigitsNet(), torch.randn(2, 1, 8, 8))
    before = [(p.grad, p.grad.clone(), p.grad._version) for p in model.parameters()]
    gradients(model)
    for parameter, (grad, values, version) in zip(model.parameters(), before, strict=True):
        assert parameter.grad is grad
        assert grad._version == version
        assert torch.equal(grad, values)


def test_it_is_public_and_looks_through_a_compiled_model() -> None:
    model = trained(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2))
    assert layerscope.gradients is gradients
    assert gradients(torch.compile(model, backend="eager")).layers == ("0", "0.weight", "0.bias")
