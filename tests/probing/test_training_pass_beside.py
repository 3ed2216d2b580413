"""What runs beside the training pass, or instead of it, is told apart from it and not disturbed."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.containment import contained
from probed_models import DigitsNet
from watched_passes import Found, begun, ended, image


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
