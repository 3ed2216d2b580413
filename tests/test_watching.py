"""``Scope.watch`` and ``Scope.step``: what is recorded around steps of optimizers, read back from the event file."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError
from layerscope.guarding import LayerscopeWarning
from layerscope.scope import Scope
from probed_models import DigitsNet
from recorded_steps import Step, assert_recorded, at_step, series_of, stepped
from slow_moments import column

OUTPUTS = ("training_activations", "activation_gradients")


def batch(seed: int) -> Tensor:
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model() -> DigitsNet:
    torch.manual_seed(0)
    return DigitsNet()


def backward(model: nn.Module, seed: int) -> None:
    model.zero_grad()
    model(batch(seed)).square().sum().backward()


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.Adam, torch.optim.Adafactor])
def test_every_step_is_recorded_with_its_values(model: DigitsNet, tmp_path: Path, make: Any) -> None:
    optimizer = make(model.parameters(), lr=0.01)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for i in range(4):
            backward(model, i)
            steps[i] = stepped(model, optimizer.step)
    series = series_of(tmp_path)
    for name in ("gradients", "parameters", "updates", *OUTPUTS):
        assert series[name].steps.tolist() == [0, 1, 2, 3]
    assert_recorded(series, model, steps)
    assert all(series[name].histogram_steps.tolist() == [0, 1, 2, 3] for name in ("gradients", "parameters", *OUTPUTS))
    np.testing.assert_array_equal(column(series["updates"], "learning_rate"), np.float32(0.01))
    assert series["training_activations"].layers[:2] == ("stem", "stem.0")


def test_defaults_record_gradients_always_and_the_rest_now_and_then(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer)
        for _ in range(102):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
    series = series_of(tmp_path)
    assert {name: found.steps.tolist() for name, found in series.items()} == {
        "gradients": list(range(102)), "parameters": [0, 50, 100], "updates": [0, 50, 100],
        "training_activations": [0, 100], "activation_gradients": [0, 100],
    }  # fmt: skip
    assert series["gradients"].histogram_steps is not None
    assert series["gradients"].histogram_steps.tolist() == list(range(0, 102, 10))


def test_explicit_steps_record_the_same_as_watching(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        for i in (3, 7):
            backward(model, i)

            def step(i: int = i) -> None:
                with scope.step(optimizer, i):
                    optimizer.step()

            steps[i] = stepped(model, step)
    series = series_of(tmp_path)
    assert {found.steps.tolist() == [3, 7] for found in series.values()} == {True}
    assert_recorded(series, model, steps)


def test_numbers_of_steps_may_begin_anywhere(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every={"training_activations": 2}, step=500)
        for i in range(5):
            backward(model, i)
            optimizer.step()
    assert series_of(tmp_path)["gradients"].steps.tolist() == [500, 501, 502, 503, 504]
    assert series_of(tmp_path)["training_activations"].steps.tolist() == [500, 502, 504]


def test_a_function_may_give_the_numbers_of_steps(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    seen = 1000
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every={"parameters": 128, "training_activations": 128}, step=lambda: seen)
        for i in range(6):
            backward(model, i)
            optimizer.step()
            seen += 64
    found = series_of(tmp_path)
    assert found["gradients"].steps.tolist() == [1000, 1064, 1128, 1192, 1256, 1320]
    assert found["parameters"].steps.tolist() == [1000, 1064, 1192, 1320]
    # Whether outputs are due must be known before the pass. How far apart steps are shows with the second one.
    assert found["training_activations"].steps.tolist() == [1000, 1128, 1192, 1320]


@pytest.mark.parametrize("counted", ["before the pass", "after the step"])
@pytest.mark.parametrize("stride", [1, 5])
def test_outputs_are_recorded_with_everything_else_wherever_steps_are_counted(
    counted: str, stride: int, tmp_path: Path
) -> None:
    model, number = nn.Linear(2, 1), -stride if counted == "before the pass" else 0
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=10, step=lambda: number)
        for _ in range(41):
            number += stride if counted == "before the pass" else 0
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            number += stride if counted == "after the step" else 0
    found = series_of(tmp_path)
    for name in ("gradients", "parameters", "updates", *OUTPUTS):
        assert found[name].steps.tolist() == list(range(0, 41 * stride, 10))


def test_the_learning_rate_of_each_step(tmp_path: Path) -> None:
    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        for _ in range(4):
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            schedule.step()
    assert at_step(series_of(tmp_path)["updates"], "learning_rate", "weight") == [1, 0.5, 0.25, 0.125]


def test_a_reference_tells_how_far_training_has_gone(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer, every=1)
        start = model.fc.weight.detach().double().clone()
        distances = []
        for i in range(3):
            if i == 1:
                scope.reference({"fc.weight": start})
            backward(model, i)
            distances.append(((model.fc.weight.double() - start).norm() / start.norm()).item())
            optimizer.step()
    found = at_step(series_of(tmp_path)["parameters"], "distance", "fc.weight")
    np.testing.assert_allclose(found, [np.nan, *distances[1:]], rtol=1e-5)


def test_while_watching_there_are_two_hooks_on_the_optimizer_and_afterwards_none(
    model: DigitsNet, tmp_path: Path
) -> None:
    def hooks() -> tuple[int, int, int]:
        on_modules = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
        return len(optimizer._optimizer_step_pre_hooks), len(optimizer._optimizer_step_post_hooks), on_modules

    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    modules = len(list(model.modules()))
    with Scope(model, tmp_path, strict=True) as scope:
        assert hooks() == (0, 0, 0)
        scope.watch(optimizer, every={"training_activations": 2, "activation_gradients": 4})
        for i in range(5):
            assert hooks() == (1, 1, 2 * modules if i % 2 == 0 else 0)
            backward(model, i)
            optimizer.step()
        scope.close()
        assert hooks() == (0, 0, 0)
    with Scope(model, tmp_path / "again", strict=True) as scope:
        scope.watch(optimizer)
        backward(model, 0)
        optimizer.step()
        scope.watch(optimizer, step=100)  # and leave while a pass is watched
        assert hooks() == (1, 1, 2 * modules)
        backward(model, 0)
        optimizer.step()
        scope.watch(optimizer, step=200)
        with pytest.warns(LayerscopeWarning, match="SGD took no step while watched"):
            scope.close()
    assert hooks() == (0, 0, 0)


def test_a_step_at_which_nothing_is_due_costs_the_same_few_calls_for_any_model(tmp_path: Path) -> None:
    def calls_of_a_step(depth: int) -> int:
        model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(depth)))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        count = 0

        def profile(frame: Any, event: str, _: Any) -> None:
            nonlocal count
            count += event == "call" and "layerscope" in frame.f_code.co_filename.split("tests")[0].split("/")

        with Scope(model, tmp_path / str(depth), strict=True) as scope:
            scope.watch(optimizer, every=100)
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
            sys.setprofile(profile)
            try:
                optimizer.step()
            finally:
                sys.setprofile(None)
        return count

    assert 10 < calls_of_a_step(2) < 150
    assert calls_of_a_step(2) == calls_of_a_step(50)


def test_what_is_torchs_default_device_does_not_matter(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    steps: dict[int, Step] = {}
    batches = [batch(i) for i in range(2)]
    with Scope(model, tmp_path, strict=True) as scope, torch.device("meta"):
        scope.reference()
        scope.watch(optimizer, every=1)
        for i in range(2):
            model.zero_grad()
            model(batches[i]).square().sum().backward()
            steps[i] = stepped(model, optimizer.step)
    assert_recorded(series_of(tmp_path), model, steps)


def test_a_later_watch_goes_on_with_another_optimizer(model: DigitsNet, tmp_path: Path) -> None:
    head = torch.optim.SGD(model.fc.parameters(), lr=0.01)
    steps: dict[int, Step] = {}

    def train(optimizer: torch.optim.Optimizer, numbers: range) -> None:
        for i in numbers:
            backward(model, i)
            steps[i] = stepped(model, optimizer.step)

    with Scope(model, tmp_path, strict=True) as scope:
        scope.reference()
        scope.watch(head, every=1)
        train(head, range(3))
        everything = torch.optim.Adam(model.parameters(), lr=0.002)
        scope.watch(everything)  # counts on
        assert not head._optimizer_step_pre_hooks
        train(everything, range(3, 6))
        scope.watch(everything, every=1, step=50)
        train(everything, range(50, 52))
    series = series_of(tmp_path)
    for name in ("gradients", "parameters", "updates", *OUTPUTS):
        assert series[name].steps.tolist() == [0, 1, 2, 3, 4, 5, 50, 51]
    assert_recorded(series, model, steps)
    assert at_step(series["updates"], "learning_rate", "fc") == [np.float32(0.01)] * 3 + [np.float32(0.002)] * 5
    distances = at_step(series["parameters"], "distance", "stem.0.weight")
    assert distances[:4] == [0] * 4
    assert 0 < distances[4] < distances[5]


def test_a_later_watch_adds_an_optimizer_which_counts_from_there(model: DigitsNet, tmp_path: Path) -> None:
    head = torch.optim.SGD(model.fc.parameters(), lr=0.01)
    stem = torch.optim.SGD(model.stem.parameters(), lr=0.5)
    number = 100
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(head, every=1, step=lambda: number)
        for together in (False, False, True, True):
            if together:
                scope.watch(head, stem)
            backward(model, number)
            head.step()
            if together:
                stem.step()
            number += 1
    series = series_of(tmp_path)
    assert series["updates"].steps.tolist() == [100, 101, 102, 103]
    rates = at_step(series["updates"], "learning_rate", "stem")
    assert np.isnan(rates).tolist() == [True, True, False, False]
    assert rates[2:] == [0.5, 0.5]
    assert at_step(series["updates"], "learning_rate", "fc") == [np.float32(0.01)] * 4


def in_a_list(optimizer: Any, scope: Scope) -> None:
    scope.watch([optimizer])  # pyright: ignore[reportArgumentType]


def none_at_all(optimizer: Any, scope: Scope) -> None:
    scope.watch()


def other_options(optimizer: Any, scope: Scope) -> None:
    scope.watch(optimizer, every=2)
    scope.watch(optimizer, every=3)


def step_of_no_number(optimizer: Any, scope: Scope) -> None:
    scope.watch(optimizer, step="0")  # pyright: ignore[reportArgumentType]


def function_of_no_number(optimizer: Any, scope: Scope) -> None:
    scope.watch(optimizer, step=lambda: 1.5)  # pyright: ignore[reportArgumentType, reportReturnType]


def step_of_no_optimizer(optimizer: Any, scope: Scope) -> None:
    scope.step(0, optimizer)  # pyright: ignore[reportArgumentType]


def watch_closed(optimizer: Any, scope: Scope) -> None:
    scope.close()
    scope.watch(optimizer)


def gradients_closed(optimizer: Any, scope: Scope) -> None:
    scope.close()
    scope.gradients(0)


def step_closed(optimizer: Any, scope: Scope) -> None:
    scope.close()
    scope.step(optimizer, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (in_a_list, r"watch needs a torch.optim.Optimizer, but was given a list. .*: scope.watch\(\*optimizers\)"),
        (none_at_all, "watch needs at least one optimizer"),
        (other_options, r"every and max_bytes hold from the first watch\(\) on. Leave them out in later calls"),
        (step_of_no_number, "step must be a whole number, but it is '0'"),
        (function_of_no_number, r"step must be a whole number, but it is 1\.5"),
        (step_of_no_optimizer, r"step needs .*, but was given an int. .* first, .*: scope.step\(optimizer, step\)"),
        (watch_closed, r"the scope was closed. Record before close\(\)"),
        (gradients_closed, r"the scope was closed. Record before close\(\)"),
        (step_closed, r"the scope was closed. Record before close\(\)"),
    ],
)
def test_what_cannot_be_watched_is_told(
    model: DigitsNet, tmp_path: Path, call: Callable[[Any, Scope], None], message: str
) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with pytest.raises(InvalidArgumentError, match=message), Scope(model, tmp_path, strict=True) as scope:
        call(optimizer, scope)
    with Scope(model, tmp_path) as scope, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(optimizer, scope)
        scope.close()  # which may have more to tell
    assert re.search(message, str(caught[0].message))
    assert caught[0].category is LayerscopeWarning
    assert caught[0].filename == __file__
    assert not optimizer._optimizer_step_pre_hooks


def test_each_wrong_argument_is_told_but_not_without_end(model: DigitsNet, tmp_path: Path) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with Scope(model, tmp_path) as scope:
        with pytest.warns(LayerscopeWarning, match="every names 'gradient'"):
            scope.watch(optimizer, every={"gradient": 1})
        with pytest.warns(LayerscopeWarning, match=r"needs a torch.optim.Optimizer, but was given a generator"):
            scope.watch(model.parameters())  # type: ignore[arg-type]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for number in range(100):
                scope.parameters(str(number))  # type: ignore[arg-type]
    assert 10 < len(told) <= 20
