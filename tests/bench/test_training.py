"""What recording a training costs: on two models of true size, beside what other tools record; written to RESULTS.md.

Nothing is asserted about time: a share is a measurement to look at, not a test. Asserted is that what was measured was
really recorded.
"""

from __future__ import annotations

import gc
import platform
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import layerscope
from bench.measuring import median_seconds, write_section
from bench.recorders import PEERS, quiet, torchexplorer_seconds
from bench.training_models import TRAINED_MODELS, TrainedModel, Training
from bench.watched import Watched, due_in

pytestmark = pytest.mark.bench

BEGINNINGS = 3
"""How often a recording begins anew: its first step records everything."""
WINDOW = 10
"""Steps after it that are compared pair by pair; by default the last of them records all but activations."""
LONG = 10_000
"""Steps of the run for which it is also said what recording costs when it has been thinned."""
HEADING = "Recording a training"

DEFAULT = "**`scope.watch(optimizer)`, average of the first steps**"
SCALARS = "a step with gradients (9 of 10)"
TENTH = "with parameters, updates and histograms (every 10th)"
HUNDREDTH = "with activations and their gradients too (every 100th)"
UNDUE = "a step at which nothing is due"
THINNED = f"average of {LONG:,} steps, as they are thinned"
PAIRED = "the same, end to end: 10 steps with it, 10 without, in turns"
EXPLICIT = "`scope.gradients(step)`"
EXPLICIT_SCALARS = "`scope.gradients(step, histogram=False)`"
HISTOGRAMS = "`SummaryWriter.add_histogram` of every gradient"


@dataclass
class Result:
    """What was measured on one model."""

    alone: float
    """CPU seconds of a step without any recording."""
    added: dict[str, float] = field(default_factory=dict)
    """What -> CPU seconds that it adds to a step."""
    words: dict[str, str] = field(default_factory=dict)
    """Row of the table -> what else there is to say."""


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, Result]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found: dict[str, Result] = {}
    yield found
    torch.set_num_threads(threads)
    write_section(HEADING, _report(found))


@pytest.mark.parametrize("name", TRAINED_MODELS)
def test_recording(name: str, results: dict[str, Result], tmp_path: Path) -> None:
    trained = TRAINED_MODELS[name]
    gc.collect()
    plain = trained.build()
    result = results[name] = _default_recording(plain, trained.build(), tmp_path)

    plain.loss(plain.model).backward()
    for peer, (recorder, repeats) in PEERS.items():
        with quiet(), recorder(plain, tmp_path / "peers") as record:
            result.added[peer] = median_seconds(record, repeats)
    plain.optimizer.zero_grad()

    _say_share_of_larger_batch(plain, trained, result)
    with quiet():
        logged, idle = torchexplorer_seconds(plain, trained.torchexplorer(), repeats=2)
    result.added["TorchExplorer, `log_freq=1`, nothing written"] = statistics.median(logged) - result.alone
    result.added["TorchExplorer, a step that it watches and does not log"] = statistics.median(idle) - result.alone


def _default_recording(plain: Training, other: Training, directory: Path) -> Result:
    """Measure what ``scope.watch`` adds, and the explicit calls; ``other`` is the same as ``plain``."""
    plain.step()
    other.step()
    first: list[tuple[float, float]] = []
    for beginning in range(BEGINNINGS):
        watched = Watched(other, directory / f"watched {beginning}")
        first.append((plain.seconds(), watched.seconds()))
        if beginning + 1 < BEGINNINGS:
            watched.close()
    pairs: list[tuple[float, float]] = []
    in_hooks: list[float] = []
    size = [watched.written()]
    for _ in range(WINDOW):
        pairs.append((plain.seconds(), watched.seconds()))
        in_hooks.append(watched.in_hooks)
        size.append(watched.written())
    other.loss(other.model).backward()
    in_hooks += watched.hooks_seconds(WINDOW)
    explicit = {
        label: median_seconds(lambda histogram=histogram: watched.scope.gradients(1000, histogram=histogram), 5)
        for label, histogram in ((EXPLICIT_SCALARS, False), (EXPLICIT, True))
    }
    watched.close()
    sizes = _recorded_sizes(directory / f"watched {BEGINNINGS - 1}")
    rare = Watched(other, directory / "rare", every=1_000_000)
    rare.seconds()
    undue = statistics.median(rare.hooks_seconds(WINDOW))
    rare.close()

    alone = statistics.median(seconds for seconds, _ in first + pairs)
    scalars, tenth = (
        statistics.median(in_hooks[i] for i in range(len(in_hooks)) if (i % 10 == 9) == t) for t in (0, 1)
    )
    hundredth = statistics.median(recorded - without for without, recorded in first)
    histograms = 2 * (explicit[EXPLICIT] - explicit[EXPLICIT_SCALARS])  # of gradients and of parameters
    each = {
        "gradients": scalars - undue,
        "parameters": tenth - scalars - histograms,
        "histograms": histograms,
        "activations": hundredth - tenth,
    }
    due = due_in(LONG, sizes)
    differences = [recorded - without for without, recorded in pairs]
    return Result(
        alone,
        added={
            DEFAULT: scalars + (tenth - scalars) / 10 + (hundredth - tenth) / 100,
            SCALARS: scalars,
            TENTH: tenth,
            HUNDREDTH: hundredth,
            UNDUE: undue,
            THINNED: undue + sum(due[sort] * seconds for sort, seconds in each.items()) / LONG,
            PAIRED: statistics.mean(differences),
            **explicit,
        },
        words={
            SCALARS: f"{size[1] - size[0]:,} bytes",
            TENTH: f"{size[-1] - size[-2]:,} bytes",
            THINNED: "at steps: " + ", ".join(f"{sort} {due[sort]:,}" for sort in each),
            PAIRED: f"± {statistics.stdev(differences) / len(differences) ** 0.5 / alone:.1%}",
        },
    )


def _recorded_sizes(directory: Path) -> dict[tuple[str, str], int]:
    """Return the bytes of one record of every (kind, series), after a look at whether what was due is there."""
    run = layerscope.read(directory)["."]
    assert not run.problems
    steps = {name: tuple(series.steps) for name, series in run.series.items()}
    assert steps["gradients"][:-1] == tuple(range(2 * WINDOW + 1))
    assert steps["parameters"] == steps["updates"] == (0, 10, 20)
    assert steps["training_activations"] == steps["activation_gradients"] == (0,)
    sizes = {("series", name): series.values[0].nbytes for name, series in run.series.items()}
    for name, series in run.series.items():
        if series.histogram is not None:
            assert series.histogram[0].sum() > 0
            sizes["histograms", name] = series.histogram[0].nbytes
    return sizes


def _say_share_of_larger_batch(training: Training, trained: TrainedModel, result: Result) -> None:
    step = median_seconds(replace(training, loss=trained.larger_loss()).step, 1)
    without_activations = result.added[SCALARS] + (result.added[TENTH] - result.added[SCALARS]) / 10
    result.words[DEFAULT] = (
        f"{without_activations / result.alone:.2%} without activations; that is {without_activations / step:.2%} at "
        f"{trained.larger} ({step * 1e3:.0f} ms, measured once)"
    )


def _report(results: dict[str, Result]) -> list[str]:
    packages = ("torch", "tensorboard", "wandb", "torchexplorer", "numpy")
    models = [f"{name}: {TRAINED_MODELS[name].about}, {TRAINED_MODELS[name].batch}" for name in results]
    labels = list(dict.fromkeys(label for result in results.values() for label in result.added))
    return [
        f"{date.today()}, Python {platform.python_version()}, "
        + ", ".join(f"{package} {version(package)}" for package in packages)
        + ". One thread, CPU time, medians.",
        "",
        *(f"- {model}." for model in models),
        "",
        "What is added to a training step (forward, loss, backward, optimizer, zero_grad), and as a share of it. The",
        "batches are small, so shares are large: recording parameters takes the same at any batch.",
        "",
        f"| | {' | '.join(results)} |",
        f"|---|{'---|' * len(results)}",
        _row("a training step alone", [f"{result.alone * 1e3:.0f} ms" for result in results.values()]),
        *(_row(label, [_cell(result, label) for result in results.values()]) for label in labels),
        _row(
            "`add_histogram` : `scope.watch`",
            [f"{result.added[HISTOGRAMS] / result.added[DEFAULT]:.0f}" for result in results.values()],
        ),
        "",
        "The first rows were taken in real steps, between the first and the last hook on the optimizer (activations:",
        "the difference of whole steps). `wandb.watch` logs offline, by default every 1,000th step, and what its own",
        "process does is not counted. TorchExplorer logs every 500th step by default. Its hooks bear nothing in place:",
        "for it, the ReLUs of the ResNet work out of place, and the gradients of what BatchNorm returns are left out.",
    ]


def _row(label: str, cells: list[str]) -> str:
    return f"| {label} | {' | '.join(cells)} |"


def _cell(result: Result, label: str) -> str:
    if label not in result.added:
        return ""
    said = f"; {result.words[label]}" if label in result.words else ""
    return f"{result.added[label] * 1e3:.1f} ms, {result.added[label] / result.alone:.2%}{said}"
