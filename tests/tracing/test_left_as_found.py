"""trace() changes nothing: not the model, not its inputs, not the process; also when something raises."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
import torchview.recorder_tensor
import torchview.torchview
from torch import nn
from torch.nn.modules import module as module_hooks
from torchview.recorder_tensor import RecorderTensor

from layerscope.tracing import trace
from traced_models import PlainList, ResidualNet, mlp


class StopError(Exception):
    pass


class Raising(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise StopError("on purpose")


def training_net(*, raising: bool) -> nn.Module:
    """A net in the middle of training: gradients are there, one BatchNorm is frozen, hooks are set."""
    model = ResidualNet()
    model(torch.randn(4, 3, 8, 8)).sum().backward()
    model.train()
    model.layers[0].bn1.eval().requires_grad_(False)
    model.fc.register_forward_hook(lambda *_: None)
    model.layers[1].relu.register_forward_pre_hook(lambda *_: None)
    return nn.Sequential(model, Raising()) if raising else model


def state(model: nn.Module) -> dict[str, Any]:
    return {
        "training": [module.training for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "grad": [id(parameter.grad) for parameter in model.parameters()],
        "tensors": [
            (name, id(tensor), type(tensor), tensor._version, tensor.detach().numpy().tobytes())
            for name, tensor in [*model.named_parameters(), *model.named_buffers()]
        ],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "hooks": [[*module._forward_hooks.items(), *module._forward_pre_hooks.items()] for module in model.modules()],
    }


def process() -> dict[str, Any]:
    torchview_modules = (torchview.recorder_tensor, torchview.torchview)
    return {
        "call": nn.Module.__call__,
        "creation": [getattr(torch, name) for name in torchview.recorder_tensor.orig_name_list],
        "torchview": [dict(vars(module)) for module in torchview_modules],
        "hooks": {
            name: dict(kept)
            for name, kept in vars(module_hooks).items()
            if name.startswith("_global") and isinstance(kept, dict)
        },
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "grad": torch.is_grad_enabled(),
        "random": (torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()),
    }


@pytest.mark.parametrize("raising", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_model_and_process_are_as_before(raising: bool, grad: bool) -> None:
    model, x = training_net(raising=raising), torch.randn(4, 3, 8, 8)
    with torch.set_grad_enabled(grad):
        before = state(model), process()
        graph = trace(model, x)
        assert ("on purpose" in graph.failure) == raising
        after = state(model), process()
    assert after == before


def test_training_goes_on_with_the_same_bits() -> None:
    def run(traced: bool) -> list[float]:
        torch.manual_seed(0)
        model, losses = ResidualNet(), []
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            loss = model(torch.randn(4, 3, 8, 8)).square().mean()  # dropout draws random numbers
            if traced:
                trace(model, torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)))
            optimizer.zero_grad()
            loss.backward()  # after the trace: what the forward saved must still be valid
            optimizer.step()
            losses.append(loss.item())
        return losses

    assert run(traced=True) == run(traced=False)


def test_inputs_are_not_changed_in_place() -> None:
    x = torch.randn(2, 3)
    before = x.clone()
    batch = {"x": x, "list": [x]}

    class InPlace(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu = nn.ReLU(inplace=True)

        def forward(self, batch: dict[str, Any]) -> torch.Tensor:
            batch["list"].append(1)
            return self.relu(batch.pop("x").add_(1))

    trace(InPlace(), batch)
    assert torch.equal(x, before)
    assert [*batch] == ["x", "list"]
    assert batch["list"] == [x]
    assert type(x) is torch.Tensor


class Caches(nn.Module):
    """Keeps tensors wherever a tensor can be kept."""

    everywhere: list[torch.Tensor] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.calls = 0
        self.history: list[torch.Tensor] = []
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.fc(x)
        self.calls += 1
        self.last = out
        self.history.append(out)
        self.mean = out.mean(0)
        Caches.everywhere.append(out)
        return out


def test_no_recorder_tensor_stays_anywhere() -> None:
    model, x = Caches(), torch.randn(2, 3)
    mean = model.mean
    trace(model, x)
    (kept,) = Caches.everywhere
    Caches.everywhere.clear()
    assert type(kept) is torch.Tensor
    assert not vars(kept)
    assert type(kept * 2) is torch.Tensor
    assert torch.equal(kept, model.fc(x))
    assert model.mean is mean
    assert (model.calls, model.history, hasattr(model, "last")) == (0, [], False)
    assert not isinstance(model(x), RecorderTensor)
    Caches.everywhere.clear()
    model.history.clear()
    del model.last
    model.mean = mean
    copy.deepcopy(model)


def test_the_patch_of_another_tool_is_called_and_survives(monkeypatch: pytest.MonkeyPatch) -> None:
    original, called = nn.Module.__call__, []

    def patched(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        called.append(type(module).__name__)
        return original(module, *args, **kwargs)

    zeros = torch.zeros

    def patched_zeros(*args: Any, **kwargs: Any) -> torch.Tensor:
        return zeros(*args, **kwargs)

    monkeypatch.setattr(nn.Module, "__call__", patched)
    monkeypatch.setattr(torch, "zeros", patched_zeros)
    graph = trace(mlp(), torch.randn(2, 3))
    assert nn.Module.__call__ is patched
    assert torch.zeros is patched_zeros
    assert called == ["Sequential", "Linear", "ReLU", "Sequential", "Linear", "Tanh", "Linear"]
    assert graph.warnings == ()


def test_a_generator_between_modules_is_not_consumed() -> None:
    class Stack(nn.Module):
        def forward(self, parts: Any) -> torch.Tensor:
            return torch.stack(list(parts))

    class Generates(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.stack = Stack()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.stack(self.fc(x) * i for i in range(3))

    graph = trace(Generates(), torch.randn(2, 3))
    assert graph.nodes["output/0"].output_shapes == ((3, 2, 3),)
    assert [node.id for node in graph.nodes.values() if node.module] == ["stack", "fc", "fc#1", "fc#2"]


def test_modules_that_are_registered_nowhere_are_left_as_found_too() -> None:
    model = PlainList()
    model.layers.append(nn.Sequential(nn.BatchNorm1d(2)))
    before = state(model.layers[-1])
    trace(model, torch.randn(4, 3))
    assert state(model.layers[-1]) == before
    assert model.layers[-1][0].training


def test_the_models_own_train_method_is_not_called() -> None:
    class Counting(nn.Sequential):
        switched = 0

        def train(self, mode: bool = True) -> Counting:
            Counting.switched += 1
            return super().train(mode)

    model = Counting(nn.Linear(3, 3))
    trace(model, torch.randn(2, 3))
    assert Counting.switched == 0


def test_meta_tensors_stay_where_they_are() -> None:
    model = nn.Sequential(nn.Linear(3, 2, device="meta"), nn.BatchNorm1d(2, device="meta"))
    graph = trace(model, torch.empty(4, 3, device="meta"))
    assert graph.nodes["0"].output_shapes == ((4, 2),)
    assert model[0].weight.device.type == "meta"
