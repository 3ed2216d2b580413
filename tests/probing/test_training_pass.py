"""What is measured of the training pass itself, against the same pass watched slowly and plainly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from layerscope import wire
from layerscope.probing.activations import activations
from layerscope.probing.layer_rows import LayerRows
from probed_models import DigitsNet, Recurrent, Reusing, Spectral, Tokens, twin
from slow_moments import assert_counts, assert_moments, column
from watched_passes import begun, ended, image, without_hooks_left


def assert_rows(found: wire.Statistics, expected: dict[str, list[Tensor]]) -> None:
    assert found.owners == found.layers
    assert set(found.layers) == set(expected)
    assert found.histogram is not None
    for layer, values, counts in zip(found.layers, found.values, found.histogram, strict=True):
        assert_moments(values, *expected[layer], where=layer)
        assert_counts(counts, *expected[layer], where=layer)


CASES: dict[str, tuple[Callable[[], nn.Module], dict[str, Any], Callable[[Any], Tensor]]] = {
    "batchnorm": (DigitsNet, {"x": image(0)}, torch.square),
    "in place and reused": (Reusing, {"x": image(0)}, torch.square),
    "recurrent": (Recurrent, {"x": image(0)}, torch.square),
    "spectral norm": (Spectral, {"x": image(0)}, torch.square),
    "tokens": (Tokens, {"ids": torch.tensor([[1, 5, 3], [2, 2, 0]])}, lambda output: output["logits"].square()),
    "alone": (lambda: nn.Linear(8, 2), {"input": torch.linspace(-1, 1, 16).reshape(2, 8)}, torch.square),
}


@pytest.mark.parametrize("case", CASES)
def test_every_row_holds_the_statistics_of_what_the_layer_returned_and_of_the_gradient_there(case: str) -> None:
    make, inputs, objective = CASES[case]
    torch.manual_seed(0)
    model = make()
    unwatched = copy.deepcopy(model)
    with without_hooks_left(model):
        watching = begun(model)
        torch.manual_seed(1)
        objective(model(**inputs)).sum().backward()
        outputs, gradients = ended(watching)
    if case == "alone":
        slow_output = unwatched(**inputs)
        slow_outputs = {"<Linear>": slow_output}
        slow_gradients = {"<Linear>": 2 * slow_output}
    else:
        torch.manual_seed(1)
        slow_outputs, slow_gradients = twin(unwatched, objective, **inputs)
        slow_outputs.pop("", None)
    assert_rows(outputs, {layer: [tensor] for layer, tensor in slow_outputs.items()})
    assert_rows(gradients, {layer: [tensor] for layer, tensor in slow_gradients.items()})


def test_rows_are_in_the_order_of_execution_and_named_as_everywhere() -> None:
    model = Reusing()
    watching = begun(model)
    model(image(0)).sum().backward()
    outputs, gradients = ended(watching)
    assert outputs.layers == ("first", "relu", "twice", "relu#1", "twice#1", "relu#2", "drop", "fc")
    assert gradients.layers == outputs.layers
    assert outputs.layers == activations(model, image(0)).layers
    net = DigitsNet()
    watching = begun(net)
    net(image(0)).sum().backward()
    assert ended(watching)[0].layers[:5] == ("stem", "stem.0", "stem.1", "stem.2", "block1")


def test_dead_and_saturated_units_are_counted() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Sigmoid())
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[-1.0, -1.0], [1.0, 0.0], [0.0, 100.0], [0.0, 0.0]]))
        model[0].bias.zero_()
    watching = begun(model)
    model(torch.tensor([[1.0, 2.0], [3.0, 0.0]])).sum().backward()
    outputs, _ = ended(watching)
    # The outputs of ReLU: [0, 1, 200, 0] and [0, 3, 0, 0]; only sigmoid(200) is within 1 % of a bound.
    np.testing.assert_array_equal(column(outputs, "dead_fraction"), [0.25, 0.5, 0.0])
    np.testing.assert_array_equal(column(outputs, "saturated_fraction"), [np.nan, np.nan, 0.125])


def test_passes_before_one_step_are_united() -> None:
    model = Reusing()
    model.drop.p = 0.0
    watching = begun(model)
    for seed in (0, 1):
        model(image(seed)).square().sum().backward()
    outputs, gradients = ended(watching)
    slow = [twin(model, torch.square, image(seed)) for seed in (0, 1)]
    layers = [layer for layer in slow[0][0] if layer]
    assert_rows(outputs, {layer: [activations[layer] for activations, _ in slow] for layer in layers})
    assert_rows(gradients, {layer: [gradients[layer] for _, gradients in slow] for layer in layers})


def test_modules_may_be_called_directly() -> None:
    networks = nn.ModuleDict({"real": nn.Linear(2, 3), "judge": nn.Sequential(nn.Linear(3, 1), nn.Sigmoid())})
    x, y = torch.randn(4, 2), torch.randn(4, 3)
    watching = begun(networks)
    with torch.no_grad():
        networks["real"](x)
    (networks["judge"](networks["real"](x)).sum() + networks["judge"](y).sum()).backward()
    outputs, _ = ended(watching)
    made = networks["real"](x)
    assert outputs.layers == ("real", "judge", "judge.0", "judge.1")
    for row, tensors in {0: [made], 2: [networks["judge"][0](made), networks["judge"][0](y)]}.items():
        assert_moments(outputs.values[row], *tensors)


class Blocks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(2))
        self.how: dict[str, Any] | None = None

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x) if self.how is None else checkpoint(block, x, **self.how)
        return x


@pytest.mark.parametrize("how", [{"use_reentrant": True}, {"use_reentrant": False}])
def test_what_a_checkpoint_runs_again_counts_once(how: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, x = Blocks(), torch.randn(3, 4)
    watching = begun(model)
    model(x).square().sum().backward()
    outputs, gradients = ended(watching)
    model.how = how
    watching = begun(model)
    model(x).square().sum().backward()
    again, gradients_again = ended(watching)
    np.testing.assert_array_equal(again.values, outputs.values)
    assert (
        again.layers
        == outputs.layers
        == ("first", *(f"blocks.{i}{inside}" for i in (0, 1) for inside in ("", ".0", ".1")))
    )
    seen = ("first",) if how["use_reentrant"] else gradients.layers  # what runs without gradients gets none
    assert gradients_again.layers == seen
    for layer in seen:
        row = gradients.layers.index(layer)
        np.testing.assert_array_equal(gradients_again.values[seen.index(layer)], gradients.values[row])


def test_under_autocast_what_the_layer_returned_is_measured() -> None:
    model, x = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2)), torch.randn(4, 8)
    watching = begun(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(x).float().sum().backward()
        first = model[0](x)
    assert first.dtype == torch.bfloat16
    assert_moments(ended(watching)[0].values[0], first, first)


def test_a_failure_inside_reaches_the_end_and_not_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class FailureError(Exception):
        pass

    add = LayerRows.add

    for when in ("output", "gradient"):

        def fail(self: LayerRows, key: str, tensor: Tensor, *, when: str = when, **kwargs: Any) -> None:
            if key == "block1" and (when == "output") == bool(kwargs):
                raise FailureError
            add(self, key, tensor, **kwargs)

        monkeypatch.setattr(LayerRows, "add", fail)
        model = DigitsNet()
        with without_hooks_left(model):
            watching = begun(model)
            model(image(0)).sum().backward()
            with pytest.raises(FailureError):
                watching.end()
            assert all(parameter.grad is not None for parameter in model.parameters())
            assert watching.end() is None


def test_a_layer_that_returns_a_parameter_leaves_no_hook_on_it() -> None:
    class Position(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

        def forward(self) -> Tensor:
            return self.weight

    class Added(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.position, self.fc = Position(), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x + self.position())

    model = Added()
    with without_hooks_left(model):
        watching = begun(model)
        model(torch.ones(1, 4)).sum().backward()
        outputs, gradients = ended(watching)
    assert (outputs.layers, gradients.layers) == (("position", "fc"), ("fc",))
