from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from layerscope import wire
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.updates import Snapshot, learning_rates
from probed_models import DigitsNet
from slow_moments import column, doubles, united


def updates(model: nn.Module, optimizer: Optimizer, step: Callable[[], object]) -> wire.Statistics:
    snapshot = Snapshot(ParameterRows(model), learning_rates(optimizer))
    step()
    return snapshot.updates().result()


def members(model: nn.Module, row: str) -> list[Tensor]:
    return [model.get_parameter(name) for name in united(model, row)]


OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=0.1),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, foreach=True),
    "fused AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, fused=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_an_update_is_what_the_step_added(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = DigitsNet().to(dtype)
    optimizer = OPTIMIZERS[name](model.parameters())
    model(torch.randn(4, 1, 8, 8, dtype=dtype)).square().sum().backward()
    before = copy.deepcopy(model)
    found = updates(model, optimizer, optimizer.step)
    assert found.statistics == wire.SERIES["updates"].statistics
    for row, (norm, ratio, rate) in zip(found.layers, found.values, strict=True):
        old, new = doubles(members(before, row)), doubles(members(model, row))
        np.testing.assert_allclose(norm, np.linalg.norm(new - old), rtol=1e-5, atol=1e-12, err_msg=row)
        size = np.linalg.norm(old)
        expected = np.linalg.norm(new - old) / size if size else np.nan
        np.testing.assert_allclose(ratio, expected, rtol=1e-5, atol=1e-12, err_msg=row)
        assert rate == np.float32(optimizer.param_groups[0]["lr"])


def test_plain_descent_by_hand() -> None:
    model = nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, 4.0]]))
        model.bias.zero_()
    model.weight.grad = torch.tensor([[0.6, 0.8]])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    found = updates(model, optimizer, optimizer.step)
    assert found.layers == ("<Linear>", "weight", "bias")
    np.testing.assert_allclose(column(found, "norm"), [0.5, 0.5, 0], rtol=1e-6)
    np.testing.assert_allclose(column(found, "update_ratio"), [0.1, 0.1, np.nan], rtol=1e-6)  # the bias was zero


def test_learning_rates_of_groups_and_of_what_nobody_holds() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(2, 2))
    groups = [{"params": [model[0].weight], "lr": 0.3}, {"params": [model[0].bias, *model[1].parameters()]}]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    found = updates(model, optimizer, optimizer.step)
    rates = dict(zip(found.layers, column(found, "learning_rate"), strict=True))
    # Of a container the mean over its elements: 12 of 0.3 and 4 of 0.1.
    assert rates["0"] == pytest.approx((12 * 0.3 + 4 * 0.1) / 16)
    assert (rates["0.weight"], rates["0.bias"]) == (np.float32(0.3), np.float32(0.1))
    assert rates["1"] == np.float32(0.1)
    assert np.isnan([rates["2"], rates["2.weight"], rates["2.bias"]]).all()


def test_a_learning_rate_may_be_a_tensor_that_changes_later() -> None:
    model = nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.ones(1, 2)
    rate = torch.tensor(0.25)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)

    def step_and_decay() -> None:
        optimizer.step()
        rate.fill_(0.0)

    assert column(updates(model, optimizer, step_and_decay), "learning_rate").tolist() == [0.25, 0.25]


def test_an_embedding_with_sparse_gradients() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(20, 4, sparse=True))
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.01)
    model(torch.tensor([3, 3, 7])).sum().backward()
    before = model[0].weight.detach().clone()
    found = updates(model, optimizer, optimizer.step)
    change = model[0].weight.detach() - before
    assert (change.abs().sum(1) > 0).sum() == 2
    np.testing.assert_allclose(column(found, "norm"), change.double().norm().item(), rtol=1e-6)


def test_a_step_that_makes_nan_is_told() -> None:
    model = nn.Linear(2, 2, bias=False)
    model.weight.grad = torch.full((2, 2), torch.nan)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = updates(model, optimizer, optimizer.step)
    assert np.isnan(column(found, "norm")).all()
    assert np.isnan(column(found, "update_ratio")).all()
