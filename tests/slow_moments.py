"""The statistics of a series from their definitions, slowly and in float64: what the fast ways are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope import wire


def doubles(tensors: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return all elements of some tensors, implicit zeros of sparse ones too."""
    dense = [tensor.detach().to_dense() if tensor.is_sparse else tensor.detach() for tensor in tensors]
    return np.concatenate([tensor.double().numpy().ravel() for tensor in dense])


def slow_moments(*tensors: Tensor) -> list[float]:
    """Return the statistics of all elements together, in the order of ``wire.MOMENTS``."""
    values = doubles(tensors)
    with np.errstate(invalid="ignore", over="ignore"):
        return [
            np.sqrt(np.sum(values**2)),
            np.mean(values),
            np.std(values),
            np.min(values),
            np.max(values),
            np.mean(values == 0),
            np.isnan(values).sum(),
            np.isinf(values).sum(),
        ]


def assert_moments(values: Sequence[float] | NDArray[np.float32], *tensors: Tensor, where: str = "") -> None:
    """Check one row of a series, of which the first columns are ``wire.MOMENTS``."""
    expected = slow_moments(*tensors)
    scale = expected[0] / max(1, sum(tensor.numel() for tensor in tensors)) ** 0.5  # root mean square
    atol = 2e-6 * scale if np.isfinite(scale) else 0.0
    np.testing.assert_allclose(values[: len(wire.MOMENTS)], expected, rtol=1e-5, atol=atol, err_msg=where)


def assert_counts(counts: NDArray[np.float32], *tensors: Tensor, where: str = "") -> None:
    """Check one histogram: the elements between any two powers of two, and what is near zero."""
    values = doubles(tensors)
    finite = values[np.isfinite(values)]
    assert counts.sum() == finite.size, where
    middle = len(counts) // 2
    assert counts[middle] == (np.abs(finite) < 2.0**-48).sum(), where
    for exponent in range(-20, 15):
        between = (2.0**exponent <= finite) & (finite < 2.0 ** (exponent + 1))
        assert counts[middle + 49 + exponent] == between.sum(), f"{where}: 2^{exponent}"


def united(model: nn.Module, row: str) -> list[str]:
    """Return the names of the parameters that a row of a series unites, each parameter once."""
    named = dict(model.named_parameters(remove_duplicate=False))
    if row in named:
        return [row]
    first = {id(parameter): name for name, parameter in reversed(named.items())}
    inside = [p for name, p in named.items() if row.startswith("<") or name.startswith(f"{row}.")]
    return list(dict.fromkeys(first[id(parameter)] for parameter in inside))


def column(statistics: wire.Statistics | wire.Series, name: str) -> NDArray[np.float32]:
    """Return one statistic of all rows (and steps)."""
    return statistics.values[..., statistics.statistics.index(name)]
