"""Faults planted in real trainings: each is found and named, with the right layer and step, as it is recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import layerscope
from layerscope.findings import examine
from layerscope.wire import Finding

EVERY_STEP = {
    "gradients": 1,
    "parameters": 1,
    "updates": 1,
    "training_activations": 1,
    "activation_gradients": 1,
    "histograms": 0,
}

WIDTH = 16


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Return 32 samples of four classes that a linear layer can tell apart."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(32, WIDTH, generator=generator)
    return x, x[:, :4].argmax(1)


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


def findings(
    run: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    steps: int,
    before: Callable[[int], None] = lambda step: None,
    every: Mapping[str, int] = EVERY_STEP,
    graph: bool = True,
    data: Callable[[int], tuple[Any, Tensor]] = batch,
) -> tuple[Finding, ...]:
    """Train, and return what was found while it was recorded, which is also what is found afterwards."""
    with layerscope.Scope(model, run, strict=True) as scope:
        if graph:
            scope.graph(data(0)[0])
        scope.watch(optimizer, every=every)
        for step in range(steps):
            before(step)
            x, y = data(step)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    read = layerscope.read(run)["."]
    assert read.problems == ()
    assert examine(replace(read, findings=(), examined=False)) == read.findings
    return read.findings


def the_only(found: tuple[Finding, ...]) -> Finding:
    assert len(found) == 1, [(f.detector, f.step, f.layer, f.message) for f in found]
    return found[0]


class FromStep(nn.Module):
    """Returns its input, and from some step on what a function makes of it."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.broken = False

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x) if self.broken else x

    def breaking_at(self, at: int) -> Callable[[int], None]:
        def before(step: int) -> None:
            self.broken = step >= at

        return before


def perceptron(*inner: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    first, last = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 4)
    return nn.Sequential(first, nn.ReLU(), *inner, nn.Linear(WIDTH, WIDTH), nn.ReLU(), last)


class Block(nn.Module):
    """A linear layer and another one, which is added to what came in."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.fc = nn.Linear(WIDTH, WIDTH)
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(self.fc(x))


def infinite_backward(x: Tensor) -> Tensor:
    """Return ``x``; the slope of the square root at 0 is infinite."""
    return x + torch.sqrt(x - x.detach())


def test_without_a_fault_nothing_is_found(tmp_path: Path) -> None:
    model = perceptron(Block(nn.ReLU()))
    assert findings(tmp_path, model, sgd(model), steps=40) == ()


@pytest.mark.parametrize("graph", [True, False])
def test_nan_made_in_one_forward(tmp_path: Path, graph: bool) -> None:
    maker = FromStep(torch.log)
    model = perceptron(Block(maker))
    found = the_only(findings(tmp_path, model, sgd(model), steps=9, before=maker.breaking_at(6), graph=graph))
    assert (found.detector, found.severity, found.step, found.layer) == ("nan", "error", 6, "2.inner")
    assert found.others == ("3", "4", "5")
    assert found.measure == "training_activations.nan_count"
    assert found.evidence["nan_count"] > 0
    between = "" if graph else ", or a function does that is between them"
    told = f"All that was recorded before it is finite, so it makes them{between}. '3', '4', '5' merely pass"
    assert told in found.message


def test_nan_made_by_a_function_between_modules(tmp_path: Path) -> None:
    class Logarithm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shift, self.fc = 9.0, nn.Linear(WIDTH, WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.log(x + self.shift))

    inner = Logarithm()

    def before(step: int) -> None:
        inner.shift = 9.0 if step < 6 else -9.0

    model = perceptron(inner)
    found = the_only(findings(tmp_path, model, sgd(model), steps=9, before=before))
    assert (found.detector, found.step, found.layer) == ("nan", 6, "2.fc")
    assert "so it makes them, or a function that feeds it does (log" in found.message


def test_infinity_made_in_one_forward(tmp_path: Path) -> None:
    maker = FromStep(lambda x: x + torch.inf)
    model = perceptron(maker)
    found = the_only(findings(tmp_path, model, sgd(model), steps=9, before=maker.breaking_at(5)))
    assert (found.detector, found.step, found.layer) == ("nan", 5, "2")
    assert found.evidence["inf_count"] == 32 * WIDTH


@pytest.mark.parametrize("graph", [True, False])
def test_infinity_made_only_in_backward(tmp_path: Path, graph: bool) -> None:
    maker = FromStep(infinite_backward)
    model = perceptron(Block(maker))
    found = the_only(findings(tmp_path, model, sgd(model), steps=9, before=maker.breaking_at(5), graph=graph))
    assert (found.detector, found.severity, found.step, found.layer) == ("nan", "error", 5, "2.inner")
    assert found.measure == "activation_gradients.inf_count"
    assert found.others == ("2.fc", "1", "0")
    assert "that of the output of '2.fc' before it is not (512 infinite)" in found.message


def test_infinity_of_a_gradient_of_weights_alone(tmp_path: Path) -> None:
    class Scale(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(WIDTH))
            self.broken = False

        def forward(self, x: Tensor) -> Tensor:
            return x + (infinite_backward(self.weight) if self.broken else self.weight)

    scale = Scale()

    def before(step: int) -> None:
        scale.broken = step >= 4

    model = perceptron(scale)
    found = the_only(findings(tmp_path, model, sgd(model), steps=9, before=before))
    assert (found.detector, found.step, found.layer, found.row) == ("nan", 4, "2", "2.weight")


def test_from_gradients_alone_it_is_said_how_sure_it_is(tmp_path: Path) -> None:
    maker = FromStep(infinite_backward)
    model = perceptron(maker)
    every = {"gradients": 1, "histograms": 0} | dict.fromkeys(list(EVERY_STEP)[1:5], 0)
    steps: dict[str, Any] = {"steps": 40, "before": maker.breaking_at(5), "every": every}
    found = the_only(findings(tmp_path / "backward", model, sgd(model), **steps))
    assert (found.detector, found.step, found.layer) == ("nan", 5, "0")
    assert "on the way back from '3', whose gradient is finite, to '0', whose gradient is not" in found.message
    assert (
        'record outputs at every step: scope.watch(optimizer, every={"training_activations": 1, "activation_gradients":'
        in found.message
    )
    maker = FromStep(torch.log)
    model = perceptron(maker)
    steps["before"] = maker.breaking_at(5)
    found = the_only(findings(tmp_path / "forward", model, sgd(model), **steps))
    assert (found.detector, found.step, found.layer, found.row) == ("nan", 5, "", "")
    assert "which layer makes them cannot be told from gradients" in found.message


def test_a_dead_block(tmp_path: Path) -> None:
    model = perceptron(Block(nn.ReLU()))
    model[2].fc.bias.data.fill_(-100.0)
    dead, unreached = sorted(findings(tmp_path, model, sgd(model), steps=14), key=lambda found: found.detector)
    assert (dead.detector, dead.severity, dead.step, dead.layer) == ("dead", "error", 9, "2.inner")
    assert (dead.others, dead.evidence["dead_fraction"]) == ((), 1.0)
    # What it hides gets no gradient: the layer inside the block, and no other.
    assert (unreached.detector, unreached.step, unreached.layer) == ("no_gradient", 9, "2.fc")
    assert unreached.others == ()
    assert unreached.message == (
        "The gradient of '2.fc.weight' has been exactly zero so far: nothing of it gets through what follows. In the "
        "order in which layers ran, the next one with a gradient is '3'. It holds in every record since step 0."
    )


class Recurrent(nn.Module):
    """A recurrent cell whose state grows by a factor with each token, and a linear layer."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.RNNCell(WIDTH, WIDTH, nonlinearity="relu")
        self.fc = nn.Linear(WIDTH, 4)
        self.cell.weight_hh.data.copy_(factor * torch.eye(WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        state = None
        for token in tokens.unbind(1):
            state = self.cell(token, state)
        return self.fc(state)


def sequence(step: int) -> tuple[Tensor, Tensor]:
    x, y = batch(step)
    return x[:, None].expand(-1, 20, -1).contiguous(), y


def test_an_exploding_rnn(tmp_path: Path) -> None:
    model = Recurrent(2.0)
    found = the_only(findings(tmp_path / "exploding", model, sgd(model, 1e-7), steps=6, data=sequence))
    assert (found.detector, found.step, found.layer) == ("exploding", 2, "cell")
    assert found.evidence["ratio"] > 2.0**15
    model = Recurrent(0.9)
    assert findings(tmp_path / "well", model, sgd(model, 0.01), steps=6, data=sequence) == ()


def test_an_exploding_rnn_that_breaks_at_once(tmp_path: Path) -> None:
    model = Recurrent(2.0)
    found = findings(tmp_path, model, sgd(model), steps=6, data=sequence)
    assert {(f.detector, f.step) for f in found} == {("update_ratio", 0), ("exploding", 0), ("nan", 1)}
    assert [f.layer for f in found if f.detector == "exploding"] == ["cell"]
    assert next(f.layer for f in found if f.detector == "nan").startswith("cell")


def test_a_vanishing_stack_of_sigmoids(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = (layer for _ in range(8) for layer in (nn.Linear(WIDTH, WIDTH), nn.Sigmoid()))
    model = nn.Sequential(*layers, nn.Linear(WIDTH, 4))
    found = the_only(findings(tmp_path, model, sgd(model), steps=14))
    assert (found.detector, found.step, found.layer) == ("vanishing", 4, "0")
    assert found.others[:2] == ("2", "4")
    assert found.evidence["ratio"] < 1e-5


def test_a_layer_left_frozen(tmp_path: Path) -> None:
    model = perceptron()
    model[2].requires_grad_(False)
    found = the_only(findings(tmp_path / "handed", model, sgd(model), steps=14))
    assert (found.detector, found.step, found.layer, found.row) == ("frozen", 0, "2", "2.weight")
    trained = torch.optim.SGD([parameter for parameter in model.parameters() if parameter.requires_grad], lr=0.1)
    assert findings(tmp_path / "left_out", model, trained, steps=14) == ()


def test_a_layer_that_no_optimizer_holds(tmp_path: Path) -> None:
    model = perceptron()
    optimizer = torch.optim.SGD([*model[0].parameters(), *model[4].parameters()], lr=0.1)
    found = the_only(findings(tmp_path, model, optimizer, steps=14))
    assert (found.detector, found.step, found.layer) == ("frozen", 10, "2")
    assert found.evidence["since_step"] == 1
    assert "no recorded optimizer holds it" in found.message


def test_a_layer_frozen_with_a_gradient_in_grad_goes_on_moving(tmp_path: Path) -> None:
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def before(step: int) -> None:
        if step == 3:
            model[2].requires_grad_(False)
        optimizer.zero_grad = lambda: None  # the loop clears no gradients

    found = findings(tmp_path, model, optimizer, steps=6, before=before)
    assert [(f.detector, f.step, f.layer) for f in found] == [("unfrozen", 3, "2")]


class FunctionalHead(nn.Module):
    """Two linear layers, then a ReLU that is a function, which is no layer and has no record of its own."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.fc1, self.fc2 = (nn.Linear(WIDTH, n) for n in (WIDTH, WIDTH, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.relu(self.fc1(F.relu(self.body(x)))))


def test_a_dead_function_is_found_next_to_the_layer_before_it(tmp_path: Path) -> None:
    model = FunctionalHead()
    model.fc1.bias.data.fill_(-100.0)
    found = the_only(findings(tmp_path, model, sgd(model), steps=14))
    assert (found.detector, found.step, found.layer, found.others) == (
        "no_gradient",
        9,
        "fc1",
        ("body.weight", "body.bias"),
    )
    assert "In the order in which layers ran, the next one with a gradient is 'fc2'." in found.message


def test_a_forgotten_layer_is_found_by_the_default_schedule(tmp_path: Path) -> None:
    model = perceptron()
    optimizer = torch.optim.SGD([*model[0].parameters(), *model[4].parameters()], lr=0.1)
    found = the_only(findings(tmp_path, model, optimizer, steps=14, every={}))
    assert (found.detector, found.step, found.layer) == ("frozen", 10, "2")


def test_a_detached_branch(tmp_path: Path) -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept, self.cut, self.fc = (nn.Linear(WIDTH, n) for n in (WIDTH, WIDTH, 4))

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.kept(x) + self.cut(x).detach())

    torch.manual_seed(0)
    model = Detached()
    found = the_only(findings(tmp_path, model, sgd(model), steps=14))
    assert (found.detector, found.step, found.layer, found.row) == ("no_gradient", 9, "cut", "cut.weight")


@pytest.mark.parametrize(
    ("make", "step", "layer"),
    [
        (lambda parameters: torch.optim.SGD(parameters, lr=10.0), 1, "4"),
        (lambda parameters: torch.optim.Adam(parameters, lr=0.3), 0, "0"),
    ],
    ids=["sgd", "adam"],
)
def test_a_bad_learning_rate(tmp_path: Path, make: Callable[..., torch.optim.Optimizer], step: int, layer: str) -> None:
    model = perceptron()
    found = findings(tmp_path, model, make(model.parameters()), steps=6)[0]
    assert (found.detector, found.severity, found.step, found.layer) == ("update_ratio", "error", step, layer)
    assert len(found.others) == 2
    assert "is too high" in found.message


def test_a_learning_rate_that_is_too_low(tmp_path: Path) -> None:
    model = perceptron()
    found = findings(tmp_path, model, sgd(model, 1e-9), steps=14)
    assert {(f.detector, f.severity) for f in found} == {("frozen", "warning")}
    assert all("too small for the precision of its type" in f.message for f in found)
