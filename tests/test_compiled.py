"""With torch.compile: everything but what is inside is recorded, nothing is compiled for our sake, and words say so."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from layerscope.guarding import LayerscopeWarning
from layerscope.scope import Scope
from recorded_steps import Step, assert_recorded, series_of, stepped

# Torch asks every tensor for .grad while it compiles.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")

STEPS = 12
EVERY = {"gradients": 1, "parameters": 1, "updates": 1, "training_activations": 5, "activation_gradients": 5}


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.drop, self.narrow = nn.Linear(8, 16), nn.Dropout(0.3), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(self.drop(self.wide(x).relu()))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.block = Block()
        self.plain = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.3))
        self.fc = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.plain(self.block(self.first(x))))


class Breaking(Net):
    """Prints, which the compiler cannot: what stands behind it goes into another graph."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.plain(self.first(x))
        torch._dynamo.graph_break()
        return self.fc(self.block(x))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@dataclass
class Ran:
    """What a training came to."""

    bits: list[tuple[float, list[bytes], bytes]] = field(default_factory=list)
    compiled: dict[str, dict[str, int]] = field(default_factory=dict)
    steps: dict[int, Step] = field(default_factory=dict)
    warned: list[str] = field(default_factory=list)


Compile = Callable[[nn.Module, str], Callable[[Tensor], Tensor]]


def wrapped(model: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
    return torch.compile(model, backend=backend)


def in_place(model: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
    model.compile(backend=backend)
    return model


def a_block(model: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
    model.block.compile(backend=backend)
    return model


def a_container(model: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
    model.plain.compile(backend=backend)
    return model


def a_forward(model: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
    model.block.forward = torch.compile(model.block.forward, backend=backend)
    return model


def a_function(model: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
    return torch.compile(lambda x: model(x) * 1.0, backend=backend)


def train(
    compile_it: Compile, backend: str, make: type[nn.Module], logdir: Path | None = None, *, when: str = "before"
) -> Ran:
    """Train, and record if there is a log directory: watching begins before or after compilation, or midway."""
    torch.compiler.reset()
    counters.clear()
    torch.manual_seed(0)
    model, ran = make(), Ran()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scope: Scope | None = None

    def watch(looked_at: Any) -> Scope:
        scope = Scope(looked_at, logdir)  # pyright: ignore[reportArgumentType]
        scope.watch(optimizer, every=EVERY)
        return scope

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LayerscopeWarning)
        if logdir and when == "before":
            scope = watch(model)
        compiled = compile_it(model, backend)
        if logdir and when == "after":
            scope = watch(compiled if isinstance(compiled, nn.Module) else model)
        for i in range(STEPS):
            if logdir and when == "midway" and i == 4:
                scope = watch(model)
            optimizer.zero_grad()
            loss = compiled(torch.randn(6, 4)).square().sum()
            loss.backward()
            ran.steps[i - 4 if when == "midway" else i] = stepped(model, optimizer.step)
            bits = [p.detach().numpy().tobytes() for p in model.parameters()]
            ran.bits.append((loss.item(), bits, torch.get_rng_state().numpy().tobytes()))
        if scope is not None:
            scope.close()
    ran.warned = [str(warning.message) for warning in caught]
    ran.compiled = {name: dict(counters[name]) for name in ("frames", "stats", "graph_break", "recompiles", "resumes")}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert_nothing_left(model, optimizer)
    return ran


def assert_nothing_left(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks
    assert not torch._dynamo.callback.callback_handler.start_callbacks


ALL = "no layer was seen while the training pass ran: torch.compile, scripting or another thread hides them"
BLOCK = "no outputs were seen of 'block.wide', 'block.narrow' (2 in all), though they have gradients"


@pytest.mark.parametrize("when", ["before", "after", "midway"])
@pytest.mark.parametrize(
    ("compile_it", "hidden", "seen"),
    [
        (wrapped, ALL, None),
        (in_place, ALL, None),
        (a_function, ALL, None),
        (a_block, BLOCK, ("first", "plain", "plain.0", "plain.1", "fc")),
        (a_container, "'plain.0' (1 in all)", ("first", "block", "block.wide", "block.drop", "block.narrow", "fc")),
        (a_forward, BLOCK, ("first", "block", "plain", "plain.0", "plain.1", "fc")),
    ],
    ids=["wrapped", "in place", "a function", "a block", "a container", "a forward"],
)
def test_nothing_is_compiled_for_our_sake_and_what_is_hidden_is_said(
    tmp_path: Path, compile_it: Compile, hidden: str, seen: tuple[str, ...] | None, when: str
) -> None:
    plain = train(compile_it, "eager", Net)
    ran = train(compile_it, "eager", Net, tmp_path, when=when)
    assert ran.bits == plain.bits
    assert ran.compiled == plain.compiled
    series = series_of(tmp_path)
    taken = {i: step for i, step in ran.steps.items() if i >= 0}
    assert_recorded(series, Net(), taken)
    if seen is None:
        assert "training_activations" not in series
    else:
        assert series["training_activations"].layers == seen
        assert series["activation_gradients"].layers == seen
        assert len(series["training_activations"].steps) >= 2
    (message,) = ran.warned
    assert hidden in message
    assert "give a batch to scope.activations(x, step=step), which runs the original model" in message


@pytest.mark.parametrize("make", [Net, Breaking])
@pytest.mark.parametrize("compile_it", [wrapped, in_place, a_block])
def test_the_bits_are_the_same_with_aot_autograd_and_graph_breaks(
    tmp_path: Path, compile_it: Compile, make: type[nn.Module]
) -> None:
    plain = train(compile_it, "aot_eager", make)
    ran = train(compile_it, "aot_eager", make, tmp_path)
    assert (ran.bits, ran.compiled) == (plain.bits, plain.compiled)
    assert_recorded(series_of(tmp_path), make(), ran.steps)


@pytest.mark.skipif(shutil.which("c++") is None, reason="inductor needs a C++ compiler")
def test_the_bits_are_the_same_with_inductor(tmp_path: Path) -> None:
    with torch._inductor.config.patch(compile_threads=1):
        plain = train(a_block, "inductor", Net)
        ran = train(a_block, "inductor", Net, tmp_path)
    assert (ran.bits, ran.compiled) == (plain.bits, plain.compiled)
    series = series_of(tmp_path)
    assert_recorded(series, Net(), ran.steps)
    assert series["training_activations"].layers == ("first", "plain", "plain.0", "plain.1", "fc")


def test_the_step_after_a_compilation_is_recorded_instead(tmp_path: Path) -> None:
    train(a_forward, "eager", Net, tmp_path)
    assert series_of(tmp_path)["training_activations"].steps.tolist() == [1, 5, 10]


def test_a_compiled_model_is_probed_in_the_original(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = Net(), torch.randn(6, 4)
    compiled = torch.compile(model, backend="eager")
    compiled(x).sum().backward()
    before = {name: dict(counters[name]) for name in ("frames", "stats", "graph_break")}
    with Scope(compiled, tmp_path, strict=True) as scope:
        scope.activations(x, step=0)
        scope.attributions(x, torch.zeros(6, dtype=torch.int64), step=0)
        graph = scope.graph(x)
    compiled(x)
    assert {name: dict(counters[name]) for name in ("frames", "stats", "graph_break")} == before
    assert series_of(tmp_path)["activations"].layers[:3] == ("first", "block", "block.wide")
    assert graph is not None
    assert any(node.module == "block.wide" for node in graph.nodes.values())


def compiled_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[Tensor], None]:
    compiled = torch.compile(optimizer.step, backend="eager")

    def step(x: Tensor) -> None:
        optimizer.zero_grad()
        model(x).square().sum().backward()
        compiled()

    return step


def compiled_training(model: nn.Module, optimizer: torch.optim.Optimizer) -> Callable[[Tensor], None]:
    @torch.compile(backend="eager")
    def step(x: Tensor) -> None:
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()

    return step


@pytest.mark.filterwarnings("ignore:Profiler function:UserWarning")
@pytest.mark.parametrize("make_step", [compiled_step, compiled_training])
def test_a_compiled_step_of_the_optimizer_stays_compiled_and_that_is_said(
    tmp_path: Path, make_step: Callable[..., Callable[[Tensor], None]]
) -> None:
    def run(logdir: Path | None) -> tuple[list[bytes], dict[str, Any], list[str]]:
        torch.compiler.reset()
        counters.clear()
        torch.manual_seed(0)
        model = Net()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        scope = Scope(model, logdir) if logdir else None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LayerscopeWarning)
            if scope:
                scope.watch(optimizer)
            step = make_step(model, optimizer)
            for _ in range(5):
                step(torch.randn(6, 4))
            if scope:
                scope.close()
        assert_nothing_left(model, optimizer)
        counted = {name: dict(counters[name]) for name in ("stats", "graph_break", "recompiles")}
        return [p.detach().numpy().tobytes() for p in model.parameters()], counted, [str(w.message) for w in caught]

    bits, counted, _ = run(None)
    watched_bits, watched_counted, warned = run(tmp_path)
    assert (watched_bits, watched_counted) == (bits, counted)
    (message,) = [text for text in warned if "Layerscope" in text]
    assert "torch.compile runs the step of the optimizer, where nothing can be recorded" in message
    assert "with scope.step(optimizer, step): compiled_step()" in message


def test_around_a_compiled_step_everything_is_recorded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    compiled = torch.compile(optimizer.step, backend="eager")
    steps: dict[int, Step] = {}
    with Scope(model, tmp_path, strict=True) as scope:
        for i in range(3):
            optimizer.zero_grad()
            model(torch.randn(6, 4)).square().sum().backward()

            def step(i: int = i) -> None:
                with scope.step(optimizer, i):
                    compiled()

            steps[i] = stepped(model, step)
    series = series_of(tmp_path)
    assert_recorded(series, model, steps)
    np.testing.assert_array_equal(series["updates"].values[:, :, 2], np.float32(0.01))


def test_extra_compilations_would_be_seen(tmp_path: Path) -> None:
    def hooked(model: nn.Module, backend: str) -> Callable[[Tensor], Tensor]:
        calls = [0]

        def hook(*_: Any) -> None:
            calls[0] += 1

        model.fc.register_forward_hook(hook)
        compiled = torch.compile(model, backend=backend)

        def call(x: Tensor) -> Tensor:
            result = compiled(x)
            model.fc._forward_hooks.clear()
            return result

        return call

    assert train(hooked, "eager", Net).compiled != train(wrapped, "eager", Net).compiled
