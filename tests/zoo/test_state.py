"""The state of the zoo sees what changed: a comparison that cannot fail would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from traced_models import ResidualNet
from zoo.case import Arguments, given
from zoo.state import State


class Watched:
    """A model and its arguments, and what changed of them since ``before``."""

    def __init__(self) -> None:
        self.model: Any = ResidualNet()
        self.arguments: Arguments = given([torch.zeros(2, 2)], flag={"k": [1]})
        self.model.config = type("Config", (), {})()
        self.model.history = [(0,)]
        self.before = State(self.model, self.arguments)

    def changes(self) -> list[str]:
        return self.before.changes(State(self.model, self.arguments))


@pytest.fixture
def watched() -> Iterator[Watched]:
    random = torch.get_rng_state()
    yield Watched()
    torch.set_rng_state(random)


def test_nothing_changed(watched: Watched) -> None:
    watched.model.eval()
    watched.model.train()
    assert watched.changes() == []


def test_a_training_flag(watched: Watched) -> None:
    watched.model.layers[0].bn1.eval()
    assert watched.changes() == ["model._modules['layers']._modules['0']._modules['bn1'].training"]


def test_values_of_parameters_and_buffers(watched: Watched) -> None:
    watched.model.fc.weight.data[0, 0] += 1
    watched.model.layers[0].bn1.running_mean += 1
    assert "model._modules['fc']._parameters['weight'], its bits" in watched.changes()
    assert any(change.endswith("_buffers['running_mean'], its bits") for change in watched.changes())


def test_what_hangs_on_a_parameter(watched: Watched) -> None:
    watched.model.fc.weight.requires_grad_(False)
    watched.model.fc.bias.grad = torch.zeros(2)
    watched.model.stem.bias = nn.Parameter(watched.model.stem.bias.data)
    assert {
        "model._modules['fc']._parameters['weight'], requires_grad",
        "model._modules['fc']._parameters['bias'], grad",
        "model._modules['stem']._parameters['bias']",
    } <= set(watched.changes())


def test_hooks_and_attributes(watched: Watched) -> None:
    watched.model.fc.register_forward_hook(lambda *_: None)
    watched.model.cache = torch.zeros(1)
    watched.model.config.cached = 1
    watched.model.history[0] = (1,)
    assert {
        "model._modules['fc']._forward_hooks, its keys",
        "model.cache",
        "model.config.cached",
        "model.history[0]",
    } <= set(watched.changes())


def test_the_arguments(watched: Watched) -> None:
    watched.arguments.args[0][0] += 1
    watched.arguments.kwargs["flag"]["k"].append(2)
    assert {"args[0][0], its bits", "kwargs['flag']['k'], its keys"} <= set(watched.changes())
    watched.arguments.args[0][0] = torch.zeros(2, 2)
    assert "args[0][0]" in watched.changes()


def test_random_states(watched: Watched) -> None:
    torch.rand(1)
    assert watched.changes() == ["random states"]


def test_modes_and_defaults(watched: Watched) -> None:
    torch.set_default_dtype(torch.float64)
    with torch.no_grad(), torch.autocast("cpu"), torch.device("meta"):
        changes = watched.changes()
    torch.set_default_dtype(torch.float32)
    assert {"grad mode", "autocast of cpu", "default dtype and device", "modes"} <= set(changes)


def test_functions_of_torch(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "zeros", len)
    monkeypatch.setattr(nn.Module, "__call__", len)
    assert watched.changes() == ["torch.zeros", "torch.nn.Module.__call__"]


def test_global_hooks(watched: Watched) -> None:
    handle = register_module_forward_hook(lambda *_: None)
    changes = watched.changes()
    handle.remove()
    assert changes == ["_global_forward_hooks"]
