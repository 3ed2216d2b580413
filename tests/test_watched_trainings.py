"""``Scope.watch`` in trainings of many kinds: the values recorded are those that the loop itself saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from layerscope.scope import Scope
from probed_models import DigitsNet
from recorded_steps import Step, assert_recorded, at_step, gradients_of, parameters_of, series_of, stepped
from slow_moments import assert_moments

OUTPUTS = ("training_activations", "activation_gradients")


def batch(seed: int) -> Tensor:
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model() -> DigitsNet:
    torch.manual_seed(0)
    return DigitsNet()


def test_accumulated_gradients_are_those_of_the_step_and_outputs_are_of_all_passes(
    model: DigitsNet, tmp_path: Path
) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    outputs: list[list[Tensor]] = []
    model.fc.register_forward_hook(lambda module, inputs, output: outputs[-1].append(output.detach().clone()))
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(3):
            outputs.append([])
            model.zero_grad()
            for part in range(2):
                (model(batch(10 * i + part)).square().sum() / 2).backward()
            steps[i] = stepped(model, optimizer.step)
    series = series_of(tmp_path)
    assert_recorded(series, model, steps)
    found = series["training_activations"]
    for i in range(3):
        assert len(outputs[i]) == 2
        assert_moments(found.values[i, found.layers.index("fc")], *outputs[i])


@pytest.mark.parametrize("set_to_none", [True, False])
def test_parameters_without_gradient(tmp_path: Path, set_to_none: bool) -> None:
    model = nn.ModuleDict({"used": nn.Linear(2, 2), "frozen": nn.Linear(2, 2), "idle": nn.Linear(2, 2)})
    model["frozen"].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(3):
            optimizer.zero_grad(set_to_none=set_to_none)
            loss = model["frozen"](model["used"](torch.ones(1, 2))).sum()
            if i == 0:
                loss = loss + model["idle"](torch.ones(1, 2)).sum()
            loss.backward()
            steps[i] = stepped(model, optimizer.step)
    series = series_of(tmp_path)
    assert_recorded(series, model, steps)
    idle = np.isnan(at_step(series["gradients"], "norm", "idle.weight"))
    assert idle.tolist() == [False, set_to_none, set_to_none]  # else it is there and zero
    assert at_step(series["gradients"], "zero_fraction", "idle.weight")[1:] == pytest.approx(
        [np.nan] * 2 if set_to_none else [1, 1], nan_ok=True
    )
    assert np.isnan(at_step(series["gradients"], "norm", "frozen")).all()
    assert at_step(series["parameters"], "trainable", "frozen") == [0, 0, 0]
    assert at_step(series["updates"], "norm", "frozen") == [0, 0, 0]


def test_several_optimizers_have_their_rows_and_agree_in_steps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"maker": nn.Linear(2, 3), "judge": nn.Linear(3, 1), "nobody's": nn.Linear(1, 1)})
    maker, judge = model["maker"], model["judge"]
    of_judge = torch.optim.Adam(judge.parameters(), lr=0.1)
    of_maker = torch.optim.SGD(maker.parameters(), lr=0.2)
    judged: dict[int, Step] = {}
    made: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(of_judge, of_maker, every=1)
        for i in range(3):
            model.zero_grad()
            (judge(maker(torch.randn(4, 2)).detach()).sum() - judge(torch.randn(4, 3)).sum()).backward()
            judged[i] = stepped(model, of_judge.step)
            model.zero_grad()
            judge(maker(torch.randn(4, 2))).square().sum().backward()
            made[i] = stepped(model, of_maker.step)
    series = series_of(tmp_path)
    for name in ("gradients", "parameters", "updates"):
        assert series[name].steps.tolist() == [0, 1, 2]
    assert_recorded(series, model, judged, only=("judge", "nobody's"))
    assert_recorded(series, model, made, only=("maker",))
    assert at_step(series["updates"], "learning_rate", "judge") == [np.float32(0.1)] * 3
    assert at_step(series["updates"], "learning_rate", "maker") == [np.float32(0.2)] * 3
    assert np.isnan(at_step(series["updates"], "learning_rate", "nobody's")).all()


@pytest.mark.parametrize("make", [torch.optim.LBFGS, torch.optim.SGD])
def test_a_step_that_runs_a_closure_is_recorded_with_its_own_gradients(tmp_path: Path, make: Any) -> None:
    """LBFGS evaluates several times; Lightning gives a closure to every optimizer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = make(model.parameters(), lr=0.1)
    x, evaluations = torch.randn(8, 3), [0, 0, 0]
    steps: dict[int, Step] = {}
    i = 0

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss.backward()
        evaluations[i] += 1
        return loss

    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(3):
            before = parameters_of(model)
            optimizer.step(closure) if i else optimizer.step(closure=closure)
            steps[i] = Step(gradients_of(model), before, parameters_of(model))
    series = series_of(tmp_path)
    assert_recorded(series, model, steps)
    found = series["training_activations"]
    assert found.layers == ("0", "1", "2")
    assert found.histogram is not None
    assert found.histogram[:, 2].sum(1).tolist() == [8 * n for n in evaluations]
    assert (max(evaluations) > 1) == (make is torch.optim.LBFGS)


def test_sparse_gradients(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(30, 4, sparse=True))
    optimizer = torch.optim.SparseAdam(model.parameters(), lr=0.01)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(3):
            optimizer.zero_grad()
            model(torch.tensor([[i, i, 7], [i, 20, 21]])).square().sum().backward()
            assert model[0].weight.grad is not None
            assert not model[0].weight.grad.is_coalesced()
            steps[i] = stepped(model, optimizer.step)
    series = series_of(tmp_path)
    assert_recorded(series, model, steps)
    assert at_step(series["gradients"], "zero_fraction", "0.weight") == pytest.approx([26 / 30] * 3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2)).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(2):
            optimizer.zero_grad()
            (model(torch.randn(4, 4, dtype=dtype)) * 300).float().square().sum().backward()  # squares overflow float16
            steps[i] = stepped(model, optimizer.step)
    assert_recorded(series_of(tmp_path), model, steps)


def test_tied_weights_and_what_is_added_midway(tmp_path: Path) -> None:
    class Low(nn.Module):
        def __init__(self, inner: nn.Linear) -> None:
            super().__init__()
            self.inner = inner.requires_grad_(False)
            self.down, self.up = nn.Linear(4, 1, bias=False), nn.Linear(1, 4, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) + self.up(self.down(x))

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> Step:
        optimizer.zero_grad()
        model(torch.randn(3, 4)).square().sum().backward()
        return stepped(model, optimizer.step)

    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        steps = {i: step() for i in range(2)}
        tied = list(series_of(tmp_path)["gradients"].layers) if scope.close() is None else []
    assert tied == ["0", "0.weight", "0.bias", "1", "1.weight", "1.bias"]
    assert_recorded(series_of(tmp_path), model, steps)

    with Scope(model, tmp_path / "added", strict=True) as scope:
        scope.watch(optimizer, every=1)
        steps = {i: step() for i in range(2)}
        before = nn.Sequential(*model)
        model[1] = Low(nn.Linear(4, 4))
        optimizer.add_param_group({"params": [*model[1].down.parameters(), *model[1].up.parameters()], "lr": 0.5})
        added = {i: step() for i in range(2, 4)}
    series = series_of(tmp_path / "added")
    assert series["gradients"].steps.tolist() == [0, 1, 2, 3]
    assert_recorded(series, before, steps, only=("0", "1.weight", "1.bias"))
    assert_recorded(series, model, added, only=("0", "1.inner", "1.down", "1.up"))
    gone = at_step(series["parameters"], "norm", "1.weight")
    assert np.isnan(gone).tolist() == [False, False, True, True]
    assert at_step(series["updates"], "learning_rate", "1.up.weight")[2:] == [0.5, 0.5]
    assert "1.down" in series["training_activations"].layers


def scaled(scaler: torch.amp.GradScaler, model: nn.Module, seed: int) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(batch(seed)).float().square().sum()
    scaler.scale(loss).backward()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscaled", [False, True])
def test_what_a_grad_scaler_scales_is_recorded_unscaled(
    model: DigitsNet, tmp_path: Path, fused: bool, unscaled: bool
) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=1)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(3):
            optimizer.zero_grad()
            scaled(scaler, model, i)
            scale = scaler.get_scale()
            if unscaled:
                scaler.unscale_(optimizer)
            steps[i] = stepped(model, lambda: scaler.step(optimizer), scale=1.0 if unscaled else scale)
            scaler.update()
            assert scaler.get_scale() == 2 * scale
    assert_recorded(series_of(tmp_path), model, steps)


@pytest.mark.parametrize("fused", [False, True])
def test_one_step_of_a_grad_scaler_is_recorded_unscaled(model: DigitsNet, tmp_path: Path, fused: bool) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    expected: dict[int, float] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        for i in range(3):
            optimizer.zero_grad()
            scaled(scaler, model, i)
            assert model.fc.weight.grad is not None
            expected[i] = float(model.fc.weight.grad.norm() / scaler.get_scale())
            with scope.step(optimizer, i):
                scaler.step(optimizer)
            scaler.update()
    assert not optimizer._optimizer_step_pre_hooks
    series = series_of(tmp_path)["gradients"]
    assert series.steps.tolist() == [0, 1, 2]
    np.testing.assert_allclose(at_step(series, "norm", "fc.weight"), list(expected.values()), rtol=1e-4)


def test_steps_that_a_grad_scaler_skips_are_not_counted(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    taken: list[Step] = []
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(5):
            optimizer.zero_grad()
            scaled(scaler, model, i)
            if i in (0, 3):
                model.fc.bias.grad = torch.full((10,), torch.inf)
            step = stepped(model, lambda: scaler.step(optimizer), scale=scaler.get_scale())
            scaler.update()
            if i not in (0, 3):
                taken.append(step)
    series = series_of(tmp_path)
    for name in ("gradients", "parameters", "updates", "training_activations"):
        assert series[name].steps.tolist() == [0, 1, 2]
    assert_recorded(series, model, dict(enumerate(taken)))


def test_a_fused_optimizer_that_finds_infinities_takes_a_step_of_zero(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(2):
            optimizer.zero_grad()
            scaled(scaler, model, i)
            if i == 0:
                model.fc.bias.grad = torch.full((10,), torch.inf)
            scaler.step(optimizer)
            scaler.update()
    series = series_of(tmp_path)
    assert at_step(series["gradients"], "inf_count", "fc.bias") == [10, 0]
    first, second = at_step(series["updates"], "norm", "fc.weight")
    assert first == 0 < second


def test_validation_between_steps_is_not_mixed_in(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    outputs: list[Tensor] = []
    model.fc.register_forward_hook(
        lambda module, inputs, output: outputs.append(output.detach().clone()) if module.training else None
    )
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(2):
            model.eval()
            with torch.no_grad():
                model(batch(100))
            model(batch(101))
            model.train()
            optimizer.zero_grad()
            model(batch(i)).square().sum().backward()
            scope.activations(batch(102), step=i)
            scope.attributions(batch(103), torch.zeros(4, dtype=torch.int64), step=i)
            optimizer.step()
    found = series_of(tmp_path)["training_activations"]
    for i in range(2):
        assert_moments(found.values[i, found.layers.index("fc")], outputs[i])


def test_after_a_forward_or_a_step_that_raised_everything_goes_on(model: DigitsNet, tmp_path: Path) -> None:
    class Stumbling(torch.optim.SGD):
        stumbles = False

        def step(self, closure: Any = None) -> None:
            if self.stumbles:
                with torch.no_grad():
                    model.fc.weight.add_(1.0)
                raise ArithmeticError
            super().step(closure)

    def fail(*_: Any) -> None:
        raise ArithmeticError

    torch.optim.SGD(model.parameters())  # now the step of the base class, too, calls the hooks
    optimizer = Stumbling(model.parameters(), lr=0.01)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(4):
            handle = model.block1.bn1.register_forward_hook(fail)
            with pytest.raises(ArithmeticError):
                model(batch(i))
            handle.remove()
            optimizer.zero_grad()
            model(batch(i)).square().sum().backward()
            if i == 2:
                optimizer.stumbles = True
                with pytest.raises(ArithmeticError):
                    optimizer.step()
                optimizer.stumbles = False
            steps[i] = stepped(model, optimizer.step)
    series = series_of(tmp_path)
    del steps[2]  # its gradients and parameters are those before the step that raised
    assert_recorded(series, model, steps)
    assert series["updates"].steps.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_blocks(tmp_path: Path, reentrant: bool) -> None:
    class Blocks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(4, 4)
            self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)) for _ in range(2))

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            for block in self.blocks:
                x = checkpoint(block, x, use_reentrant=reentrant)
            return x

    torch.manual_seed(0)
    model = Blocks()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(2):
            optimizer.zero_grad()
            model(torch.randn(3, 4)).square().sum().backward()
            steps[i] = stepped(model, optimizer.step)
    series = series_of(tmp_path)
    assert_recorded(series, model, steps)
    found = series["training_activations"]
    assert found.histogram is not None
    assert found.layers == ("first", "blocks.0", "blocks.0.0", "blocks.0.1", "blocks.1", "blocks.1.0", "blocks.1.1")
    assert (found.histogram.sum(2) == 12).all()
