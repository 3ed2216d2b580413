from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerscope.containment import contained, original
from layerscope.errors import InvalidArgumentError


class Stateful(nn.Module):
    """Does to itself in its forward all that a model can do."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.bn = nn.BatchNorm1d(3)
        self.register_buffer("total", torch.tensor([torch.nan, 1.0]))
        self.register_buffer("replaced", torch.zeros(2))
        self.calls = 0
        self.history: list[Tensor] = [torch.zeros(1)]
        self.cache: dict[str, Tensor] = {"last": torch.zeros(1)}
        self.seen: set[int] = {1}

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.history.append(x)
        self.history.pop(0)
        self.cache["last"] = x
        self.seen.add(2)
        self.made = x
        self.total += 1
        self.replaced = self.replaced + 1
        self.register_buffer("late", torch.ones(1))
        self.fc.weight.data = torch.renorm(self.fc.weight.data, 2, 0, 0.1)
        self.fc.weight.grad = torch.ones(3, 3)
        # BatchNorm in training mode, whatever its flag says; it writes its statistics without raising their version.
        x = functional.batch_norm(x, self.bn.running_mean, self.bn.running_var, training=True)
        return functional.dropout(self.fc(x), 0.5, training=True)


@contextmanager
def raising() -> Iterator[None]:
    with pytest.raises(ZeroDivisionError):
        yield


@pytest.mark.parametrize("fails", [False, True])
def test_restores_what_a_forward_did_to_the_model(fails: bool) -> None:
    model = Stateful()
    history, cache, seen, replaced = model.history, model.cache, model.seen, model.replaced
    first, last = history[0], cache["last"]
    weight, values = model.fc.weight, model.fc.weight.detach().clone()
    storage = weight.data_ptr()
    mean, mean_values = model.bn.running_mean, model.bn.running_mean.clone()
    names = sorted(vars(model)), sorted(model._buffers)
    with raising() if fails else nullcontext(), contained(model):
        model(torch.randn(5, 3))
        assert model.calls == 1
        assert not torch.equal(mean, mean_values)
        if fails:
            raise ZeroDivisionError
    assert model.calls == 0
    assert model.history is history
    assert len(history) == 1
    assert history[0] is first
    assert model.cache is cache
    assert cache["last"] is last
    assert model.seen is seen
    assert seen == {1}
    assert (sorted(vars(model)), sorted(model._buffers)) == names
    assert model.total.isnan().tolist() == [True, False]
    assert model.total[1] == 1
    assert model.replaced is replaced
    assert torch.equal(replaced, torch.zeros(2))
    assert model.fc.weight is weight
    assert torch.equal(weight, values)
    assert weight.data_ptr() == storage
    assert weight.grad is None
    assert model.bn.running_mean is mean
    assert torch.equal(mean, mean_values)


@pytest.mark.parametrize("fails", [False, True])
def test_restores_flags_gradients_hooks_and_random_states(fails: bool) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model.train()
    model[1].eval()  # a frozen BatchNorm in a model that trains
    model[0].weight.requires_grad_(False)
    model[0].bias.grad = torch.ones(3)
    grad = model[0].bias.grad
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    with raising() if fails else nullcontext(), contained(model, frozen=True):
        assert [module.training for module in model.modules()] == [False] * 4
        assert [parameter.requires_grad for parameter in model.parameters()] == [False] * 4
        model[0].register_forward_hook(lambda *_: None)
        model[0].bias.grad = None
        model.requires_grad_(True)
        torch.rand(3), np.random.rand(3), random.random()
        if fails:
            raise ZeroDivisionError
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, True, True, True]
    assert model[0].bias.grad is grad
    assert model[0].weight.grad is None
    assert len(model[0]._forward_hooks) == 0
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert random.getstate() == states[2]


@pytest.mark.parametrize("frozen", [False, True])
def test_a_teacher_made_in_inference_mode_is_left_as_found(frozen: bool) -> None:
    with torch.inference_mode():
        teacher = nn.BatchNorm1d(3)
    model = nn.Sequential(nn.Linear(3, 3), teacher)
    with contained(model, evaluating=False, frozen=frozen):
        assert model[0].weight.requires_grad != frozen
        with torch.inference_mode():
            model(torch.ones(2, 3))
        assert teacher.num_batches_tracked == 1
    assert teacher.num_batches_tracked == 0
    assert teacher.running_mean.tolist() == [0, 0, 0]
    assert all(tensor.is_inference() for tensor in (*teacher.parameters(), *teacher.buffers()))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_restore_that_raises_keeps_no_other_from_running() -> None:
    class Stubborn(random.Random):
        def setstate(self, state: object) -> None:
            raise ZeroDivisionError

    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    model[1].generator, model[3].generator = Stubborn(), Stubborn()
    model[0].bias.grad = grad = torch.ones(3)
    with raising(), contained(model, frozen=True):
        model[0].bias.grad = None
        model[3].kept = torch.ones(1)
        for norm in (model[0], model[2]):
            norm.running_mean.add_(1)
    assert [module.training for module in model.modules()] == [True] * 5
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model[0].bias.grad is grad
    assert not hasattr(model[3], "kept")
    assert [norm.running_mean.tolist() for norm in (model[0], model[2])] == [[0, 0, 0]] * 2


def test_a_backward_that_waits_still_finds_the_buffers_it_saved() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("scale", torch.full((3,), 2.0))

        def forward(self, x: Tensor) -> Tensor:
            out = x * self.scale
            self.scale.add_(1)
            return out

    model, x = Scaled(), torch.ones(3, requires_grad=True)
    waiting = x * model.scale
    with contained(model):
        model(torch.ones(3))
    waiting.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2, 2, 2]
    assert model.scale.tolist() == [2, 2, 2]


@pytest.mark.parametrize("caller", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_a_caller_under_any_mode_gets_the_same_numbers_and_keeps_its_mode(caller: type[torch.no_grad]) -> None:
    model, x = nn.Linear(3, 3), torch.randn(2, 3)
    expected = model(x)
    with caller():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
        with contained(model):
            out = model(x)
        after = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    assert out.requires_grad
    assert out.dtype == torch.float32
    assert torch.equal(out, expected)
    assert after == before


def test_attention_calls_its_submodules_and_gets_its_fast_path_back() -> None:
    class Recording(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(self)
            return super().forward(x)

    model = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    model.linear1 = Recording(4, 8)
    calls: list[nn.Module] = []  # no hooks: they too keep attention from its fast path
    with contained(model), torch.no_grad():
        model(torch.randn(1, 3, 4))
    assert calls == [model.linear1]
    with torch.no_grad():
        model.eval()(torch.randn(1, 3, 4))
    assert len(calls) == 1
    assert torch.backends.mha.get_fastpath_enabled()


def test_modules_in_plain_containers_are_contained() -> None:
    model = nn.Module()
    inner = nn.BatchNorm1d(2)
    model.kept = [inner]
    with contained(model, frozen=True):
        assert not inner.training
        assert not inner.weight.requires_grad
        inner.running_mean.add_(1)
    assert inner.training
    assert inner.weight.requires_grad
    assert inner.running_mean.tolist() == [0, 0]


def test_a_lazy_model_is_refused() -> None:
    model = nn.Sequential(nn.LazyLinear(3), nn.Linear(3, 3))
    with (
        pytest.raises(InvalidArgumentError, match=r"this one has 2 lazy ones without\. Run it once on a"),
        contained(model),
    ):
        pass
    assert model[0].has_uninitialized_params()


def test_original_unwraps_what_compile_wrapped() -> None:
    model = nn.Linear(2, 2)
    assert original(torch.compile(model, backend="eager")) is model
    assert original(model) is model


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_scripted_modules_are_contained() -> None:
    model = nn.Sequential(torch.jit.script(nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))))
    x = torch.randn(4, 3)
    with contained(model, frozen=True):
        assert [module.training for module in model.modules()] == [False] * 4
        assert torch.equal(model(x), model(x))
    assert [module.training for module in model.modules()] == [True] * 4
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, True]
