"""linear_probes(): planted networks in which the classes appear at a known layer, and a twin on hooked outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

import layerscope
from layerscope import wire
from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing.held_out import split
from observed_trainings import as_bytes
from probed_models import DigitsNet, Tokens


class Product(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, 0] * x[:, 1], x[:, 2]], 1)


def exclusive_or(samples: int = 400) -> tuple[Tensor, Tensor]:
    """Return [samples, 3] and whether the first two have the same sign: no line tells it, their product does."""
    x = torch.randn(samples, 3, generator=torch.Generator().manual_seed(0))
    x = x[(x[:, 0] * x[:, 1]).abs() > 0.1]
    return x, (x[:, 0] * x[:, 1] > 0).long()


def column(found: wire.Statistics, name: str) -> dict[str, float]:
    return dict(zip(found.layers, found.values[:, found.statistics.index(name)].tolist(), strict=True))


def test_a_class_that_a_layer_makes_visible_is_told_behind_it_and_not_before() -> None:
    torch.manual_seed(0)
    x, labels = exclusive_or()
    model = nn.Sequential(nn.Identity(), Product(), nn.Linear(2, 2))
    found = layerscope.linear_probes(model, x, labels)
    assert (found.layers, found.owners, found.statistics) == (
        ("0", "1", "2"),
        ("0", "1", "2"),
        ("accuracy", "majority", "held_out"),
    )
    accuracy, majority = column(found, "accuracy"), column(found, "majority")
    assert accuracy["0"] < 0.65
    assert accuracy["1"] > 0.97
    assert accuracy["2"] > 0.97
    _, judging = split(labels.numpy(), 0.25, 0)
    share = float(labels[judging].float().mean())
    assert list(column(found, "held_out").values()) == [len(judging)] * 3
    assert list(majority.values()) == pytest.approx([max(share, 1 - share)] * 3)


def test_accuracies_equal_those_of_a_regression_on_hooked_outputs() -> None:
    torch.manual_seed(0)
    model, x = DigitsNet().eval(), torch.randn(90, 1, 8, 8)
    labels = x.mean((1, 2, 3)).argsort().argsort() // 30
    found = column(layerscope.linear_probes(model, x, labels, samples_at_once=32), "accuracy")
    held: dict[str, np.ndarray] = {}
    for name in ("stem.0", "block2", "fc"):

        def hold(module: nn.Module, args: Any, output: Tensor, name: str = name) -> None:
            held[name] = output.detach().flatten(2).mean(2).numpy() if output.ndim > 2 else output.detach().numpy()

        model.get_submodule(name).register_forward_hook(hold)
    model(x)
    training, judging = split(labels.numpy(), 0.25, 0)
    for name, features in held.items():
        seen = (features - features[training].mean(0)) / features[training].std(0)
        probe = LogisticRegression(max_iter=5000, tol=1e-8).fit(seen[training], labels[training])
        assert found[name] == pytest.approx(probe.score(seen[judging], labels[judging]), abs=1 / len(judging)), name
    assert len({round(found[name], 3) for name in held}) > 1


def test_labels_may_be_a_list_of_names_and_the_seed_draws_the_split() -> None:
    x, labels = exclusive_or()
    model = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    names = ["same" if label else "other" for label in labels.tolist()]
    first = layerscope.linear_probes(model, x, labels)
    np.testing.assert_array_equal(first.values, layerscope.linear_probes(model, x, names).values)
    np.testing.assert_array_equal(first.values, layerscope.linear_probes(model, x, labels, samples_at_once=9).values)
    assert not np.array_equal(first.values, layerscope.linear_probes(model, x, labels, seed=1).values)


def test_tokens_are_averaged_and_layers_chosen() -> None:
    ids = torch.randint(0, 5, (60, 4), generator=torch.Generator().manual_seed(0))
    found = layerscope.linear_probes(Tokens(), {"ids": ids}, (ids == 1).any(1), layers=["words"])
    assert found.layers == ("words",)
    assert column(found, "accuracy")["words"] > 0.9  # the mean of the embeddings holds that of word 1
    every = layerscope.linear_probes(Tokens(), {"ids": ids}, (ids == 1).any(1), samples_at_once=25).layers
    assert "head" in every
    assert "positions" not in every  # its output is [tokens, features]: no sample has one
    with pytest.raises(CaptureError, match="'positions' was asked for, but its output has no row for each sample"):
        layerscope.linear_probes(Tokens(), {"ids": ids}, (ids == 1).any(1), layers=["positions"])
    with pytest.raises(LayerNotFoundError, match="'embedd' was asked for"):
        layerscope.linear_probes(Tokens(), {"ids": ids}, (ids == 1).any(1), layers=["embedd"])


def test_of_many_channels_some_are_drawn() -> None:
    x, labels = exclusive_or()

    class Wide(nn.Module):  # each channel tells the class
        def forward(self, x: Tensor) -> Tensor:
            return (x[:, :1] * x[:, 1:2]) * torch.arange(1, 1001)

    found = layerscope.linear_probes(nn.Sequential(Wide()), x, labels, max_features=1)
    assert column(found, "accuracy")["0"] > 0.97


def test_a_layer_with_nan_has_no_accuracy_and_the_others_have() -> None:
    x, labels = exclusive_or()

    class Logarithm(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.log()

    found = column(layerscope.linear_probes(nn.Sequential(Product(), Logarithm()), x, labels), "accuracy")
    assert found["0"] > 0.97
    assert np.isnan(found["1"])


def test_the_model_is_left_as_found() -> None:
    model, x = DigitsNet().train(), torch.randn(48, 1, 8, 8)
    before = {name: as_bytes(tensor) for name, tensor in model.state_dict().items()}
    random = torch.get_rng_state()
    layerscope.linear_probes(model, x, [0, 1, 2] * 16)
    assert {name: as_bytes(tensor) for name, tensor in model.state_dict().items()} == before
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training and not module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([0, 1], {}, r"labels must be one class for each of the 8 samples, but they have shape \[2\]"),
        ([0.5] * 8, {}, r"labels must be classes, whole numbers or strings, but they are float64"),
        ([3] * 8, {}, r"labels must be of two or more classes, but all that are fitted to are of one"),
        ([0, 1] * 4, {"held_out": 0}, r"held_out must be a share of the samples, between 0 and 1.* but it is 0 of 8"),
        ([0, 1] * 4, {}, r"10 or more held-out samples.* of 8 samples of 2 classes 2 are held out and 6 fitted to"),
        ([0, 1] * 4, {"max_features": 0}, r"max_features must be 1 or more, but it is 0"),
    ],
)
def test_errors_say_the_rule(labels: list[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        layerscope.linear_probes(nn.Sequential(nn.Linear(2, 2)), torch.rand(8, 2), labels, **options)
