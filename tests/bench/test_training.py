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

import numpy as np
import pytest
import torch

import layerscope
from bench.measuring import median_seconds, write_section
from bench.recorders import PEERS, quiet, torchexplorer_adds
from bench.training_models import TRAINED_MODELS, TrainedModel, Training
from bench.watched import Record, Watched, due_in, interval
from layerscope.writing.schedule import EVERY

pytestmark = pytest.mark.bench

BEGINNINGS = 2
"""How often a recording begins anew: its first step records everything."""
WINDOW = 10
"""Steps after it that are compared with and without."""
REPEATS = 5
LONG = 10_000
"""Steps of the run for which it is also said what recording costs when it has been thinned."""
HEADING = "Recording a training"

PARTS: dict[str, tuple[Record, ...]] = {
    "gradients": (("series", "gradients"),),
    "histograms of gradients": (("histograms", "gradients"),),
    "parameters and updates": (("series", "parameters"), ("series", "updates")),
    "histograms of parameters": (("histograms", "parameters"),),
    "activations, their gradients, histograms": (
        ("series", "training_activations"),
        ("series", "activation_gradients"),
        ("histograms", "training_activations"),
        ("histograms", "activation_gradients"),
    ),
}
"""What is recorded together -> its records, of one interval."""
DEFAULT = "**`scope.watch(optimizer)`, average of the first steps**"
UNDUE = "of which: a step at which nothing is due"
THINNED = f"average of {LONG:,} steps, as they are thinned"
PAIRED = f"end to end: steps 1 to {WINDOW}, beside as many without, in turns"
EXPLICIT = "`scope.gradients(step)`"
EXPLICIT_SCALARS = "`scope.gradients(step, histogram=False)`"
HISTOGRAMS = "`SummaryWriter.add_histogram` of every gradient"
LIMIT = "`sum()` of every gradient (the limit)"


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
    plain, other = trained.build(), trained.build()
    result = results[name] = _default_recording(plain, other, tmp_path)

    plain.loss(plain.model).backward()
    for peer, (recorder, repeats) in PEERS.items():
        with quiet(), recorder(plain, tmp_path / "peers") as record:
            result.added[peer] = median_seconds(record, repeats)
    plain.optimizer.zero_grad()

    _say_share_of_larger_batch(plain, trained, result)
    with quiet():
        logged, watched = torchexplorer_adds(plain, other, trained.torchexplorer())
    result.added["TorchExplorer, `log_freq=1`, nothing written"] = logged
    result.added["TorchExplorer, a step that it watches and does not log"] = watched


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
    for _ in range(WINDOW):
        pairs.append((plain.seconds(), watched.seconds()))
        in_hooks.append(watched.in_hooks)
    watched.close()
    sizes = _recorded_sizes(directory / f"watched {BEGINNINGS - 1}")

    result = Result(statistics.median(seconds for seconds, _ in first + pairs))
    other.loss(other.model).backward()
    parts = _parts(other, directory)
    everything = statistics.median(recorded - without for without, recorded in first)
    parts["activations, their gradients, histograms"] = everything - sum(parts.values())
    undue = _in_hooks(other, directory / "undue", gradients=1_000_000)

    every = {part: interval(PARTS[part][0]) for part in parts}
    due = due_in(LONG, sizes)
    result.added[DEFAULT] = sum(seconds / every[part] for part, seconds in parts.items())
    result.added |= {f"of which: {part}, every {every[part]}": seconds for part, seconds in parts.items()}
    result.added[UNDUE] = undue
    result.added[THINNED] = undue + sum(due[PARTS[part][0]] * seconds for part, seconds in parts.items()) / LONG
    result.words[THINNED] = ", ".join(f"{due[PARTS[part][0]]:,}" for part in parts) + " records"
    result.words[DEFAULT] = f"{sum(size / interval(record) for record, size in sizes.items()):,.0f} bytes a step"
    differences = [recorded - without for without, recorded in pairs]
    result.added[PAIRED] = statistics.mean(differences)
    error = statistics.stdev(differences) / WINDOW**0.5
    result.words[PAIRED] = f"± {error / result.alone:.1%}; in the hooks {statistics.mean(in_hooks) * 1e3:.1f} ms"
    result.added |= _explicit(other, directory)
    return result


def _parts(training: Training, directory: Path) -> dict[str, float]:
    """Return what each part but activations takes; a backward must have left gradients."""
    gradients = _in_hooks(training, directory / "gradients", gradients=1)
    both = _in_hooks(training, directory / "gradients, histograms", gradients=1, histograms=1)
    parameters = _in_hooks(training, directory / "parameters", parameters=1, updates=1)
    all_three = _in_hooks(training, directory / "parameters, histograms", parameters=1, updates=1, histograms=1)
    seconds = gradients, both - gradients, parameters, all_three - parameters
    return dict(zip(PARTS, seconds, strict=False))


def _in_hooks(training: Training, directory: Path, **every: int) -> float:
    """Return the median of what the hooks take when only that is recorded, after a step that is not counted."""
    watched = Watched(training, directory, dict.fromkeys(EVERY, 0) | every)
    seconds = watched.hooks_seconds(1 + REPEATS)[1:]
    watched.close()
    return statistics.median(seconds)


def _explicit(training: Training, directory: Path) -> dict[str, float]:
    with layerscope.Scope(training.model, directory / "explicit", strict=True) as scope:
        return {
            EXPLICIT_SCALARS: median_seconds(lambda: scope.gradients(0, histogram=False), REPEATS),
            EXPLICIT: median_seconds(lambda: scope.gradients(0), REPEATS),
        }


def _recorded_sizes(directory: Path) -> dict[Record, int]:
    """Return the bytes of each record, after a look at whether what is due by default was recorded."""
    run = layerscope.read(directory)["."]
    assert not run.problems
    sizes: dict[Record, int] = {}
    for record in (record for records in PARTS.values() for record in records):
        kind, name = record
        series = run.series[name]
        array, steps = (series.values, series.steps) if kind == "series" else (series.histogram, series.histogram_steps)
        assert array is not None
        assert steps is not None
        assert np.any(np.isfinite(array[-1]) & (array[-1] > 0))
        assert steps.tolist() == list(range(0, WINDOW + 1, interval(record)))
        sizes[record] = array[0].nbytes
    return sizes


def _say_share_of_larger_batch(training: Training, trained: TrainedModel, result: Result) -> None:
    step = replace(training, loss=trained.larger_loss()).seconds()
    activations = next(label for label in result.added if "activations" in label)
    without = result.added[DEFAULT] - result.added[activations] / EVERY["training_activations"]
    result.words[DEFAULT] += (
        f"; without activations {without / result.alone:.2%}, and {without / step:.2%} at {trained.larger} "
        f"({step * 1e3:.0f} ms, measured once)"
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
        *(
            _row(
                f"`add_histogram` : {what}",
                [f"{result.added[HISTOGRAMS] / result.added[label]:.0f}" for result in results.values()],
            )
            for what, label in (("`scope.watch`", DEFAULT), (f"`scope.watch`, {THINNED}", THINNED), ("`sum()`", LIMIT))
        ),
        "",
        "Below the first row stands what one record takes, between the first and the last hook on the optimizer in",
        "steps of the optimizer (of activations: the rest of the difference of whole steps). `wandb.watch` logs",
        "offline, by default every 1,000th step; what its own process does is not counted. TorchExplorer logs every",
        "500th step by default. Its hooks bear nothing in place: for it the ReLUs of the ResNet work out of place, and",
        "the gradients of what BatchNorm returns are left out.",
    ]


def _row(label: str, cells: list[str]) -> str:
    return f"| {label} | {' | '.join(cells)} |"


def _cell(result: Result, label: str) -> str:
    if label not in result.added:
        return ""
    said = f"; {result.words[label]}" if label in result.words else ""
    return f"{result.added[label] * 1e3:.1f} ms, {result.added[label] / result.alone:.2%}{said}"
