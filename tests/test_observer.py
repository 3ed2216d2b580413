"""Training with and without each feature of ``Scope`` gives the same bits, also when the feature fails midway.

The pure functions beneath have their own test in ``probing/test_observer.py``.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

from layerscope.guarding import LayerscopeWarning
from layerscope.probing.attributions import METHODS
from layerscope.probing.attributions.gradient_x_activation import GradientXActivation
from layerscope.probing.attributions.target import scores_of
from layerscope.probing.attributions.trust import SCORES
from layerscope.probing.calls import input_tensors
from layerscope.probing.layer_rows import LayerRows
from layerscope.probing.maximizing import views
from layerscope.probing.measuring import Measuring
from layerscope.probing.parameter_rows import ParameterRows
from layerscope.probing.training_pass import TrainingPass
from layerscope.recorder import Recorder
from layerscope.scope import Scope
from layerscope.writing import MessageWriter
from layerscope.writing.schedule import Schedules
from observed_trainings import STEPS, TRAININGS, Training, hooks_of, state_of
from probed_models import Recurrent

SELDOM = 8
"""How many steps apart the features are that run the model themselves."""

Do = Callable[[Scope, Training, int], object]


def nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Feature:
    """What is called at which moment of a training."""

    begin: Do = nothing
    before_backward: Do = nothing
    after_backward: Do = nothing
    around_step: Callable[[Scope, Training, int], AbstractContextManager[object]] = lambda *_: nullcontext()
    watches: bool = False
    """Whether it has hooks on the optimizer, and on the model while outputs are due."""


def maximize(scope: Scope, training: Training, step: int) -> None:
    """Pictures that go on from the step before, classes, and tokens; with the samples that excite a unit most."""
    options: dict[str, Any] = {"step": step, "inputs": training.probe, "channels": 1, "steps": 2}
    if isinstance(training.probe, torch.Tensor) and not isinstance(training.model, Recurrent):
        scope.maximize(**options, layers=["fc"], transforms=True)
        scope.maximize(**options, objective="logit", parameterization="maco", transforms=True)
    elif not isinstance(training.probe, torch.Tensor):
        scope.maximize(**options, objective="logit")


def attention(scope: Scope, training: Training, step: int) -> None:
    if not isinstance(training.probe, torch.Tensor):
        scope.attention(training.probe, step=step)


def graph(scope: Scope, training: Training, step: int) -> None:
    scope.graph(**training.probe) if isinstance(training.probe, dict) else scope.graph(training.probe)


def seldom(do: Do) -> Feature:
    """Call a feature now and then, also between a forward and its backward."""

    def at(remainder: int) -> Do:
        return lambda scope, training, step: do(scope, training, step) if step % SELDOM == remainder else None

    return Feature(before_backward=at(0), after_backward=at(SELDOM // 2))


def every_method(scope: Scope, training: Training, step: int) -> None:
    background = list(input_tensors(training.probe))
    few: dict[str, Any] = {"n_steps": 2, "n_samples": 40, "n_features": 4}
    methods = {
        name: {option: value for option, value in few.items() if option in method.__dataclass_fields__}
        | ({"baselines": background} if name in ("gradient_shap", "deep_shap") else {})
        for name, method in METHODS.items()
    }
    methods["smooth_grad"]["n_samples"] = methods["gradient_shap"]["n_samples"] = 2
    scope.attributions(training.probe, [1, 2], step=step, methods=methods, layers="auto", trust=SCORES)


def surrogates(scope: Scope, training: Training, step: int) -> None:
    many = pytree.tree_map(lambda tensor: torch.cat([tensor] * 10), training.probe)
    numbers = input_tensors(many)[0].is_floating_point()  # tokens are none: there it sees what the last layer makes
    of = "inputs" if numbers else [name for name, _ in training.model.named_modules()][-1]
    scope.surrogates(
        many, step=step, target=lambda output: scores_of(output)[:, 0], surrogates=("decision_tree",), of=of
    )
    scope.linear_probes(many, [0, 1] * 10, step=step, held_out=0.5)


FEATURES: dict[str, Feature] = {
    "gradients": Feature(after_backward=lambda scope, training, step: scope.gradients(step)),
    "parameters": Feature(after_backward=lambda scope, training, step: scope.parameters(step)),
    "reference": Feature(
        begin=lambda scope, training, step: scope.reference(),
        after_backward=lambda scope, training, step: scope.parameters(step),
    ),
    "step": Feature(around_step=lambda scope, training, step: scope.step(training.optimizer, step)),
    "watch": Feature(begin=lambda scope, training, step: scope.watch(training.optimizer), watches=True),
    "watch always": Feature(begin=lambda scope, training, step: scope.watch(training.optimizer, every=1), watches=True),
    "activations": seldom(lambda scope, training, step: scope.activations(training.probe, step=step)),
    "attributions": seldom(lambda scope, training, step: scope.attributions(training.probe, [1, 2], step=step)),
    "every method": seldom(every_method),
    "surrogates and linear probes": seldom(surrogates),
    "maximize": seldom(maximize),
    "attention": seldom(attention),
    "weights": seldom(lambda scope, training, step: scope.weights(step=step)),
    "graph": seldom(graph),
}

EVERYTHING = [FEATURES[name] for name in FEATURES if name != "watch"]


@dataclass
class Course:
    """What a training came to."""

    losses: list[float] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    """After each backward and after each step."""


def train(name: str, features: list[Feature], logdir: Path | None = None, *, strict: bool = True) -> Course:
    """Train with some features; check at every moment that they left the hooks alone that are not theirs."""
    torch.compiler.reset()
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    training, course = TRAININGS[name](), Course()
    hooks = hooks_of(training)
    scope = Scope(training.call, logdir, strict=strict) if logdir else None  # pyright: ignore[reportArgumentType]

    def call(moment: str, step: int) -> None:
        due = [do for feature in features if (do := getattr(feature, moment)) is not nothing]
        if due:
            before = state_of(training)
            for do in due:
                do(scope, training, step)
            assert state_of(training) == before
        assert_hooks(hooks_of(training), hooks, watched=any(feature.watches for feature in features))

    if scope:
        call("begin", 0)
    for step in range(STEPS):
        training.optimizer.zero_grad()
        waiting = training.call(**training.inputs())
        call("before_backward", step)
        del waiting
        course.losses.append(training.backward())
        call("after_backward", step)
        course.states.append(state_of(training))
        with ExitStack() as around:
            for feature in features:
                around.enter_context(feature.around_step(scope, training, step))  # pyright: ignore[reportArgumentType]
            training.step()
        course.states.append(state_of(training))
    if scope:
        scope.close()
    assert hooks_of(training) == hooks
    return course


def assert_hooks(found: dict[str, list[int]], plain: dict[str, list[int]], *, watched: bool) -> None:
    if not watched:
        assert found == plain
        return
    assert {**found, "modules": [], "optimizer": []} == {**plain, "modules": [], "optimizer": []}
    assert found["optimizer"] == [count + 1 for count in plain["optimizer"]]
    assert found["modules"] in (plain["modules"], [count + 1 for count in plain["modules"]])


@pytest.fixture(scope="module")
def undisturbed() -> Callable[[str], Course]:
    courses: dict[str, Course] = {}

    def course(name: str) -> Course:
        if name not in courses:
            courses[name] = train(name, [])
        return courses[name]

    return course


@pytest.mark.filterwarnings(
    "ignore:Layerscope could not record training. CaptureError:layerscope.guarding.LayerscopeWarning"
)
@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("name", TRAININGS)
def test_training_is_the_same_bit_by_bit(
    name: str, feature: str, undisturbed: Callable[[str], Course], tmp_path: Path
) -> None:
    # What torch.compile hides is told, which would be raised.
    assert train(name, [FEATURES[feature]], tmp_path, strict=name != "compiled") == undisturbed(name)


class FailureError(Exception):
    pass


PLACES: dict[str, list[tuple[object, str]]] = {
    "measuring": [
        (Measuring, "add"), (LayerRows, "add"), (ParameterRows, "table"), (GradientXActivation, "at_layer"),
        (views.Views, "show"),
    ],
    "recording": [
        (TrainingPass, "begin"), (Schedules, "due"), (ParameterRows, "current"), (Recorder, "take"),
        (MessageWriter, "_write"),
    ],
}  # fmt: skip
"""What the features call midway, where the test makes it fail."""


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TRAININGS)
def test_training_is_the_same_when_every_second_call_inside_fails(
    name: str, place: str, undisturbed: Callable[[str], Course], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 0

    def failing(inside: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls, failures
            calls += 1
            if calls % 2 == 0:
                failures += 1
                raise FailureError
            return inside(*args, **kwargs)

        return call

    for owner, attribute in PLACES[place]:
        monkeypatch.setattr(owner, attribute, failing(getattr(owner, attribute)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LayerscopeWarning)
        assert train(name, EVERYTHING, tmp_path, strict=False) == undisturbed(name)
    said = [str(warning.message) for warning in caught if "FailureError" in str(warning.message)]
    assert failures > len(said) > 0
    assert len(said) == len(set(said))  # each kind once


INTRUDERS: dict[str, Do] = {
    "draws": lambda scope, training, step: torch.rand(1),
    "runs": lambda scope, training, step: training.model(training.probe),
    "evaluates": lambda scope, training, step: training.model.eval(),
    "freezes": lambda scope, training, step: training.model.requires_grad_(False),
    "touches": lambda scope, training, step: training.model.fc.weight.grad.add_(0),
    "notes": lambda scope, training, step: setattr(training.model, "note", 1),
    "keeps a hook": lambda scope, training, step: training.model.fc.register_forward_hook(nothing),
    "keeps a hook on a parameter": lambda scope, training, step: [
        p.register_hook(nothing).remove() for p in training.model.parameters()
    ],
}


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_an_observer_that_changes_something_would_be_seen(intruder: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        train("batchnorm and dropout", [Feature(after_backward=INTRUDERS[intruder])], tmp_path)


def test_bits_that_change_in_the_step_would_be_seen(undisturbed: Callable[[str], Course], tmp_path: Path) -> None:
    @contextmanager
    def nudging(scope: Scope, training: Training, step: int) -> Iterator[None]:
        yield
        if step == STEPS - 1:
            training.model.fc.bias.data[0] = torch.nextafter(training.model.fc.bias.data[0], torch.tensor(torch.inf))

    nudged = train("batchnorm and dropout", [Feature(around_step=nudging)], tmp_path)
    assert nudged.losses == undisturbed("batchnorm and dropout").losses
    assert nudged != undisturbed("batchnorm and dropout")
