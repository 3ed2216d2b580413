"""``Scope.watch`` tells where what is watched is not what trains the model, or counts other steps than the user."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.optimizer import _global_optimizer_pre_hooks

from layerscope.guarding import LayerscopeWarning
from layerscope.scope import Scope
from layerscope.step_checks import MOST_REPEATED, MOST_UNWATCHED
from recorded_steps import series_of

WITHOUT_OUTPUTS = {"training_activations": 0, "activation_gradients": 0}


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def train(model: nn.Module, *optimizers: Optimizer, steps: int = 1) -> None:
    for _ in range(steps):
        model(torch.ones(4, 2)).square().sum().backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()


def told_by(act: Callable[[], object]) -> list[str]:
    """Return what is warned of, all of it at lines of this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        act()
    assert all(warning.category is LayerscopeWarning and warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


def test_an_optimizer_of_another_model_is_told(model: nn.Sequential, tmp_path: Path) -> None:
    other = SGD([nn.Parameter(torch.ones(1))], lr=0.1)
    with Scope(model, tmp_path, strict=True) as scope:
        (told,) = told_by(lambda: scope.watch(other))
        train(model, other)
    assert told.startswith("Layerscope: none of the parameters of the SGD given to watch() is one of the model")


def test_an_optimizer_that_never_steps_is_told_at_the_end_but_not_of_an_exception(
    model: nn.Sequential, tmp_path: Path
) -> None:
    used, idle = SGD(model[0].parameters(), lr=0.1), Adam(model[1].parameters(), lr=0.1)
    scope = Scope(model, tmp_path / "one", strict=True)
    scope.watch(used, idle, step=lambda: 0)
    train(model, used)
    (told,) = told_by(scope.close)
    assert told.startswith(
        "Layerscope: Adam took no step while watched, so of its steps nothing is recorded. Call watch()"
    )
    assert told_by(scope.close) == []

    def stumble() -> None:
        with suppress(ArithmeticError), Scope(model, tmp_path / "other", strict=True) as scope:
            scope.watch(idle)
            raise ArithmeticError

    assert told_by(stumble) == []


def test_an_optimizer_that_takes_the_place_of_the_watched_one_unsaid_is_told_once(
    model: nn.Sequential, tmp_path: Path
) -> None:
    first, second = SGD(model.parameters(), lr=0.1), Adam(model.parameters(), lr=0.1)
    foreign = SGD(nn.Linear(2, 2).parameters(), lr=0.1)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(first)
        assert told_by(lambda: train(model, first, foreign, steps=10)) == []
        assert told_by(lambda: train(model, second, steps=MOST_UNWATCHED - 1)) == []
        (told,) = told_by(lambda: train(model, second, steps=10))
    assert told.startswith("Layerscope: an optimizer that is not watched, Adam, trains the model")
    assert series_of(tmp_path)["gradients"].steps.tolist() == list(range(10))


def test_an_optimizer_whose_place_another_watch_took_is_told_as_soon_as_it_steps(
    model: nn.Sequential, tmp_path: Path
) -> None:
    judge, maker = SGD(model[0].parameters(), lr=0.1), SGD(model[1].parameters(), lr=0.1)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(judge)
        train(model, judge)
        scope.watch(maker)
        (told,) = told_by(lambda: train(model, judge, maker, steps=5))
    assert "in one call, for a later call takes the place of the one before" in told


def test_a_wrapper_around_a_watched_optimizer_is_no_other_one(model: nn.Sequential, tmp_path: Path) -> None:
    class Lookahead(Optimizer):
        def __init__(self, base: Optimizer) -> None:
            super().__init__(base.param_groups, {})
            self.base = base

        def step(self, closure: Any = None) -> Any:
            return self.base.step(closure)

    base = SGD(model.parameters(), lr=0.1)
    around = Lookahead(base)
    for name, watched in {"base": base, "around": around}.items():
        with Scope(model, tmp_path / name, strict=True) as scope:
            scope.watch(watched)
            assert told_by(lambda: train(model, around, steps=10)) == []


def test_optimizers_that_step_unevenly_are_told_unless_the_user_counts(model: nn.Sequential, tmp_path: Path) -> None:
    judge, maker = SGD(model[0].parameters(), lr=0.1), Adam(model[1].parameters(), lr=0.1)

    def five_to_one() -> None:
        train(model, judge, steps=5)
        train(model, maker)

    with Scope(model, tmp_path / "counted", strict=True) as scope:
        scope.watch(judge, maker)
        assert told_by(lambda: train(model, judge, maker, steps=5)) == []
        (told,) = told_by(five_to_one)
    assert "(SGD 7, Adam 5)" in told
    assert told.endswith("Give your counter: scope.watch(..., step=lambda: iteration).")
    number = iter(range(1000))
    with Scope(model, tmp_path / "given", strict=True) as scope:
        scope.watch(judge, maker, step=lambda: next(number))
        assert told_by(five_to_one) == []


def test_a_counter_that_stands_still_is_told(model: nn.Sequential, tmp_path: Path) -> None:
    optimizer = SGD(model.parameters(), lr=0.0)
    with Scope(model, tmp_path / "long", strict=True) as scope:
        scope.watch(optimizer, step=lambda: 7)
        assert told_by(lambda: train(model, optimizer, steps=MOST_REPEATED)) == []
        (told,) = told_by(lambda: train(model, optimizer, steps=10))
        assert f"given to watch() as step said 7 at {MOST_REPEATED} steps of the optimizer in a row" in told
    scope = Scope(model, tmp_path / "short", strict=True)
    scope.watch(optimizer, step=lambda: 7)
    train(model, optimizer, steps=3)
    (told,) = told_by(scope.close)
    assert "said 7 at 3 steps" in told

    counter = {"iteration": 0}
    with Scope(model, tmp_path / "critic", strict=True) as scope:  # several steps in one iteration are well
        scope.watch(optimizer, step=lambda: counter["iteration"])
        for counter["iteration"] in (0, 0, 0, 1, 1, 1):
            assert told_by(lambda: train(model, optimizer)) == []


def test_a_counter_that_fails_is_all_that_is_told(model: nn.Sequential, tmp_path: Path) -> None:
    optimizer = SGD(model.parameters(), lr=0.1)

    def run() -> None:
        with Scope(model, tmp_path) as scope:
            scope.watch(optimizer, step=lambda: 1 // 0)
            train(model, optimizer, steps=2)

    (told,) = told_by(run)
    assert "could not record training: ZeroDivisionError: integer division or modulo by zero. Training goes on" in told


def test_two_scopes_that_are_open_at_once_are_told(model: nn.Sequential, tmp_path: Path) -> None:
    optimizer = SGD(model.parameters(), lr=0.1)
    with Scope(model, tmp_path / "a", strict=True) as first, Scope(model, tmp_path / "b", strict=True) as second:
        first.watch(optimizer)
        (told,) = told_by(lambda: second.watch(optimizer))
        assert told.startswith(
            "Layerscope: another scope, which was not closed, watches this SGD for this model already"
        )
        with Scope(model[0], tmp_path / "c", strict=True) as part:
            assert told_by(lambda: part.watch(optimizer)) == []
            train(model, optimizer)
    with Scope(model, tmp_path / "d", strict=True) as third:
        assert told_by(lambda: third.watch(optimizer)) == []
        train(model, optimizer)


def test_evaluation_mode_left_on_after_validation_is_told_as_such(model: nn.Sequential, tmp_path: Path) -> None:
    optimizer = SGD(model.parameters(), lr=0.1)
    with Scope(model, tmp_path) as scope:
        scope.watch(optimizer, every=1)
        train(model, optimizer)
        model.eval()
        told = told_by(lambda: train(model, optimizer, steps=3))
    assert len(told) == 1
    assert "the model was in evaluation mode ever since the step before, where it was in training mode" in told[0]
    assert "Call model.train() after validation" in told[0]
    assert series_of(tmp_path)["training_activations"].steps.tolist() == [0, 2, 3]
    assert series_of(tmp_path)["gradients"].steps.tolist() == [0, 1, 2, 3]


def test_a_model_that_was_not_called_is_told_as_such(model: nn.Sequential, tmp_path: Path) -> None:
    optimizer = SGD(model.parameters(), lr=0.1)
    with Scope(model, tmp_path) as scope:
        scope.watch(optimizer)
        (told,) = told_by(optimizer.step)
    assert "no layer was seen while the training pass ran: torch.compile, scripting or another thread hides" in told
    assert "or the model was not called. Gradients, parameters and updates are recorded all the same" in told


def test_a_scope_that_was_never_closed_keeps_no_model_alive(tmp_path: Path) -> None:
    def watched() -> weakref.ref[Tensor]:
        model = nn.Linear(2, 2)
        Scope(model, tmp_path).watch(SGD(model.parameters(), lr=0.1), every=WITHOUT_OUTPUTS)
        return weakref.ref(model.weight)

    hooks = len(_global_optimizer_pre_hooks)
    weight = watched()
    gc.collect()
    assert weight() is None
    assert len(_global_optimizer_pre_hooks) == hooks + 1  # which does nothing


def test_closing_takes_back_the_hook_on_all_optimizers(model: nn.Sequential, tmp_path: Path) -> None:
    optimizer = SGD(model.parameters(), lr=0.1)
    hooks = list(_global_optimizer_pre_hooks)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.watch(optimizer)
        assert len(_global_optimizer_pre_hooks) == len(hooks) + 1
        train(model, optimizer)
    assert list(_global_optimizer_pre_hooks) == hooks
