"""What recording costs: CPU seconds of one thread, medians, as ratios within one run; written to RESULTS.md.

Nothing is asserted about time: a ratio is a measurement to look at, not a test.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import torchview
from captum.attr import LayerGradCam
from torch import nn
from torch.utils.tensorboard import SummaryWriter

import layerscope
from bench.measuring import median_seconds, write_section
from layerscope import demo
from layerscope.scope import Scope

pytestmark = pytest.mark.bench
REPEATS = 9
WINDOW, TURNS = 100, 5
Row = tuple[str, float, str, float]
"""What, its seconds, what it is compared with, that one's seconds."""


def _seconds(run: Callable[[], object]) -> float:
    return median_seconds(run, REPEATS)


def _seconds_of_one(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    found: list[Row] = []
    yield found
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchview", "captum", "tensorboard", "numpy"))
    lines = [
        f"{date.today()}, Python {platform.python_version()}, {packages}.",
        f"One thread, CPU time, median of {REPEATS}. The network is the demo's (42,938 parameters, 64 digits a batch),",
        "so fixed costs weigh more than in a large one.",
        "",
        "| what | ms | beside | ms | ratio |",
        "|---|---|---|---|---|",
        *(f"| {a} | {s * 1e3:.2f} | {b} | {t * 1e3:.2f} | {s / t:.2f} |" for a, s, b, t in found),
    ]
    write_section("Recording, on the demo's network", lines)


def test_recording_beside_a_training_step(rows: list[Row], tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = demo.DigitsNet()
    x, y = torch.rand(64, 1, 8, 8), torch.randint(10, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    one = _seconds(step)
    rows += [_watching(step, model, optimizer, tmp_path / "watched")]
    with SummaryWriter(str(tmp_path)) as writer, Scope(model, writer, strict=True) as scope:

        def add_histograms() -> None:
            for name, parameter in model.named_parameters():
                writer.add_histogram(name, parameter.grad, 0)

        def sum_gradients() -> None:
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.grad.sum()

        named: dict[str, Callable[[], object]] = {
            "`scope.gradients`, with histograms": lambda: scope.gradients(0),
            "`scope.gradients`, without": lambda: scope.gradients(0, histogram=False),
            "`add_histogram` of every gradient": add_histograms,
            "`sum()` of every gradient (the limit)": sum_gradients,
            "`scope.activations`, 10 samples": lambda: scope.activations(x[:10], step=0),
            "`scope.attributions`, 2 methods, all layers, 10 samples": lambda: scope.attributions(
                x[:10], y[:10], step=0
            ),
            "`scope.maximize`, 4 layers with 6 channels each": lambda: scope.maximize(step=0),
        }
        rows += [(name, _seconds(run), "training step", one) for name, run in named.items()]


def _watching(step: Callable[[], object], model: nn.Module, optimizer: torch.optim.Optimizer, directory: Path) -> Row:
    """Return what ``scope.watch`` adds to a step, on average over a window that holds all that is due by default."""

    def window() -> None:
        for _ in range(WINDOW):
            step()

    alone, together = [], []
    for turn in range(TURNS):
        alone.append(_seconds_of_one(window))
        with Scope(model, directory / str(turn), strict=True) as scope:
            scope.watch(optimizer)
            together.append(_seconds_of_one(window))
    one = statistics.median(alone) / WINDOW
    added = statistics.median(together) / WINDOW - one
    return "`scope.watch(optimizer)`, average of the first 100 steps", added, "training step", one


def test_attributions_beside_captum_layer_by_layer(rows: list[Row]) -> None:
    torch.manual_seed(0)
    model = demo.DigitsNet().eval()
    x, y = torch.rand(10, 1, 8, 8), torch.randint(10, (10,))
    layers = [module for name, module in model.named_modules() if name and not list(module.children())]

    def forward_backward() -> None:
        inputs = x.clone().requires_grad_()
        torch.autograd.grad(model(inputs).gather(1, y[:, None]).sum(), inputs)

    def captum() -> None:
        for layer in layers:
            LayerGradCam(model, layer).attribute(x, y)

    ours = _seconds(lambda: layerscope.attribute(model, x, y, method="grad_cam"))
    rows.append(("Grad-CAM of all 39 layer calls", ours, "one forward and backward", _seconds(forward_backward)))
    rows.append(("Grad-CAM of all 39 layer calls", ours, f"Captum, {len(layers)} layers one by one", _seconds(captum)))


def test_trace_beside_torchview(rows: list[Row]) -> None:
    model, x = demo.DigitsNet().eval(), torch.rand(1, 1, 8, 8)
    ours = _seconds(lambda: layerscope.trace(model, x))
    view = _seconds(lambda: torchview.draw_graph(model, x, depth=9, expand_nested=True, device="cpu"))
    rows.append(("`layerscope.trace`", ours, "`torchview.draw_graph`", view))
    rows.append(("`layerscope.trace`", ours, "one forward", _seconds(lambda: model(x))))
