"""What detectors look at: one record of one series, and how its rows lie to one another in the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from layerscope import wire
from layerscope.findings.nesting import Nesting

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


class RowIds:
    """Numbers every row name that was ever seen, so that what is known of rows can be kept in arrays."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}

    def of(self, names: tuple[str, ...]) -> Indices:
        """Return the number of each name, 0, 1, 2, ... in the order in which names were first seen."""
        return np.array([self._ids.setdefault(name, len(self._ids)) for name in names], np.intp)


class Rows:
    """The rows of a series; made once for all records that have the same ones.

    Args:
        names: row names.
        owners: the layer key that each row belongs to.
        ids: the number of each row, see ``RowIds``.
        graph: the structure of the model, if it is known.
    """

    def __init__(
        self, names: tuple[str, ...], owners: tuple[str, ...], ids: Indices, graph: wire.ModelGraph | None
    ) -> None:
        self.names = names
        self.owners = owners
        self.ids = ids
        self.graph = graph

    @cached_property
    def parameters(self) -> Indices:
        """The rows of parameters, those of one layer together, layers in the order of ``places``."""
        order = self._depth
        rows = [i for i, (name, owner) in enumerate(zip(self.names, self.owners, strict=True)) if name != owner]
        return np.array(sorted(rows, key=lambda i: (order[self.owners[i]], self.owners[i])), np.intp)

    @cached_property
    def places(self) -> tuple[str, ...]:
        """The layers that own parameters, in order of execution where the structure is known, else as defined."""
        return tuple(self.owners[i] for i in self.parameters[self.starts])

    @cached_property
    def starts(self) -> Indices:
        """Where in ``parameters`` those of each of ``places`` begin."""
        owners = [self.owners[i] for i in self.parameters]
        return np.array([i for i, owner in enumerate(owners) if i == 0 or owner != owners[i - 1]], np.intp)

    @cached_property
    def leaves(self) -> tuple[str, ...]:
        """The layers that enclose no others, in order of execution."""
        return tuple(self.names[row] for row in self.nesting.leaves)

    @cached_property
    def handed_gradients(self) -> Mask:
        """For each row whether, by the structure, all parameters of its layer required a gradient when traced."""
        nodes: Mapping[str, wire.Node] = {} if self.graph is None else self.graph.nodes
        found = [nodes.get(owner) for owner in self.owners]
        return np.array(
            [node is not None and 0 < node.total_parameters == node.trainable_parameters for node in found], np.bool_
        )

    @cached_property
    def nesting(self) -> Nesting:
        """Which rows enclose which, for series whose rows are the layers that ran."""
        return Nesting(self.names, self.graph)

    @cached_property
    def _depth(self) -> dict[str, float]:
        """Owner -> its place in the order of execution; one that is not in the structure stands after its neighbour."""
        executed: dict[str, int] = {}
        for node in () if self.graph is None else self.graph.nodes:
            executed[node] = len(executed)
        depth: dict[str, float] = {}
        latest = -1.0
        for position, owner in enumerate(dict.fromkeys(self.owners)):
            if not executed:
                latest = float(position)
            elif owner in executed:
                latest = float(executed[owner])
            else:
                latest += 2.0**-20
            depth[owner] = latest
        return depth


@dataclass(frozen=True)
class Flow:
    """How large gradients are on their way from the loss to the input: a number for each layer that has any."""

    places: tuple[str, ...]
    """Layers with a gradient that is finite and not zero, the earliest first."""
    sizes: Floats
    """[places]: of parameters, the largest root mean square among the gradients of the layer's, over the elements that
    are not zero (of an embedding few rows are used); of outputs, the norm of the gradient, which pooling keeps."""

    @cached_property
    def early(self) -> float:
        """Median of the first quarter of the layers, of one at least."""
        return float(np.median(self.sizes[: max(1, len(self.sizes) // 4)]))

    @cached_property
    def late(self) -> float:
        """Median of the last quarter of the layers, of one at least."""
        return float(np.median(self.sizes[-max(1, len(self.sizes) // 4) :]))


@dataclass
class Known:
    """What records of any series have last said of each row, in arrays by the row's number; NaN where nothing."""

    trainable: Floats
    trainable_step: Floats
    gradient: Floats
    """Norm of the gradient; NaN if there was none, too."""
    gradient_step: Floats
    finite_gradients: int | None = None
    """The step of the last record of gradients that were all finite."""
    owners: set[str] = field(default_factory=set[str])
    """The layers that own a parameter in a record."""

    @classmethod
    def nothing(cls) -> Known:
        """Return what is known before the first record."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))

    def note(self, record: Record) -> None:
        """Note what a record says."""
        size = int(record.rows.ids.max(initial=-1)) + 1
        if size > len(self.trainable):
            room = 2 * size - len(self.trainable)
            for name in ("trainable", "trainable_step", "gradient", "gradient_step"):
                setattr(self, name, np.concatenate([getattr(self, name), np.full(room, np.nan)]))
        ids = record.rows.ids
        if record.series == "parameters" and (trainable := record.column("trainable")) is not None:
            self.trainable[ids] = trainable
            self.trainable_step[ids] = record.step
        if record.series == "gradients" and (norm := record.column("norm")) is not None:
            self.gradient[ids] = norm
            self.gradient_step[ids] = record.step
            if not record.any_not_finite:
                self.finite_gradients = record.step


class Record:
    """Statistics of one series at one step.

    Args:
        series: name of the series.
        step: training step.
        rows: its rows.
        statistics: names of the columns.
        values: [rows, columns].
        known: what records of other series have said; this record is noted in it, too.
    """

    def __init__(
        self,
        series: str,
        step: int,
        rows: Rows,
        statistics: tuple[str, ...],
        values: NDArray[np.float32],
        known: Known,
    ) -> None:
        self.series = series
        self.step = step
        self.rows = rows
        self.known = known
        self._columns = {name: i for i, name in enumerate(statistics)}
        self._values = values.astype(np.float64)
        known.note(self)

    def column(self, statistic: str) -> Floats | None:
        """Return [rows] of a statistic, or None if it was not recorded."""
        index = self._columns.get(statistic)
        return None if index is None else self._values[:, index]

    @cached_property
    def not_finite(self) -> Mask:
        """For each row whether it holds NaN or infinity."""
        nans, infs, norm = self.column("nan_count"), self.column("inf_count"), self.column("norm")
        if nans is not None and infs is not None:
            return (nans > 0) | (infs > 0)
        return np.zeros(len(self.rows.names), np.bool_) if norm is None else np.isinf(norm)

    @cached_property
    def any_not_finite(self) -> bool:
        """Whether any row does."""
        return bool(self.not_finite.any())

    @cached_property
    def flow(self) -> Flow:
        """How large gradients are over the layers: of their parameters or, in ``activation_gradients``, outputs."""
        if self.series == "activation_gradients":
            return self._flow_at_outputs()
        mean, std, zeros = self.column("mean"), self.column("std"), self.column("zero_fraction")
        if mean is None or std is None or zeros is None or not len(self.rows.parameters):
            return Flow((), np.zeros(0))
        rms = (np.hypot(mean, std) / np.sqrt(1 - zeros))[self.rows.parameters]
        rms[~np.isfinite(rms)] = 0
        largest = np.maximum.reduceat(rms, self.rows.starts)
        some = largest > 0
        return Flow(_chosen(self.rows.places, some), largest[some])

    def _flow_at_outputs(self) -> Flow:
        norm, leaves = self.column("norm"), self.rows.nesting.leaves
        if norm is None or not leaves:
            return Flow((), np.zeros(0))
        sizes = norm[leaves]
        some = (sizes > 0) & (sizes < np.inf)
        return Flow(_chosen(self.rows.leaves, some), sizes[some])


def _chosen(names: tuple[str, ...], chosen: Mask) -> tuple[str, ...]:
    return names if chosen.all() else tuple(compress(names, chosen.tolist()))


def of_whole_layers(rows: Rows, holds: Mask) -> Mask:
    """Return for each of ``rows.parameters`` whether something holds for all parameters of its layer."""
    if not holds.any():
        return holds
    whole = np.logical_and.reduceat(holds, rows.starts)
    return np.repeat(whole, np.diff(np.append(rows.starts, len(holds))))
