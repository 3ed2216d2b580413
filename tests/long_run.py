"""A training of 100,000 steps of a model with 200 layers, simulated: what ``Scope.watch`` writes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from layerscope import wire
from layerscope.writing import MAX_BYTES, MessageWriter, Schedules

STEPS = 100_000
BLOCKS = 50
LAYERS = ("norm", "qkv", "proj", "mlp")
EDGES = tuple(np.linspace(-64.0, 64.0, 130).tolist())
"""Of as many bins as real histograms have."""
MARK = 2.0**-24
"""The second statistic of a series is the step times this: float32 holds it exactly, and no detector minds it."""
_HEALTHY = {"nan_count": 0.0, "inf_count": 0.0, "dead_fraction": 0.1, "trainable": 1.0, "learning_rate": 1e-3}


@dataclass
class LongRun:
    """What was written."""

    steps: dict[tuple[str, str], list[int]]
    """(kind, name of the series) -> the steps, ascending."""
    schedules: Schedules


def write(logdir: Path, *, steps: int = STEPS, max_bytes: int = MAX_BYTES) -> LongRun:
    """Write the run into ``logdir`` as the defaults of ``Scope.watch`` would: structure, series and the user's loss.

    Every series has in its second statistic (``mean``, ``update_ratio``) the step times ``MARK``, in all rows, and
    histograms have the step in their first bin. The norms fall with the depth and with time, but for a bump in block 30
    in the second half.
    """
    from torch.utils.tensorboard import SummaryWriter

    run = LongRun({}, Schedules(None, max_bytes))
    with SummaryWriter(str(logdir)) as user:
        writer = MessageWriter(user)
        writer.graph(_graph())
        simulated = {name: _Simulated(name, steps) for name in wire.SERIES if name != "activations"}
        for step in range(steps):
            if step % 100 == 0:
                user.add_scalar("loss", 2.0 * (1 + step) ** -0.2, step)
            for name, series in simulated.items():
                due = [kind for kind in ("series", "histograms") if run.schedules.due(kind, name, step)]
                if due:
                    _record(run, writer, series.at(step), due, name, step)
    return run


def _record(
    run: LongRun, writer: MessageWriter, statistics: wire.Statistics, due: list[str], name: str, step: int
) -> None:
    def admit(kind: str, size: int) -> bool:
        if not run.schedules.admit(kind, name, step, size):
            return False
        run.steps.setdefault((kind, name), []).append(step)
        return True

    if "series" in due:
        writer.series(name, replace(statistics, histogram=None), step=step, admit=admit)
    if "histograms" in due:
        writer.histograms(name, statistics, step=step, admit=admit)


class _Simulated:
    """Statistics of one series, step by step."""

    def __init__(self, name: str, steps: int) -> None:
        self.steps = steps
        layers = [f"blocks.{block}.{layer}" for block in range(BLOCKS) for layer in LAYERS]
        parameters = [f"{layer}.{parameter}" for layer in layers for parameter in ("weight", "bias")]
        self.rows = tuple(layers)
        if "activation" not in name:
            containers = ["blocks", *(f"blocks.{block}" for block in range(BLOCKS))]
            self.rows = tuple(sorted([*containers, *layers, *parameters], key=_numbers))
        self.owners = tuple(row.removesuffix(".weight").removesuffix(".bias") for row in self.rows)
        self.statistics = wire.SERIES[name].statistics
        self.blocks = np.array([_numbers(row)[0] for row in self.rows])
        rng = np.random.default_rng(0)
        self.others = [_HEALTHY.get(statistic, 0.5) for statistic in self.statistics]
        self.noise = rng.lognormal(0.0, 0.3, (64, len(self.rows)))
        self.histogram = np.zeros((len(self.rows), len(EDGES) - 1), np.float32)
        self.histogram[:, 40:66] = rng.poisson(100.0, (len(self.rows), 26))  # real ones fill a fifth of their bins

    def at(self, step: int) -> wire.Statistics:
        values = np.tile(np.array(self.others, np.float32), (len(self.rows), 1))
        norm = 10.0 ** (-1 - self.blocks / 25 - 2 * step / self.steps) * self.noise[step % 64]
        norm[(self.blocks == 30) & (step > self.steps / 2)] *= 1000
        values[:, 0] = norm
        values[:, 1] = step * MARK
        self.histogram[:, 0] = step
        return wire.Statistics(self.rows, self.owners, self.statistics, values, self.histogram, EDGES)


def _numbers(row: str) -> tuple[int, int]:
    """Return the number of a row's block and of its layer therein."""
    parts = row.split(".")
    return (int(parts[1]) if len(parts) > 1 else -1, LAYERS.index(parts[2]) if len(parts) > 2 else -1)


def _graph() -> wire.ModelGraph:
    nodes = [wire.Node("input/x", "input", output_shapes=((8, 64),), output_dtypes=("float32",))]
    nodes.append(wire.Node("blocks", "module", module="blocks", class_name="Sequential"))
    edges: list[wire.Edge] = []
    before = "input/x"
    for block in range(BLOCKS):
        container = f"blocks.{block}"
        nodes.append(wire.Node(container, "module", module=container, parent="blocks", class_name="Block"))
        for layer in LAYERS:
            key = f"{container}.{layer}"
            class_name = "LayerNorm" if layer == "norm" else "Linear"
            nodes.append(wire.Node(key, "module", module=key, parent=container, class_name=class_name))
            edges.append(wire.Edge(before, key, (8, 64)))
            before = key
    nodes.append(wire.Node("output/0", "output"))
    edges.append(wire.Edge(before, "output/0", (8, 64)))
    return wire.ModelGraph({node.id: node for node in nodes}, tuple(edges), ("input/x",), ("output/0",), "LongRun")
