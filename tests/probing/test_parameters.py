from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope import wire
from layerscope.errors import InvalidArgumentError
from layerscope.probing.parameters import Reference, parameters
from probed_models import DigitsNet
from slow_moments import assert_counts, assert_moments, column, doubles, united


def members(model: nn.Module, row: str) -> list[Tensor]:
    return [model.get_parameter(name) for name in united(model, row)]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.words = nn.Embedding(50, 8)
        self.block = nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8))
        self.head = nn.Linear(8, 50, bias=False)
        self.head.weight = self.words.weight


MODELS: dict[str, Callable[[], nn.Module]] = {
    "convolutions": DigitsNet,
    "tied": Tied,
    "bfloat16": lambda: DigitsNet().to(torch.bfloat16),
    "float16": lambda: DigitsNet().to(torch.float16),
    "float64": lambda: DigitsNet().to(torch.float64),
    "large": lambda: nn.Sequential(nn.Linear(700, 700), nn.Linear(700, 3)),
}


def moved(tensor: Tensor) -> Tensor:
    return tensor + 0.1 * torch.randn(tensor.shape).to(tensor.dtype)


@pytest.mark.parametrize("name", MODELS)
def test_every_row_holds_the_statistics_of_its_parameters_and_how_far_they_have_gone(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]()
    reference, start = Reference(model), copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(moved(parameter))
    found = parameters(model, reference=reference)
    assert found.statistics == wire.SERIES["parameters"].statistics
    assert found.histogram is not None
    distance, angle = column(found, "distance"), column(found, "cosine")
    for i, row in enumerate(found.layers):
        now = members(model, row)
        assert_moments(found.values[i], *now, where=row)
        assert_counts(found.histogram[i], *now, where=row)
        a, b = doubles(now), doubles(members(start, row))
        if np.linalg.norm(b) == 0:  # biases of norms begin at zero
            assert np.isnan([distance[i], angle[i]]).all(), row
            continue
        np.testing.assert_allclose(distance[i], np.linalg.norm(a - b) / np.linalg.norm(b), rtol=1e-5, err_msg=row)
        np.testing.assert_allclose(angle[i], cosine(a, b), rtol=1e-5, err_msg=row)


def test_trainable_is_the_share_of_elements_that_require_a_gradient() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2, bias=False))
    model[0].bias.requires_grad_(False)
    found = parameters(model, histogram=False)
    assert found.layers == ("0", "0.weight", "0.bias", "1", "1.weight")
    np.testing.assert_allclose(column(found, "trainable"), [12 / 16, 1, 0, 1, 1])
    assert np.isnan(column(found, "distance")).all()
    assert np.isnan(column(found, "cosine")).all()
    assert found.histogram is None


def test_opposite_orthogonal_and_equal_weights() -> None:
    model = nn.ParameterDict({name: nn.Parameter(torch.tensor([3.0, 4.0])) for name in ("opposite", "turned", "same")})
    reference = Reference(model)
    with torch.no_grad():
        model["opposite"].neg_()
        model["turned"].copy_(torch.tensor([-4.0, 3.0]))
    found = parameters(model, reference=reference)
    rows = dict(zip(found.layers, zip(column(found, "distance"), column(found, "cosine"), strict=True), strict=True))
    assert rows["opposite"] == (2, -1)
    assert rows["turned"] == (pytest.approx(2**0.5), 0)
    assert rows["same"] == (0, 1)


def test_complex_and_whole_numbers_are_compared_part_by_part() -> None:
    model = nn.ParameterDict({"wave": nn.Parameter(torch.tensor([3 + 4j, 0]))})
    model["count"] = nn.Parameter(torch.tensor([3, 4]), requires_grad=False)
    reference = Reference(model)
    with torch.no_grad():
        model["wave"].copy_(torch.tensor([3 - 4j, 0]).conj())  # as before
        model["wave"][1] = 12j
        model["count"].mul_(2)
    found = parameters(model, reference=reference)
    rows = dict(zip(found.layers, zip(column(found, "distance"), column(found, "cosine"), strict=True), strict=True))
    assert rows["wave"] == (pytest.approx(12 / 5), pytest.approx(5 / 13))
    assert rows["count"] == (1, pytest.approx(1))
    norms = dict(zip(found.layers, column(found, "norm"), strict=True))
    assert (norms["wave"], norms["count"]) == (13, 10)


def test_a_checkpoint_may_be_the_reference() -> None:
    torch.manual_seed(0)
    model, other = DigitsNet(), DigitsNet()
    found = parameters(model, reference=Reference(model, other.state_dict()))
    row = found.layers.index("block2")
    a, b = doubles(members(model, "block2")), doubles(members(other, "block2"))
    np.testing.assert_allclose(column(found, "distance")[row], np.linalg.norm(a - b) / np.linalg.norm(b), rtol=1e-5)
    np.testing.assert_allclose(column(found, "cosine")[row], cosine(a, b), atol=1e-6)


def test_a_checkpoint_of_a_part_compares_that_part() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    state = {f"0.{name}": 2 * value for name, value in model[0].state_dict().items()} | {"unknown": torch.ones(1)}
    found = parameters(model, reference=Reference(model, state))
    np.testing.assert_allclose(column(found, "distance"), [0.5, 0.5, 0.5, np.nan, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(column(found, "cosine"), [1, 1, 1, np.nan, np.nan, np.nan], rtol=1e-6)


@pytest.mark.parametrize("given", [False, True])
def test_the_reference_is_a_copy(given: bool) -> None:
    model = nn.Linear(2, 2)
    state = model.state_dict()  # the very tensors of the model
    reference = Reference(model, state if given else None)
    with torch.no_grad():
        model.weight.mul_(2)
    assert column(parameters(model, reference=reference), "distance")[1] == pytest.approx(1)


def test_what_has_another_shape_in_a_checkpoint_has_no_distance() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 4, bias=False))
    state = {name: 2 * value for name, value in model.state_dict().items()} | {"1.weight": torch.ones(5, 2)}
    reference = Reference(model, state)
    assert reference.left_out == ("'1.weight' ([4, 2], there [5, 2])",)
    found = parameters(model, reference=reference)
    np.testing.assert_allclose(column(found, "distance"), [0.5, 0.5, 0.5, np.nan, np.nan], rtol=1e-6)
    assert Reference(model, model.state_dict()).left_out == ()


WEIGHT = torch.ones(2, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"weight": torch.ones(3, 2)},
            r"in their shapes, but it has 'weight' \(\[2, 2\], there \[3, 2\]\). Give the ch",
        ),
        ({"wait": WEIGHT}, r"under their names \('weight', 'bias'\), but it holds 'wait'. Give the state_dict of this"),
        ({}, "but it holds nothing. Give the state_dict of this model"),
        ("ck.pt", r"names -> tensors, but it is a str. Load the file: torch.load\('ck.pt', weights_only=True\)"),
        (nn.Linear(2, 2), r"but it is a Linear. Give its .state_dict\(\)"),
        ([WEIGHT], r"but it is a list. Give model.state_dict\(\)"),
        (
            {"epoch": 3, "model": {"weight": WEIGHT}},
            r"holds 'epoch', 'model'. Give .* under 'model': checkpoint\['model'\]",
        ),
        (
            {"module.weight": WEIGHT},
            r"Take 'module.' off: {name.removeprefix\('module.'\): value for name, value in ch",
        ),
        ({"_orig_mod.weight": WEIGHT}, r"Take '_orig_mod.' off"),
    ],
)
def test_what_is_no_checkpoint_of_the_model_is_refused_with_what_to_give(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Reference(nn.Linear(2, 2), given)


def test_a_checkpoint_without_the_prefix_of_the_model_is_refused_with_what_to_do() -> None:
    wrapped = nn.ModuleDict({"module": nn.Linear(2, 2)})  # as DistributedDataParallel does
    with pytest.raises(InvalidArgumentError, match=r"Put 'module.' before them: {'module.' \+ name: value for name"):
        Reference(wrapped, {"weight": WEIGHT})


def test_parameters_are_only_read() -> None:
    model = DigitsNet()
    before = [(p.clone(), p._version, p.requires_grad, p.grad) for p in model.parameters()]
    parameters(model, reference=Reference(model))
    for parameter, (values, version, trainable, grad) in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, values)
        assert (parameter._version, parameter.requires_grad, parameter.grad) == (version, trainable, grad)
