"""Models that change something while they run: the trace must leave that as it was, and still see all."""

from __future__ import annotations

import collections
import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.case import Arguments, Case, given, net, vector
from zoo.torture_values import linear, two


def with_norm() -> nn.Module:
    return nn.Sequential(linear(), nn.BatchNorm1d(4))


def layers_in_turn(self: Any, x: Tensor) -> Tensor:
    for layer in self.layers:
        x = layer(x)
    return self.one(x)


def layers_by_name(self: Any, x: Tensor) -> Tensor:
    return self.one(self.layers["b"][0](self.layers["a"](x)))


def teacher_and_student(self: Any, x: Tensor) -> Tensor:
    return self.one(x) - self.teacher(x)


def teacher() -> nn.Module:
    """A module that is kept where ``parameters()`` does not see it."""
    module = two(teacher_and_student)()
    object.__setattr__(module, "teacher", with_norm())
    return module


def batch_norm_in_training(self: Any, x: Tensor) -> Tensor:
    self.norm.train()
    return self.two(self.norm(self.one(x)))


def parameter_updated(self: Any, x: Tensor) -> Tensor:
    """As the codebook of a VQ-VAE."""
    x = self.one(x)
    with torch.no_grad():
        self.codes.mul_(0.9).add_(x.mean(0), alpha=0.1)
        self.two.weight.data.clamp_(-0.1, 0.1)
    return self.two(x) + self.codes


def cache_written(self: Any, x: Tensor) -> Tensor:
    """As the key cache of a language model: a plain tensor, made beforehand."""
    self.keys = self.keys.to(x)
    with torch.no_grad():
        self.keys[:, self.position] = self.one(x)
    self.position += 1
    return self.two(self.keys[:, : self.position].sum(1))


def histories(self: Any, x: Tensor) -> Tensor:
    x = self.one(x)
    self.recent.append(x)
    self.counts["forward"] += 1
    self.nested["deep"][0].append(x.mean())
    self.nested["deep"][1].add(len(self.recent))
    self.statistics.values.append(x)
    return self.two(x)


class Statistics:
    """Something of the user's own that the model keeps."""

    def __init__(self) -> None:
        self.values: list[Tensor] = []


def tensors_in_a_list(self: Any, x: Tensor) -> Tensor:
    """Weights that nobody registered."""
    for weight in self.weights:
        x = torch.tanh(x @ weight)
    return self.one(x)


def draws(self: Any, x: Tensor) -> Tensor:
    noise = torch.rand(4, generator=self.generator) + torch.randn(4) + random.random() + np.random.rand()
    return self.one(x + noise)


def seeds(self: Any, x: Tensor) -> Tensor:
    torch.manual_seed(3)
    np.random.seed(3)
    return self.one(x + torch.randn(4))


def freezes(self: Any, x: Tensor) -> Tensor:
    self.one.requires_grad_(False)
    self.two.train()
    self.two.weight.requires_grad_(True)
    return self.two(self.one(x))


def builds_its_layers(self: Any, x: Tensor) -> Tensor:
    if not hasattr(self, "built"):
        self.built = nn.Linear(4, 4)
        self.register_buffer("mean", x.detach().mean(0))
        self.one.register_forward_hook(lambda _, __, result: result * 2)
    return self.built(self.one(x - self.mean))


def backward_inside(self: Any, x: Tensor) -> Tensor:
    """Test-time training: gradients arrive in ``.grad`` during the forward."""
    with torch.enable_grad():
        loss = self.one(x.detach()).square().mean()
        loss.backward()
    step = self.one.weight.grad
    self.one.weight.grad = None
    return self.two(x @ step)


def grad_mode_left_on(self: Any, x: Tensor) -> Tensor:
    torch.set_grad_enabled(True)
    return self.two(self.one(x))


def replaces_a_module(self: Any, x: Tensor) -> Tensor:
    self.one, self.two = self.two, self.one
    return self.two(self.one(x).relu())


def removes_a_parameter(self: Any, x: Tensor) -> Tensor:
    bias = self.one.bias
    self.one.bias = None
    return self.two(self.one(x)) + bias


def moves_its_weights(self: Any, x: Tensor) -> Tensor:
    self.one.weight.data = self.one.weight.data * 2
    return self.two(self.one(x))


def in_place_on_the_input(self: Any, batch: dict[str, Any]) -> Tensor:
    x = batch.pop("x")
    x.add_(1)
    batch["list"].append(x)
    return self.two(self.one(x))


def half_trained() -> nn.Module:
    """Gradients are there, and a part is frozen."""
    module = nn.Sequential(linear(), nn.BatchNorm1d(4), nn.Dropout(0.5), linear())
    module(torch.randn(3, 4)).sum().backward()
    module[1].requires_grad_(False)
    return module


def waiting_for_its_backward() -> nn.Module:
    """A forward has run whose backward is still to come; its output is kept."""
    module = nn.Sequential(linear(), nn.BatchNorm1d(4), linear())
    module.pending = module(torch.randn(3, 4)).sum()
    return module


def batch() -> Arguments:
    return given({"x": torch.randn(2, 4), "list": []})


CASES = (
    Case("modules_in_a_tuple", lambda: net(layers_in_turn, layers=(with_norm(), linear()), one=linear()), vector),
    Case(
        "modules_in_nested_containers",
        lambda: net(layers_by_name, layers={"a": linear(), "b": [with_norm()]}, one=linear()),
        vector,
    ),
    Case("module_beside_the_registered_ones", teacher, vector),
    Case("batch_norm_in_training", two(batch_norm_in_training, norm=lambda: nn.BatchNorm1d(4)), vector),
    Case(
        "parameter_updated",
        two(parameter_updated, codes=lambda: nn.Parameter(torch.randn(4))),
        vector,
        reaches=("input/x", "one", "two"),
    ),
    Case(
        "cache_written",
        two(cache_written, keys=lambda: torch.zeros(2, 8, 4), position=lambda: 0),
        vector,
        reaches=("input/x", "one", "two"),
    ),
    Case(
        "histories",
        two(
            histories,
            recent=collections.deque,
            counts=collections.Counter,
            nested=lambda: {"deep": ([], set())},
            statistics=Statistics,
        ),
        vector,
    ),
    Case("tensors_in_a_list", two(tensors_in_a_list, weights=lambda: [torch.randn(4, 4) for _ in range(2)]), vector),
    Case("draws", two(draws, generator=torch.Generator), vector),
    Case("seeds", two(seeds), vector),
    Case("freezes", two(freezes), vector),
    Case("builds_its_layers", two(builds_its_layers), vector),
    Case("backward_inside", two(backward_inside), vector, reaches=("one", "two")),
    Case("grad_mode_left_on", two(grad_mode_left_on), vector),
    Case("replaces_a_module", two(replaces_a_module), vector),
    Case("removes_a_parameter", two(removes_a_parameter), vector),
    Case("moves_its_weights", two(moves_its_weights), vector),
    Case("in_place_on_the_input", two(in_place_on_the_input), batch),
    Case("half_trained", half_trained, vector),
    Case("waiting_for_its_backward", waiting_for_its_backward, vector),
)
