"""The statistics of ``wire.STATISTICS``, from moments that are combined exactly over chunks, tensors and layers.

Sums are accumulated in float64, deviations around the mean of each chunk (Chan, Golub and LeVeque 1983, "Algorithms
for computing the sample variance", eq. 1.5), so that a large mean does not drown a small deviation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope import wire
from layerscope.probing.histogram import BINS, EDGES, histogram

# Elements that are looked at together: on a CPU what its cache holds as float64, elsewhere what keeps the device busy.
_CPU_CHUNK = 1 << 16
_DEVICE_CHUNK = 1 << 24


@dataclass(frozen=True)
class Moments:
    """What is known of a set of numbers; enough for every statistic, and sets can be united."""

    count: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    """Sum of squared deviations from the mean."""
    squares: float = 0.0
    """Sum of squares."""
    low: float = math.inf
    high: float = -math.inf
    zeros: int = 0
    nans: int = 0
    infs: int = 0
    histogram: NDArray[np.int64] | None = None
    """int64 [129], see ``histogram.py``; None if it was not asked for."""

    def united(self, other: Moments) -> Moments:
        """Return the moments of both sets together; NaN in either makes mean, deviation, low and high NaN."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        gap = other.mean - self.mean
        counted = [h for h in (self.histogram, other.histogram) if h is not None]
        return Moments(
            count=count,
            mean=self.mean * (self.count / count) + other.mean * (other.count / count),  # also where one is infinite
            deviation=self.deviation + other.deviation + gap * gap * (self.count * other.count / count),
            squares=self.squares + other.squares,
            low=_least(self.low, other.low),
            high=-_least(-self.high, -other.high),
            zeros=self.zeros + other.zeros,
            nans=self.nans + other.nans,
            infs=self.infs + other.infs,
            histogram=np.sum(counted, axis=0) if counted else None,
        )

    def statistics(self) -> dict[str, float]:
        """Return every statistic of ``wire.STATISTICS`` by name.

        Of no numbers at all the norm and the counts are 0 and the rest is NaN.
        """
        empty = not self.count
        constant = self.low == self.high  # rounding of the mean would leave a deviation
        return {
            "norm": math.sqrt(self.squares),
            "mean": math.nan if empty else self.mean,
            "std": math.nan if empty else 0.0 if constant else math.sqrt(self.deviation / self.count),
            "min": math.nan if empty else self.low,
            "max": math.nan if empty else self.high,
            "zero_fraction": math.nan if empty else self.zeros / self.count,
            "nan_count": self.nans,
            "inf_count": self.infs,
        }


def measure(tensor: Tensor, *, with_histogram: bool = True) -> Moments:
    """Return the moments of all elements of ``tensor``; it is not modified.

    Args:
        tensor: of any shape, device and floating-point type. Of a sparse one the implicit zeros count too; of a
            complex one real and imaginary parts are counted as elements.
        with_histogram: count the elements of each bin too.
    """
    tensor = tensor.detach()
    if tensor.layout != torch.strided:
        return _measure_sparse(tensor, with_histogram=with_histogram)
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    if tensor.device.type == "mps":
        tensor = tensor.cpu()  # that device knows no float64
    chunks = _flat(tensor).split(_CPU_CHUNK if tensor.device.type == "cpu" else _DEVICE_CHUNK)
    return united(_measure_chunk(chunk, with_histogram=with_histogram) for chunk in chunks if chunk.numel())


def united(parts: Iterable[Moments]) -> Moments:
    """Return the moments of all sets together."""
    return functools.reduce(Moments.united, parts, Moments())


def table(rows: Iterable[tuple[str, str, Moments | None]], *, with_histogram: bool) -> wire.Statistics:
    """Return rows (name, owner, moments) as a message; a row of NaN where moments are None.

    float32 can hold counts up to 2^24 = 16,777,216 exactly; larger ones are rounded.
    """
    rows = list(rows)
    names = wire.MOMENTS
    values = np.full((len(rows), len(names)), np.nan, np.float32)
    counts = np.zeros((len(rows), BINS), np.float32)
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, as its type has it
        for i, (_, _, moments) in enumerate(rows):
            if moments is not None:
                statistics = moments.statistics()
                values[i] = [statistics[name] for name in names]
                counts[i] = 0 if moments.histogram is None else moments.histogram
    return wire.Statistics(
        layers=tuple(name for name, _, _ in rows),
        owners=tuple(owner for _, owner, _ in rows),
        statistics=names,
        values=values,
        histogram=counts if with_histogram else None,
        edges=EDGES if with_histogram else (),
    )


def _measure_chunk(chunk: Tensor, *, with_histogram: bool) -> Moments:
    if chunk.dtype.itemsize < 4:
        chunk = chunk.float()  # exact; half precision knows few operations
    wide = chunk.double()
    mean = wide.mean()
    centred = wide - mean
    low, high = chunk.aminmax()
    numbers = [mean, centred.dot(centred), wide.dot(wide), low.double(), high.double(), chunk.count_nonzero().double()]
    mean, deviation, squares, low, high, nonzero = torch.stack(numbers).tolist()  # one wait for the device
    finite = math.isfinite(low) and math.isfinite(high)
    return Moments(
        count=chunk.numel(),
        mean=mean,
        deviation=deviation,
        squares=squares,
        low=low,
        high=high,
        zeros=chunk.numel() - int(nonzero),
        nans=0 if finite else int(chunk.isnan().sum()),
        infs=0 if finite else int(chunk.isinf().sum()),
        histogram=histogram(chunk).cpu().numpy() if with_histogram else None,
    )


def _measure_sparse(tensor: Tensor, *, with_histogram: bool) -> Moments:
    if tensor.layout not in (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc):
        return measure(tensor.to_dense(), with_histogram=with_histogram)
    explicit = tensor.coalesce().values() if tensor.layout == torch.sparse_coo else tensor.values()
    values = measure(explicit, with_histogram=with_histogram)
    absent = tensor.numel() - explicit.numel()
    if not absent:
        return values
    bins = np.zeros(BINS, np.int64)
    bins[BINS // 2] = absent
    zeros = Moments(count=absent, low=0.0, high=0.0, zeros=absent, histogram=bins if with_histogram else None)
    return values.united(zeros)


def _flat(tensor: Tensor) -> Tensor:
    """Return all elements in one dimension, in the order of memory, so that a dense tensor need not be copied."""
    order = sorted(range(tensor.ndim), key=lambda dim: -tensor.stride(dim))
    return tensor.permute(order).reshape(-1)


def _least(one: float, other: float) -> float:
    return math.nan if math.isnan(one) or math.isnan(other) else min(one, other)
