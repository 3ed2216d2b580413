"""What attributions of every layer cost, beside one forward and backward and beside Captum; written to RESULTS.md.

Nothing is asserted about time: a ratio is a measurement to look at, not a test. Asserted is that every layer was told.
"""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from captum.attr import LayerActivation, LayerConductance, LayerGradCam, LayerGradientXActivation
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import layerscope
from bench.explained_models import EXPLAINED_MODELS
from bench.measuring import write_section
from layerscope.probing.attributions import attribute_all, named
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.path import chunked, gauss_legendre
from layerscope.probing.capture import capture
from layerscope.scope import Scope

pytestmark = pytest.mark.bench

ONE_PASS = ("activation", "gradient_x_activation", "grad_cam")
BATCHES = {1: 9, 8: 3}
"""Samples in a batch -> turns in which what is compared is measured."""
WALKS = 3
"""Turns for conductance."""
STEPS = 32
SPREAD = 5
"""Layers, evenly spread, whose mean stands for all in Captum's time layer by layer."""
TARGET, CLASS = 1.5, 5
HEADING = "Attributions of every layer"
FORWARD_BACKWARD = "one forward and backward"
Times = dict[str, list[float]]


@pytest.fixture(scope="module")
def lines() -> Iterator[list[str]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found: list[str] = []
    yield found
    torch.set_num_threads(threads)
    packages = ", ".join(f"{n} {version(n)}" for n in ("torch", "captum", "numpy", "efficientnet-lite-pytorch"))
    head = [
        f"{date.today()}, Python {platform.python_version()}, {packages}. One thread, CPU time. What is compared takes",
        "turns; a ratio is the median of those of the turns, with the smallest and largest. The backward is that of",
        "the input. Layers are all module calls, containers too; for Captum they are the modules without submodules:",
        f"the mean of {SPREAD} evenly spread ones, times their number.",
        "`maps`: with the channels summed away at once, which is what `scope.attributions` asks for.",
        f"Targets: {TARGET} times one forward and backward, and for conductance with {STEPS} steps {TARGET} times "
        f"{STEPS + 1} of them. **Bold: missed** (the three together have no target). What is added to the passes reads",
        "and writes all that the layers return: it weighs most where the layers compute little for each number of it.",
    ]
    write_section(HEADING, head + found)


@pytest.mark.parametrize("name", EXPLAINED_MODELS)
def test_cost_of_all_layers(name: str, lines: list[str], tmp_path: Path) -> None:
    model = EXPLAINED_MODELS[name].ready()
    leaves = [module for module in model.modules() if not list(module.children())]
    x = EXPLAINED_MODELS[name].batch(1)
    calls = len(layerscope.attribute(model, x, CLASS, method="grad_cam").layers)
    assert calls > len(leaves) * 0.9
    lines += ["", f"### {name}", "", f"{EXPLAINED_MODELS[name].about}. {calls} layer calls, {len(leaves)} modules"]
    lines += [f"without submodules, {_operations(model, x):.0f} operations for each number that a layer returns.", ""]
    lines += ["| what | batch | ms | beside | ratio |", "|---|---|---|---|---|"]
    alone: dict[str, float] = {}
    for batch, turns in BATCHES.items():
        times = _in_turns(_one_pass_subjects(model, EXPLAINED_MODELS[name].batch(batch)), turns)
        lines += _rows(times, FORWARD_BACKWARD, batch)
        if batch == 1:
            alone = {what: statistics.median(seconds) for what, seconds in times.items()}
    times, passes = _walk(model, x)
    lines += _rows(times, passes, 1) + _rows(
        times, f"{STEPS + 1} forwards and backwards one by one", 1, beside_only=True
    )
    alone["layer_conductance"] = statistics.median(times["layer_conductance"])
    lines += ["", "| method | Captum layer by layer, s | ours, s | times less |", "|---|---|---|---|"]
    for method, seconds in _captum(model, leaves, x).items():
        lines.append(f"| {method} | {seconds:.1f} | {alone[method]:.3f} | {seconds / alone[method]:.0f} |")
    lines += ["", *_sizes(model, x, tmp_path)]


def _operations(model: nn.Module, x: torch.Tensor) -> float:
    """Return how many floating-point operations a forward takes for each number that some layer returns."""
    numbers: list[int] = []
    capture(model, x, at_output=lambda _, output: numbers.append(output.numel()))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(x)
    return counter.get_total_flops() / sum(numbers)


def _forward_backward(model: nn.Module, x: torch.Tensor, copies: int = 1) -> None:
    inputs = torch.cat([x] * copies).requires_grad_()
    torch.autograd.grad(model(inputs)[:, CLASS].sum(), inputs)


def _one_pass_subjects(model: nn.Module, x: torch.Tensor) -> dict[str, Callable[[], object]]:
    def ours(*methods: str) -> Callable[[], object]:
        return lambda: attribute_all(model, x, CLASS, methods=methods)

    def maps(*methods: str) -> Callable[[], object]:
        asked = named(methods)
        return lambda: asked[methods[0]].together(asked, Question(model, x, CLASS, maps_only=True))

    subjects = {FORWARD_BACKWARD: lambda: _forward_backward(model, x)}
    for kind, made in (("", ours), (", maps", maps)):
        subjects |= {f"{method}{kind}": made(method) for method in ONE_PASS}
        subjects |= {f"these three together{kind}": made(*ONE_PASS)}
    return subjects


def _walk(model: nn.Module, x: torch.Tensor) -> tuple[Times, str]:
    """Return the times of conductance and of as many passes, and what those in the same chunks are called."""
    points = gauss_legendre(STEPS + 1)[0]
    chunks = [len(part) for part in chunked(Question(model, x, CLASS), points, [None] * len(points), None)]
    in_chunks = f"{STEPS + 1} forwards and backwards in batches of {max(chunks)}"
    subjects: dict[str, Callable[[], object]] = {
        in_chunks: lambda: [_forward_backward(model, x, chunk) for chunk in chunks],
        f"{STEPS + 1} forwards and backwards one by one": lambda: [_forward_backward(model, x) for _ in points],
        "layer_conductance": lambda: attribute_all(model, x, CLASS, methods={"layer_conductance": {"n_steps": STEPS}}),
    }
    return _in_turns(subjects, WALKS), in_chunks


def _captum(model: nn.Module, leaves: list[nn.Module], x: torch.Tensor) -> dict[str, float]:
    """Return Captum's seconds for all modules without submodules, one by one."""
    chosen = [leaves[round(i * (len(leaves) - 1) / (SPREAD - 1))] for i in range(SPREAD)]
    attributes: dict[str, Callable[[nn.Module], object]] = {
        "activation": lambda layer: LayerActivation(model, layer).attribute(x),
        "gradient_x_activation": lambda layer: LayerGradientXActivation(model, layer).attribute(x, CLASS),
        "grad_cam": lambda layer: LayerGradCam(model, layer).attribute(x, CLASS),
        "layer_conductance": lambda layer: LayerConductance(model, layer).attribute(
            x, target=CLASS, n_steps=STEPS, internal_batch_size=11
        ),
    }
    return {
        method: statistics.mean(_seconds(partial(run, layer)) for layer in chosen) * len(leaves)
        for method, run in attributes.items()
    }


def _seconds(run: Callable[[], Any]) -> float:
    gc.collect()
    start = time.process_time()
    run()
    return time.process_time() - start


def _in_turns(subjects: Mapping[str, Callable[[], object]], turns: int) -> Times:
    for run in subjects.values():
        run()
    times: Times = {what: [] for what in subjects}
    for _ in range(turns):
        for what, run in subjects.items():
            times[what].append(_seconds(run))
    return times


def _rows(times: Times, beside: str, batch: int, *, beside_only: bool = False) -> list[str]:
    """Return the rows of the table that compare with ``beside``."""
    rows: list[str] = []
    for what, seconds in times.items():
        if what == beside or (beside_only and "forwards" in what):
            continue
        ratios = [one / other for one, other in zip(seconds, times[beside], strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        if statistics.median(ratios) > TARGET and what.removesuffix(", maps") in (*ONE_PASS, "layer_conductance"):
            ratio = f"**{ratio}**"
        other = f"{beside}, {statistics.median(times[beside]) * 1e3:.0f} ms"
        rows.append(f"| {what} | {batch} | {statistics.median(seconds) * 1e3:.0f} | {other} | {ratio} |")
    return rows


def _sizes(model: nn.Module, x: torch.Tensor, directory: Path) -> list[str]:
    """Return how much a step of ``scope.attributions`` writes, with the inputs left out: they are written once."""
    found = ["| `scope.attributions`, one sample, default methods | kB per step |", "|---|---|"]
    for layers in ("all", "auto"):
        logdir = directory / layers
        sizes: list[int] = []
        for steps in (1, 2):
            with Scope(model, logdir / str(steps), strict=True) as scope:
                for step in range(steps):
                    scope.attributions(x, CLASS, step=step, layers=layers, trust=False)
            sizes.append(sum(file.stat().st_size for file in (logdir / str(steps)).rglob("*") if file.is_file()))
        assert sizes[1] > sizes[0]
        found.append(f'| `layers="{layers}"` | {(sizes[1] - sizes[0]) / 1e3:.0f} |')
    return found
