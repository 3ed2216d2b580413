"""The one-pass engine against plain autograd, in all kinds of networks and modes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from captured_passes import IMAGES, assert_same, both, squares
from layerscope.errors import CaptureError
from probed_models import DigitsNet, Plain, Recurrent, Residual, Reusing, Spectral, Tokens, twin

IDS = torch.tensor([[1, 5, 3, 19], [2, 2, 0, 7]])


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("make", [DigitsNet, Reusing, Recurrent, Spectral])
def test_every_call_equals_plain_autograd(make: Callable[[], nn.Module], frozen: bool, shared: bool) -> None:
    torch.manual_seed(0)
    model = make().requires_grad_(not frozen)
    found = both(model, IMAGES, shared=shared)
    activations, gradients = twin(model.eval().requires_grad_(), squares, IMAGES)
    assert_same(found.outputs, activations)
    assert_same({key: output for key, (output, _) in found.gradients.items()}, activations)
    assert_same({key: gradient for key, (_, gradient) in found.gradients.items()}, gradients)
    assert found.skipped == {}
    x = IMAGES.clone().requires_grad_()
    (expected,) = torch.autograd.grad(squares(model(x)).sum(), x)
    ((value, gradient),) = found.inputs[0]
    assert torch.equal(value, IMAGES)
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("frozen", [False, True])
def test_integers_keywords_and_dict_outputs(frozen: bool) -> None:
    torch.manual_seed(0)
    model = Tokens().requires_grad_(not frozen)
    found = both(model, {"ids": IDS})
    activations, gradients = twin(model.eval().requires_grad_(), squares, ids=IDS)
    assert_same(found.outputs, activations)
    assert_same({key: gradient for key, (_, gradient) in found.gradients.items()}, gradients)
    ((value, gradient),) = found.inputs[0]  # what the embedding looked up stands for the numbers
    assert torch.equal(value, activations["words"])
    torch.testing.assert_close(gradient, gradients["words"])


def test_every_call_of_a_reused_module_has_its_key_in_order_of_execution() -> None:
    found = both(Reusing(), IMAGES)
    assert list(found.outputs) == ["first", "relu", "twice", "relu#1", "twice#1", "relu#2", "drop", "fc"]
    nested = both(nn.Sequential(nn.Sequential(Residual(1, 2)), nn.Flatten()), IMAGES)
    assert list(nested.gradients)[:4] == ["0", "0.0", "0.0.conv1", "0.0.bn1"]


def test_unregistered_modules_are_seen_under_their_class_and_preserved() -> None:
    model = Plain()
    found = both(model, IMAGES)
    assert list(found.gradients) == ["<Conv2d>", "<Dropout>", "<Flatten>", "fc"]
    assert torch.equal(found.outputs["<Dropout>"], found.outputs["<Conv2d>"])
    assert torch.equal(found.outputs["<Conv2d>"], model.kept[0](IMAGES))
    assert [module.training for module in model.kept] == [True, True]
    assert model.kept[0].weight.requires_grad
    assert not model.kept[0]._forward_hooks


def test_an_unregistered_embedding_of_integers_has_a_gradient() -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.holder = type("Holder", (), {"embedding": nn.Embedding(20, 4)})()

        def forward(self, ids: Tensor) -> Tensor:
            return self.holder.embedding(ids).sum(1)

    model = Kept()
    found = both(model, IDS)
    _, gradient = found.gradients["<Embedding>"]
    expected = 2 * model.holder.embedding(IDS).sum(1, keepdim=True).expand(2, 4, 4)
    torch.testing.assert_close(gradient, expected)
    assert model.holder.embedding.weight.requires_grad


def test_the_model_itself_counts_when_it_has_no_submodules() -> None:
    model = nn.Linear(3, 2)
    found = both(model, torch.ones(1, 3))
    assert list(found.outputs) == ["<Linear>"]
    assert torch.equal(found.outputs["<Linear>"], model(torch.ones(1, 3)))


def test_under_no_grad_inference_mode_and_autocast_the_numbers_are_the_same() -> None:
    model, expected = DigitsNet(), None
    for caller in (torch.enable_grad(), torch.no_grad(), torch.inference_mode(), torch.autocast("cpu")):
        with caller:
            images = IMAGES.clone()
            found = both(model, images).gradients["block1"][1]
        expected = found if expected is None else expected
        assert torch.equal(found, expected)


def test_neither_inputs_nor_gradients_of_the_caller_are_touched() -> None:
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 2))
    x = IMAGES.clone().requires_grad_()
    x.grad = torch.full_like(x, 7)
    parameters = [parameter.detach().clone() for parameter in model.parameters()]
    both(model, x)
    assert torch.equal(x, IMAGES)
    assert torch.equal(x.grad, torch.full_like(x, 7))
    assert x.requires_grad
    assert [parameter.grad for parameter in model.parameters()] == [None, None]
    assert all(map(torch.equal, model.parameters(), parameters))


class Constant(nn.Module):
    """Returns a tensor of its own: a buffer, or a plain attribute, which may require a gradient."""

    def __init__(self, *, in_tuple: bool, kind: str) -> None:
        super().__init__()
        self.in_tuple = in_tuple
        value = torch.ones(64, requires_grad=kind == "leaf")
        if kind == "buffer":
            self.register_buffer("value", value)
        else:
            self.value = value

    def forward(self) -> Any:
        return (self.value,) if self.in_tuple else self.value


class Adding(nn.Module):
    def __init__(self, constant: Constant) -> None:
        super().__init__()
        self.constant, self.fc = constant, nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        constant = self.constant()
        return self.fc(x.flatten(1) + (constant[0] if isinstance(constant, tuple) else constant))


@pytest.mark.parametrize("kind", ["buffer", "plain", "leaf"])
@pytest.mark.parametrize("in_tuple", [False, True])
def test_a_tensor_that_a_module_keeps_and_returns_stays_as_it_was(in_tuple: bool, kind: str) -> None:
    model = Adding(Constant(in_tuple=in_tuple, kind=kind))
    value = model.constant.value
    found = both(model, IMAGES)
    x = (IMAGES.flatten(1) + 1).requires_grad_()
    (expected,) = torch.autograd.grad(squares(model.fc(x)).sum(), x)
    torch.testing.assert_close(found.gradients["constant"][1], expected.sum(0))
    with pytest.raises(RuntimeError, match="must match"):  # the sum after the constant
        both(model, torch.ones(1, 65))
    assert model.constant.value is value
    assert value.requires_grad == (kind == "leaf")
    assert not value._backward_hooks


def test_a_teacher_in_inference_mode_has_outputs_but_no_gradients() -> None:
    class Distilled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 2)
            with torch.inference_mode():
                self.teacher = nn.Linear(64, 2)

        def forward(self, x: Tensor) -> Tensor:
            with torch.inference_mode():
                hints = self.teacher(x.flatten(1))
            return self.fc(x.flatten(1)) + hints

    model = Distilled()
    found = both(model, IMAGES)
    with torch.no_grad():
        assert torch.equal(found.outputs["teacher"], model.teacher(IMAGES.flatten(1)))
    assert list(found.gradients) == ["fc"]
    assert found.skipped == {"teacher": "the target does not depend on its output"}
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_forward_that_computes_without_gradients_keeps_them_from_the_frozen_part_only() -> None:
    class Backbone(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.tail, self.fc = nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                x = self.tail(self.body(x.flatten(1)))
            return self.fc(x.mul_(2))

    found = both(Backbone(), IMAGES)
    assert list(found.gradients) == ["tail", "fc"]
    assert found.skipped == {"body": "the target does not depend on its output"}
    with pytest.raises(CaptureError, match="with respect to layer 'body' was asked for, but the target does not dep"):
        both(Backbone(), IMAGES, layers=["fc", "body"])


def test_a_checkpointed_block_counts_once() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block, self.fc = Residual(1, 2), nn.Linear(128, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(checkpoint(self.block, x, use_reentrant=False).flatten(1))

    torch.manual_seed(0)
    model = Checkpointed()
    found = both(model, IMAGES)
    plain = nn.Sequential(model.block, nn.Flatten(), model.fc)
    _, gradients = twin(plain.eval(), squares, IMAGES)
    assert list(found.gradients)[:2] == ["block", "block.conv1"]
    assert "block.conv1#1" not in found.outputs
    torch.testing.assert_close(found.gradients["block.conv1"][1], gradients["0.conv1"])


def test_modules_that_another_thread_calls_are_not_seen() -> None:
    other = nn.Linear(2, 2)

    class Waiting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 2)

        def forward(self, x: Tensor) -> Tensor:
            thread = threading.Thread(target=other, args=(torch.ones(1, 2),))
            thread.start()
            thread.join()
            return self.fc(x.flatten(1))

    assert list(both(Waiting(), IMAGES).outputs) == ["fc"]


def test_a_call_that_fails_and_is_caught_does_not_shift_the_others() -> None:
    class Fallback(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wrong, self.right = nn.Linear(3, 2), nn.Linear(64, 2)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.wrong(x.flatten(1))
            except RuntimeError:
                return self.right(x.flatten(1))

    model = nn.Sequential(Fallback(), nn.Linear(2, 2))
    found = both(model, IMAGES)
    assert list(found.outputs) == ["0", "0.right", "1"]
    assert torch.equal(found.outputs["0"], model[0].right(IMAGES.flatten(1)))
    assert torch.equal(found.outputs["1"], model(IMAGES))


def test_a_users_hook_that_replaces_an_output_is_respected() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    model[1].register_forward_hook(lambda module, inputs, output: output * 10)
    assert torch.equal(both(model, IMAGES).outputs["1"], model(IMAGES))


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_model_is_run_through_its_original(in_place: bool) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(64, 4), nn.ReLU()), nn.Linear(4, 2))
    expected = both(model, IMAGES)
    if in_place:
        model[1].compile(backend="eager")
    compiled = model if in_place else torch.compile(model, backend="eager")
    compiled(IMAGES)
    found = both(compiled, IMAGES)
    assert list(found.gradients) == ["0", "1", "1.0", "1.1", "2"]
    assert torch.equal(found.gradients["1.0"][1], expected.gradients["1.0"][1])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_a_scripted_module_is_one_layer() -> None:
    torch.manual_seed(0)
    inside = nn.Sequential(nn.Linear(64, 4), nn.ReLU())
    model = nn.Sequential(nn.Flatten(), torch.jit.script(inside), nn.Linear(4, 2))
    found = both(model, IMAGES)
    assert list(found.gradients) == ["0", "1", "2"]
    activations, gradients = twin(nn.Sequential(model[0], inside, model[2]), squares, IMAGES)
    assert_same(found.outputs, {key: activations[key] for key in "012"})
    assert_same({key: gradient for key, (_, gradient) in found.gradients.items()}, {k: gradients[k] for k in "012"})
