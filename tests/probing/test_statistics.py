from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope import wire
from layerscope.probing.histogram import BINS, histogram
from layerscope.probing.statistics import Moments, measure, table, united

GENERATOR = torch.Generator().manual_seed(0)


def random(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=GENERATOR).to(dtype)


def slow(values: NDArray[np.float64]) -> dict[str, float]:
    """Compute every statistic from its definition, in float64 and in several passes."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        empty = values.size == 0
        return {
            "norm": float(np.sqrt(np.sum(values**2))),
            "mean": float(np.mean(values)),
            "std": float(np.std(values)),
            "min": np.nan if empty else float(np.min(values)),
            "max": np.nan if empty else float(np.max(values)),
            "zero_fraction": np.nan if empty else float(np.mean(values == 0)),
            "nan_count": int(np.isnan(values).sum()),
            "inf_count": int(np.isinf(values).sum()),
        }


def as_double(tensor: Tensor) -> NDArray[np.float64]:
    dense = tensor.to_dense() if tensor.layout != torch.strided else tensor
    return (torch.view_as_real(dense) if dense.is_complex() else dense).double().numpy().ravel()


CASES: dict[str, Callable[[], Tensor]] = {
    "one chunk": lambda: random(1000),
    "many chunks": lambda: random(3, 70_001),
    "bfloat16": lambda: random(500, dtype=torch.bfloat16),
    "float16": lambda: random(500, dtype=torch.float16) * 1000,  # squares overflow float16
    "float8": lambda: random(500).to(torch.float8_e4m3fn),
    "float64": lambda: random(500, dtype=torch.float64) * 1e100,
    "complex": lambda: torch.complex(random(50), random(50)),
    "scalar": lambda: torch.tensor(-3.5),
    "one element": lambda: torch.tensor([2.0]),
    "one zero": lambda: torch.zeros(1),
    "empty": lambda: torch.zeros(0, 3),
    "constant": lambda: torch.full((100_000,), 0.1),
    "large mean": lambda: random(100_000) * 1e-2 + 1e4,
    "zeros": lambda: torch.tensor([0.0, -0.0, 1.0, 0.0]),
    "denormal": lambda: torch.tensor([1e-45, -3e-45, 1e-40]),
    "largest": lambda: torch.full((7,), 3e38),
    "nan": lambda: torch.tensor([1.0, torch.nan, 3.0]),
    "infinity": lambda: torch.tensor([1.0, torch.inf, 3.0]),
    "both infinities": lambda: torch.tensor([-torch.inf, torch.inf, 3.0]),
    "nan and infinity": lambda: torch.tensor([torch.nan, torch.inf, 3.0, torch.nan]),
    "nan in a later chunk": lambda: torch.cat([random(70_000), torch.tensor([torch.nan])]),
    "infinity in a later chunk": lambda: torch.cat([random(70_000), torch.tensor([-torch.inf])]),
    "transposed": lambda: random(30, 40).T,
    "channels last": lambda: random(4, 3, 5, 5).to(memory_format=torch.channels_last),
    "strided": lambda: random(100)[::3],
    "expanded": lambda: random(5, 1).expand(5, 20),
    "sparse": lambda: torch.tensor([[0.0, 0, 2], [0, -3, 0]]).to_sparse(),
    "sparse, uncoalesced": lambda: torch.sparse_coo_tensor(
        torch.tensor([[1, 1, 3]]), torch.tensor([2.0, 5.0, -1.0]), (6,), is_coalesced=False, check_invariants=True
    ),
    "sparse rows of an embedding": lambda: torch.sparse_coo_tensor(
        torch.tensor([[1, 7]]), random(2, 4), (9, 4), check_invariants=True
    ),
    "sparse, nothing in it": lambda: torch.sparse_coo_tensor(size=(3, 3), check_invariants=True),
    "sparse, all in it": lambda: random(3, 3).to_sparse(),
}


@pytest.mark.parametrize("name", CASES)
def test_statistics_equal_those_of_their_definitions(name: str) -> None:
    tensor = CASES[name]()
    before = tensor.clone()
    moments = measure(tensor)
    values = as_double(tensor)
    found, expected = moments.statistics(), slow(values)
    assert list(found) == list(wire.MOMENTS)
    for statistic, value in expected.items():
        assert found[statistic] == pytest.approx(value, rel=1e-9, abs=1e-300, nan_ok=True), statistic
    assert moments.count == values.size
    if values.size:
        assert moments.histogram is not None
        assert moments.histogram.tolist() == histogram(torch.from_numpy(values)).tolist()
    assert torch.equal(as_tensor(tensor), as_tensor(before))
    assert tensor._version == 0


def as_tensor(tensor: Tensor) -> Tensor:
    return torch.from_numpy(as_double(tensor)).nan_to_num(12345)


def test_a_constant_has_no_deviation() -> None:
    moments = measure(torch.full((200_003,), 3.3e10))
    assert moments.deviation > 0  # left by the rounding of the mean
    assert moments.statistics()["std"] == 0


def test_a_tensor_in_pieces_has_the_statistics_of_the_whole() -> None:
    tensor = random(1000) * 3 + 1
    whole, pieces = measure(tensor), united(measure(piece) for piece in tensor.split(7))
    assert pieces.statistics() == pytest.approx(whole.statistics(), rel=1e-12)
    assert pieces.histogram is not None
    assert pieces.histogram.tolist() == histogram(tensor).tolist()
    assert united([]).statistics()["norm"] == 0


def test_the_table_holds_rows_in_order_and_nan_where_nothing_was_measured() -> None:
    rows = [("conv", "conv", measure(torch.tensor([3.0, 4.0]))), ("conv.weight", "conv", None)]
    message = table(rows, with_histogram=True)
    assert (message.layers, message.owners) == (("conv", "conv.weight"), ("conv", "conv"))
    assert message.statistics == wire.MOMENTS
    assert message.values.dtype == np.float32
    assert message.values[0].tolist() == [5.0, 3.5, 0.5, 3.0, 4.0, 0.0, 0.0, 0.0]
    assert np.isnan(message.values[1]).all()
    assert message.histogram is not None
    assert message.histogram.dtype == np.float32
    assert message.histogram.sum(1).tolist() == [2, 0]
    assert len(message.edges) == BINS + 1
    without = table(rows, with_histogram=False)
    assert without.histogram is None
    assert without.edges == ()


def test_a_double_beyond_float32_becomes_infinite_without_a_warning() -> None:
    message = table([("fc", "fc", Moments(count=1, squares=1e100, low=1e300, high=1e300))], with_histogram=False)
    assert message.values[0, wire_column("max")] == np.inf


def wire_column(name: str) -> int:
    return list(wire.MOMENTS).index(name)
