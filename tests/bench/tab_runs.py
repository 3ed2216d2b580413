"""Runs of the sizes that the tab is to keep up with: real structures, simulated numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import layerscope
from layerscope import wire
from layerscope.writing import MessageWriter

WIDTH = 8
WIDE = "wide"
"""A module with ``CHILDREN`` children, no two neighbours alike, so that nothing of it folds."""
CHILDREN = 200
EDGES = tuple(np.linspace(-64.0, 64.0, 130).tolist())


class Residual(nn.Module):
    """Two linear layers and a ReLU beside a skip connection: five boxes."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, hidden)
        self.relu = nn.ReLU()
        self.down = nn.Linear(hidden, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.relu(self.up(x)))


class Stages(nn.Module):
    """Stages of residual blocks, in every other of which no two neighbours are alike; then a long chain."""

    def __init__(self, stages: int, blocks: int) -> None:
        super().__init__()
        hidden = [[16 + (7 * block % 61 if stage % 2 else 0) for block in range(blocks)] for stage in range(stages)]
        self.stages = nn.Sequential(*(nn.Sequential(*(Residual(size) for size in sizes)) for sizes in hidden))
        self.wide = _chain()

    def forward(self, x: Tensor) -> Tensor:
        return self.wide(self.stages(x))


def _chain() -> nn.Sequential:
    sizes = [WIDTH, *(9 + 7 * layer % 61 for layer in range(CHILDREN // 2 - 1)), WIDTH]
    layers = [(nn.Linear(size, after), nn.ReLU()) for size, after in pairwise(sizes)]
    return nn.Sequential(*(module for pair in layers for module in pair))


MODELS: dict[str, tuple[int, int]] = {"nodes_1000": (4, 39), "nodes_10000": (21, 91), "layers_1000": (4, 67)}
"""Run -> arguments of ``Stages``. The last has 1,004 modules without modules inside."""


def model(name: str) -> tuple[nn.Module, Tensor]:
    """Return one of ``MODELS`` and what it is called with."""
    torch.manual_seed(0)
    return Stages(*MODELS[name]).eval(), torch.rand(1, WIDTH)


def write_model(name: str, run: Path, *, steps: int = 100) -> wire.ModelGraph:
    """Write the structure of one of ``MODELS``, and gradients of all its layers at so many steps."""
    called, x = model(name)
    graph = layerscope.trace(called, x)
    layers = [node.id for node in graph.nodes.values() if node.kind == "module"]
    _write(run, graph, layers, range(steps))
    return graph


def write_long_run(run: Path, *, steps: int = 1000) -> None:
    """Write gradients and updates of 1,000 layers at so many steps, and histograms of gradients at every tenth."""
    called, x = model("layers_1000")
    graph = layerscope.trace(called, x)
    layers = [node.id for node in graph.nodes.values() if node.class_name in ("Linear", "ReLU")][:1000]
    _write(run, graph, layers, range(steps), series=("gradients", "updates"), histograms_every=10)


def write_many_runs(logdir: Path, *, runs: int = 100) -> None:
    """Write so many short trainings of a network of 20 layers."""
    layers = [module for _ in range(10) for module in (nn.Linear(WIDTH, WIDTH), nn.ReLU())]
    graph = layerscope.trace(nn.Sequential(*layers), torch.rand(1, WIDTH))
    names = [node.id for node in graph.nodes.values() if node.kind == "module"]
    for run in range(runs):
        _write(logdir / f"run_{run:03}", graph, names, range(50), seed=run)


def write_graph_def(name: str, run: Path) -> None:
    """Write one of ``MODELS`` for TensorBoard's own Graphs tab."""
    called, x = model(name)
    with SummaryWriter(str(run)) as user, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit.trace is what add_graph has
        user.add_graph(called, x)


def _write(
    run: Path,
    graph: wire.ModelGraph,
    layers: list[str],
    steps: Iterable[int],
    *,
    series: tuple[str, ...] = ("gradients",),
    histograms_every: int = 0,
    seed: int = 0,
) -> None:
    rng = np.random.default_rng(seed)
    depth = np.linspace(0.0, 3.0, len(layers))[:, None]
    histogram = rng.poisson(30.0, (len(layers), len(EDGES) - 1)).astype(np.float32)
    with SummaryWriter(str(run)) as user:
        writer = MessageWriter(user)
        writer.graph(graph)
        for step in steps:
            user.add_scalar("loss", 2.0 * (1 + step) ** -0.2, step)
            for name in series:
                names = wire.SERIES[name].statistics
                values = 10.0 ** (-depth - step / 1000) * rng.lognormal(0.0, 0.3, (len(layers), len(names)))
                values[:, [index for index, one in enumerate(names) if one.endswith("_count")]] = 0
                due = histograms_every > 0 and step % histograms_every == 0 and name == "gradients"
                rows = tuple(layers)
                numbers = wire.Statistics(
                    rows, rows, names, values.astype(np.float32), histogram if due else None, EDGES if due else ()
                )
                writer.series(name, numbers, step=step)
        writer.close()
