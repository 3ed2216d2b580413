"""What tracing costs: ``layerscope.trace`` beside other tracers and one forward, on large models; that it is linear.

The ratios are written to RESULTS.md to be looked at. Asserted is only what no busy machine can blur: that a model
twice or four times as large takes no more time per node and edge.
"""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from importlib.metadata import version

import pytest
import torch
from torch import Tensor, nn

import layerscope
from bench.architectures.sequences import GrowingList, UnrolledLSTM, mlp
from bench.large_models import LARGE_MODELS, Called
from bench.measuring import REPEATS, ROUNDS, Measured, Prepare, measured, write_section
from bench.tracers import TRACERS
from layerscope.wire import ModelGraph

pytestmark = pytest.mark.bench
COMPARED = [name for name in LARGE_MODELS if name not in ("growing_list_400", "growing_list_800")]
ON_META = ("forward", "layerscope", "torchview", "torchview, not drawn")
ON_CPU = ("forward", "layerscope", "torchview", "torchlens", "add_graph")
Table = dict[str, tuple[ModelGraph, dict[str, Measured]]]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # what is imported is not for the traces to collect
    yield
    gc.unfreeze()
    torch.set_num_threads(threads)


def _compare(called: Called, tracers: tuple[str, ...]) -> tuple[ModelGraph, dict[str, Measured]]:
    model, args, kwargs = called
    TRACERS["forward"](model, args, kwargs)  # what torch loads at the first use of a function counts for nobody

    def prepared(tracer: str) -> Prepare:
        def prepare() -> Callable[[], object]:
            TRACERS[tracer](nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (torch.rand(1, 4),), {})
            return lambda: TRACERS[tracer](model, args, kwargs)

        return prepare

    return layerscope.trace(model, *args, **kwargs), measured({tracer: prepared(tracer) for tracer in tracers})


def _about() -> list[str]:
    names = ("torch", "torchview", "torchlens", "transformers")
    return [
        f"{date.today()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in names)
        + f". One thread, CPU seconds, median of {ROUNDS * REPEATS}; in brackets the growth of the peak memory in MB."
        " Each tracer runs in a process of its own."
    ]


def _table(found: Table, tracers: tuple[str, ...]) -> list[str]:
    """Return rows: seconds and memory of each tracer, and how many times as long as it our trace takes."""
    others = [tracer for tracer in tracers if tracer != "layerscope"]

    def cell(one: Measured) -> str:
        return one.problem.partition(":")[0] if one.problem else f"{one.seconds:.2f} ({one.megabytes:.0f})"

    def ratio(row: dict[str, Measured], tracer: str) -> float:
        return row["layerscope"].seconds / row[tracer].seconds

    lines = [
        f"| model | nodes, edges | {' | '.join(tracers)} | layerscope : {' | : '.join(others)} |",
        "|---|---|" + "---|" * (len(tracers) + len(others)),
    ]
    for name, (graph, row) in found.items():
        cells = [cell(row[tracer]) for tracer in tracers] + [f"{ratio(row, tracer):.2f}" for tracer in others]
        lines.append(f"| {name} | {len(graph.nodes)}, {len(graph.edges)} | {' | '.join(cells)} |")
    medians = [
        statistics.median(ratio(row, tracer) for _, row in found.values() if not row[tracer].problem)
        for tracer in others
    ]
    lines.append(f"| median | |{' |' * len(tracers)} {' | '.join(f'{value:.2f}' for value in medians)} |")
    return lines


def test_true_shapes_on_meta_beside_torchview() -> None:
    found: Table = {}
    for name in COMPARED:
        called = LARGE_MODELS[name].on_meta()
        parameters = LARGE_MODELS[name].parameters
        assert parameters in (None, sum(parameter.numel() for parameter in called[0].parameters()))
        found[name] = _compare(called, ON_META)
    write_section("Tracing in true shapes, on the meta device", [*_about(), "", *_table(found, ON_META)])
    assert not any(row["layerscope"].problem for _, row in found.values())


def test_narrow_on_cpu_beside_torchlens_and_add_graph() -> None:
    found: Table = {name: _compare(LARGE_MODELS[name].on_cpu(), ON_CPU) for name in COMPARED}
    about = (
        "The same modules and functions with small widths: torchlens traces no meta tensors. Torchlens keeps no "
        "activations here (`layers_to_save='none'`); add_graph is without the writing."
    )
    write_section("Tracing narrow forms, on the CPU", [*_about(), "", about, "", *_table(found, ON_CPU)])
    assert not any(row["layerscope"].problem for _, row in found.values())


class _PassesNumbers(nn.Module):
    """Modules that hand on a list of numbers beside a tensor."""

    class Passing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x: Tensor, numbers: list[int]) -> tuple[Tensor, list[int]]:
            return self.linear(x), numbers

    def __init__(self) -> None:
        super().__init__()
        self.steps = nn.ModuleList(self.Passing() for _ in range(10))

    def forward(self, x: Tensor, numbers: list[int]) -> Tensor:
        for step in self.steps:
            x, numbers = step(x, numbers)
        return x


# What grows -> its sizes, and what is called at a size.
GROWING: dict[str, tuple[tuple[int, ...], Callable[[int], Called]]] = {
    "layers of an MLP": ((500, 1000, 2000), lambda n: (mlp(n, 8), (torch.rand(1, 8),), {})),
    "steps of an LSTM cell": ((100, 200, 400), lambda n: (UnrolledLSTM(8), (torch.rand(1, n, 8),), {})),
    "steps with a growing list": ((200, 400, 800), lambda n: (GrowingList(n, 8), (torch.rand(1, 8),), {})),
    "numbers in a list through 10 modules": (
        (25_000, 50_000, 100_000),
        lambda n: (_PassesNumbers(), (torch.rand(1, 8), list(range(n))), {}),
    ),
}


def test_nothing_is_quadratic() -> None:
    rows: list[str] = []
    for what, (sizes, called_at) in GROWING.items():
        costs: list[float] = []
        for size in sizes:
            model, args, kwargs = called_at(size)
            times: list[float] = []
            for _ in range(3):
                start = time.process_time()
                graph = layerscope.trace(model.eval(), *args, **kwargs)
                times.append(time.process_time() - start)
            extent = len(graph.nodes) + len(graph.edges) + (size if "numbers" in what else 0)
            costs.append(statistics.median(times) / extent)
            rows.append(
                f"| {what} | {size} | {len(graph.nodes)}, {len(graph.edges)} | {statistics.median(times):.2f} "
                f"| {costs[-1] * 1e6:.0f} |"
            )
        assert costs[-1] < 2 * costs[0], f"{what}: {[f'{cost * 1e6:.0f} µs' for cost in costs]} per node and edge"
    about = "CPU seconds of `layerscope.trace`; the last column divides them by nodes plus edges (plus numbers)."
    head = ["| what grows | to | nodes, edges | s | µs per node and edge |", "|---|---|---|---|---|"]
    write_section("Tracing what grows", [about, "", *head, *rows])
