from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from layerscope.probing.histogram import BINS, EDGES, HIGHEST, LOWEST, histogram

MIDDLE = BINS // 2
LARGEST = float(np.finfo(np.float32).max)


def slow(values: list[float]) -> list[int]:
    """Count by the definition: bins include the edge nearer to zero; what is beyond the outermost edge is in them."""
    counts = [0] * BINS
    for value in values:
        if not math.isfinite(value):
            continue
        positive = EDGES[MIDDLE + 1 :]  # 2^-48 ... largest
        reached = sum(abs(value) >= edge for edge in positive)
        outwards = min(reached, len(positive) - 1)
        counts[MIDDLE + (outwards if value >= 0 else -outwards)] += 1
    return counts


def test_edges_are_the_powers_of_two_and_the_limits_of_float32() -> None:
    assert BINS == 129
    assert len(EDGES) == 130
    assert list(EDGES) == sorted(set(EDGES))
    assert EDGES[MIDDLE + 1 : -1] == tuple(2.0**exponent for exponent in range(LOWEST, HIGHEST + 1))
    assert tuple(-edge for edge in reversed(EDGES)) == EDGES
    assert EDGES[-1] == LARGEST
    assert EDGES[-2] == 2.0**15
    assert EDGES[MIDDLE : MIDDLE + 2] == (-(2.0**-48), 2.0**-48)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_edge_and_its_neighbours(dtype: torch.dtype) -> None:
    edges = torch.tensor([0.0, *EDGES], dtype=dtype)
    up, down = torch.tensor(math.inf, dtype=dtype), torch.tensor(-math.inf, dtype=dtype)
    values = torch.cat([edges, edges.nextafter(up), edges.nextafter(down)])
    assert histogram(values).tolist() == slow(values.tolist())


@pytest.mark.parametrize(
    ("values", "bins"),
    [
        ([0.0, -0.0, 1e-45, -1e-45, 2.0**-49], [MIDDLE] * 5),  # zeros, denormals, too small
        ([1.0, 1.5, -1.0, -1.999], [MIDDLE + 49, MIDDLE + 49, MIDDLE - 49, MIDDLE - 49]),
        ([65536.0, LARGEST, -LARGEST, 32768.0], [BINS - 1, BINS - 1, 0, BINS - 1]),
        ([math.nan, math.inf, -math.inf], []),
        ([], []),
    ],
)
def test_values_lie_in_their_bins(values: list[float], bins: list[int]) -> None:
    expected = np.bincount(np.array(bins, int), minlength=BINS).tolist()
    assert histogram(torch.tensor(values, dtype=torch.float32)).tolist() == expected


def test_doubles_beyond_float32_are_counted_at_the_ends_and_none_is_rounded_across_an_edge() -> None:
    values = torch.tensor([1e300, -1e300, 1e-300, 1 - 2.0**-53], dtype=torch.float64)
    counts = histogram(values)
    assert (counts[-1], counts[0], counts[MIDDLE], counts[MIDDLE + 48]) == (1, 1, 1, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_random_values_agree_with_numpy_and_with_the_slow_twin(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    exponents = torch.randint(-60, 30, (2000,), generator=generator)
    values: Tensor = torch.randn(2000, dtype=dtype, generator=generator) * 2.0**exponents
    counts = histogram(values)
    assert counts.tolist() == slow(values.tolist())
    assert counts.sum() == 2000
    assert counts.tolist() == np.histogram(values.numpy(), bins=np.array(EDGES))[0].tolist()  # no value is on an edge
