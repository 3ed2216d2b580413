"""Records of series made by hand, for tests of what looks at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from layerscope.findings import Examination
from layerscope.wire import MOMENTS, SERIES, Finding, ModelGraph, Statistics

NAN = float("nan")
INF = float("inf")


def record(series: str, rows: Iterable[tuple[str, str, Mapping[str, float]]]) -> Statistics:
    """Return a record with rows (name, owner, statistics by name); what is not given is NaN."""
    rows = list(rows)
    columns = SERIES[series].statistics
    values = np.array([[row.get(column, NAN) for column in columns] for _, _, row in rows], np.float32)
    values = values.reshape(len(rows), len(columns))
    return Statistics(tuple(name for name, _, _ in rows), tuple(owner for _, owner, _ in rows), columns, values)


def moments(rms: float, *, zeros: float = 0.0, nans: int = 0, infs: int = 0) -> dict[str, float]:
    """Return the moments of 100 elements with mean 0, of which a share is zero."""
    if nans or infs:
        broken = NAN if nans else INF
        return dict(zip(MOMENTS, (broken, NAN, NAN, -1.0, broken, 0.0, nans, infs), strict=True))
    return dict(zip(MOMENTS, (10 * rms, 0.0, rms, -rms, rms, zeros, 0, 0), strict=True))


def of_parameters(series: str, rows: Mapping[str, Mapping[str, float]]) -> Statistics:
    """Return a record of parameters (``a.weight``), each with a row for its layer before it."""
    found: list[tuple[str, str, Mapping[str, float]]] = []
    for name, row in rows.items():
        owner = name.rpartition(".")[0]
        if all(owner != known for known, _, _ in found):
            found.append((owner, owner, row))
        found.append((name, owner, row))
    return record(series, found)


def gradients(rms: Mapping[str, float]) -> Statistics:
    """Return gradients of one weight for each layer; NaN is a parameter without gradient, inf one that is infinite."""
    rows = {
        f"{layer}.weight": {} if np.isnan(size) else moments(size, infs=int(np.isinf(size)), zeros=float(size == 0))
        for layer, size in rms.items()
    }
    return of_parameters("gradients", rows)


def of_layers(series: str, rows: Mapping[str, Mapping[str, float]]) -> Statistics:
    """Return a record of the outputs of layers."""
    return record(series, [(layer, layer, row) for layer, row in rows.items()])


def examined(
    records: Iterable[tuple[int, str, Statistics]], graph: ModelGraph | None = None, *, conclude: bool = False
) -> list[Finding]:
    """Return what is found in records (step, series, statistics), in the order in which it is said."""
    examination = Examination(graph)
    found = [new for step, series, statistics in records for new in examination.observe(series, statistics, step)]
    return found + list(examination.conclude() if conclude else ())
