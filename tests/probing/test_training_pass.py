"""What is measured of the training pass itself, against the same pass watched slowly and plainly."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from layerscope import wire
from layerscope.containment import contained
from layerscope.probing.activations import activations
from layerscope.probing.layer_rows import LayerRows
from layerscope.probing.training_pass import TrainingPass
from probed_models import DigitsNet, Recurrent, Reusing, Spectral, Tokens, twin
from slow_moments import assert_counts, assert_moments, column

Found = tuple[wire.Statistics, wire.Statistics]


def begun(model: nn.Module) -> TrainingPass:
    watching = TrainingPass(model)
    watching.begin(histogram=True, gradients=True, gradient_histogram=True)
    return watching


def ended(watching: TrainingPass) -> Found:
    found = watching.end()
    assert found is not None
    return found[0].result(), found[1].result()


@contextmanager
def without_hooks_left(model: nn.Module) -> Iterator[None]:
    yield
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._forward_hooks_always_called
        for parameter in module.parameters(recurse=False):
            assert parameter._backward_hooks is None


def assert_rows(found: wire.Statistics, expected: dict[str, list[Tensor]]) -> None:
    assert found.owners == found.layers
    assert set(found.layers) == set(expected)
    assert found.histogram is not None
    for layer, values, counts in zip(found.layers, found.values, found.histogram, strict=True):
        assert_moments(values, *expected[layer], where=layer)
        assert_counts(counts, *expected[layer], where=layer)


def image(*seeds: int) -> Tensor:
    return torch.cat([torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


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


def validated(model: nn.Module) -> None:
    with torch.no_grad():
        model(image(7))


def validated_with_gradients(model: nn.Module) -> None:
    model.eval()
    model(image(7))
    model.train()


def validated_in_inference_mode(model: nn.Module) -> None:
    with torch.inference_mode():
        model.eval()(image(7))
    model.train()


def observed(model: nn.Module) -> None:
    with contained(model, evaluating=False):
        model(image(7)).sum().backward()
    model.zero_grad()


def on_another_thread(model: nn.Module) -> None:
    thread = threading.Thread(target=lambda: model(image(7)))
    thread.start()
    thread.join()


def failing(model: nn.Module) -> None:
    def fail(*_: Any) -> None:
        raise ArithmeticError

    handle = model.block1.conv2.register_forward_pre_hook(fail)
    with pytest.raises(ArithmeticError):
        model(image(7))
    handle.remove()


def differentiated_as_a_function(model: nn.Module) -> None:
    def objective(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(model, parameters | buffers, (image(7),)).sum()

    torch.func.grad(objective)(dict(model.named_parameters()), {k: v.clone() for k, v in model.named_buffers()})


@pytest.mark.parametrize(
    "other",
    [
        validated,
        validated_with_gradients,
        validated_in_inference_mode,
        observed,
        on_another_thread,
        differentiated_as_a_function,
    ],
)
def test_what_is_no_training_pass_is_passed_over(other: Callable[[nn.Module], None]) -> None:
    torch.manual_seed(0)
    model = DigitsNet()
    watching = begun(model)
    other(model)
    model(image(0)).square().sum().backward()
    other(model)
    assert_same(ended(watching), alone(model))


@pytest.mark.parametrize("other", [validated, observed, differentiated_as_a_function])
def test_what_runs_between_forward_and_backward_takes_no_gradient_away(other: Callable[[nn.Module], None]) -> None:
    torch.manual_seed(0)
    model = DigitsNet()
    watching = begun(model)
    loss = model(image(0)).square().sum()
    other(model)
    loss.backward()
    assert_same(ended(watching), alone(model))


def test_a_shallow_copy_shares_modules_and_so_they_are_seen() -> None:
    model = DigitsNet()
    watching = begun(model)
    copy.copy(model)(image(7)).square().sum().backward()
    assert ended(watching)[0].layers == alone(model)[0].layers


def alone(model: nn.Module) -> Found:
    watching = begun(model)
    model(image(0)).square().sum().backward()
    return ended(watching)


def assert_same(found: Found, expected: Found) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.layers == other.layers
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.histogram, other.histogram)


def test_a_pass_that_raised_leaves_its_part_and_does_not_disturb_the_next() -> None:
    torch.manual_seed(0)
    model = DigitsNet()
    watching = begun(model)
    failing(model)
    validated(model)
    model(image(0)).square().sum().backward()
    outputs, _ = ended(watching)
    assert outputs.layers == alone(model)[0].layers
    assert outputs.histogram is not None
    totals = dict(zip(outputs.layers, outputs.histogram.sum(1).tolist(), strict=True))
    assert totals["block1.conv1"] == 2 * totals["block1.conv2"]


def test_a_model_that_trains_in_evaluation_mode_is_seen() -> None:
    model = DigitsNet().eval()
    assert alone(model)[0].layers[0] == "stem"


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


def test_a_copy_of_the_model_is_not_watched() -> None:
    torch.manual_seed(0)
    model = DigitsNet()
    watching = begun(model)
    copied = copy.deepcopy(model)
    pickled = pickle.dumps(model)
    assert b"layerscope" not in pickled  # so it can be loaded where there is none
    for other in (copied, pickle.loads(pickled)):
        other(image(7)).sum().backward()
    model(image(0)).square().sum().backward()
    assert_same(ended(watching), alone(model))


def test_layers_validate_the_fast_way_while_the_model_is_watched() -> None:
    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.encoder(x)

    def validate() -> tuple[Tensor, list[int]]:
        linears: list[int] = []
        model.eval()
        original = model.encoder.linear1.forward
        model.encoder.linear1.forward = lambda x: linears.append(1) or original(x)
        with torch.no_grad():
            result = model(x)
        del model.encoder.linear1.forward
        model.train()
        return result, linears

    torch.manual_seed(0)
    model, x = Classifier(), torch.randn(2, 5, 8)
    fast, linears = validate()
    assert not linears  # the fast way does not call them
    watching = begun(model)
    watched, linears = validate()
    assert not linears
    assert torch.equal(watched, fast)
    model(x).sum().backward()
    assert "encoder.linear1" in ended(watching)[0].layers
