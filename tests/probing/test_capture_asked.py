"""What the engine is asked for: which layers, what is told where there is nothing, what is shared and taken back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as hooks

from captured_passes import IMAGES, assert_same, both, squares
from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing.capture import capture
from probed_models import DigitsNet, Reusing


def test_only_the_layers_that_are_asked_for_are_reduced() -> None:
    found = both(DigitsNet(), IMAGES, layers=["block1.relu#1", "stem.0"])
    assert list(found.gradients) == ["stem.0", "block1.relu#1"]
    assert list(found.layers) == list(found.outputs) == ["stem.0", "block1.relu#1"]


def no_hooks_are_left(model: nn.Module) -> bool:
    of_modules = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    return not (sum(of_modules) + len(hooks._global_forward_hooks) + len(hooks._global_forward_pre_hooks))


@pytest.mark.parametrize("where", ["at_output", "at_gradient", "objective"])
def test_no_hook_is_left_also_when_something_raises(where: str) -> None:
    def fails(*_: Any) -> Any:
        raise ZeroDivisionError

    model = DigitsNet()
    arguments: dict[str, Any] = {"at_gradient": lambda *_: None, "objective": squares, where: fails}
    with pytest.raises(ZeroDivisionError):
        capture(model, IMAGES, **arguments)
    assert no_hooks_are_left(model)
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    both(model, IMAGES)
    assert no_hooks_are_left(model)


def test_an_unknown_layer_is_named_with_its_neighbours() -> None:
    with pytest.raises(LayerNotFoundError, match=r"'block1.conv3' was asked for.*'block1.conv"):
        both(DigitsNet(), IMAGES, layers=["block1.conv3"])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("relu#7", r"no such call of 'relu'. Choose among 'relu', 'relu#1', 'relu#2'"),
        ("unused", "this forward pass did not call it"),
        ("argmax", "its output holds no floating-point tensor"),
    ],
)
def test_a_layer_without_anything_to_capture_is_explained(layer: str, message: str) -> None:
    class Argmax(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.argmax(1)

    class More(Reusing):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.argmax = nn.Linear(2, 2), Argmax()

        def forward(self, x: Tensor) -> Tensor:
            out = super().forward(x)
            self.argmax(out)
            return out

    with pytest.raises(CaptureError, match=message):
        both(More(), IMAGES, layers=["fc", layer])
    assert set(both(More(), IMAGES).skipped) == {"argmax"}


def test_a_target_that_depends_on_no_layer_is_an_error() -> None:
    with pytest.raises(CaptureError, match="with respect to every layer was asked for, but the target does not depend"):
        both(DigitsNet(), IMAGES, objective=lambda output: output.detach().sum(1))


def test_layers_must_be_all_or_a_list() -> None:
    with pytest.raises(InvalidArgumentError, match=r"of layer keys and patterns, not \'fc\'; give \[\'fc\'\]"):
        both(DigitsNet(), IMAGES, layers="fc")


def test_layers_that_return_one_tensor_share_what_is_made_of_it() -> None:
    block = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Identity())
    model = nn.Sequential(block, nn.Flatten(), nn.Linear(72, 3), nn.Sequential(nn.Dropout()))
    reduced: list[str] = []

    def at_gradient(layer: Any, output: Tensor, gradient: Tensor) -> Tensor:
        reduced.append(layer.key)
        return output * gradient

    shared, alone = (
        capture(model, IMAGES, at_gradient=at_gradient, objective=squares, shared=shared) for shared in (True, False)
    )
    # The convolution's tensor is that of the block too, but not as the convolution returned it.
    assert reduced[: -len(alone.layers)] == ["2", "1", "0.1", "0.0"]
    assert list(shared.gradients) == list(alone.layers) == ["0", "0.0", "0.1", "0.2", "1", "2", "3", "3.0"]
    assert shared.gradients["0"] is shared.gradients["0.1"] is shared.gradients["0.2"]
    assert_same(shared.gradients, alone.gradients)


def test_a_layer_that_writes_into_a_tensor_shares_nothing_with_those_that_returned_it_before() -> None:
    class Doubling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mul_(2)

    model = nn.Sequential(nn.Linear(64, 4), nn.Identity(), Doubling(), nn.Identity())
    found = capture(model, IMAGES.flatten(1), at_output=lambda _, output: output.clone(), shared=True).outputs
    torch.testing.assert_close(found["2"], found["1"] * 2)
    assert found["0"] is found["1"]
    assert found["2"] is found["3"]
