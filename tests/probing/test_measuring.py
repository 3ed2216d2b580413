from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope import wire
from layerscope.probing import measuring
from layerscope.probing.device_measuring import pack_all
from layerscope.probing.histogram import BINS, histogram
from layerscope.probing.measuring import measure
from layerscope.probing.moments import COUNT, FIELDS, Moments, joined, table

GENERATOR = torch.Generator().manual_seed(0)


@pytest.fixture(params=["one pass", "chunks"] if measuring._onepass else ["chunks"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in the extension, where it is built, and then without it."""
    if request.param == "chunks":
        monkeypatch.setattr(measuring, "_onepass", None)


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
    real = torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense
    return real.double().clone().resolve_neg().numpy().ravel()


CASES: dict[str, Callable[[], Tensor]] = {
    "one chunk": lambda: random(1000),
    "many chunks": lambda: random(3, 70_001),
    "bfloat16": lambda: random(500, dtype=torch.bfloat16),
    "float16": lambda: random(500, dtype=torch.float16) * 1000,  # squares overflow float16
    "float8": lambda: random(500).to(torch.float8_e4m3fn),
    "float64": lambda: random(500, dtype=torch.float64) * 1e100,
    "complex": lambda: torch.complex(random(50), random(50)),
    "conjugated": lambda: torch.complex(random(9000), random(9000)).conj(),
    "integers": lambda: torch.arange(-4000, 6000, dtype=torch.int32),
    "few integers": lambda: torch.tensor([-128, 0, 127], dtype=torch.int8),
    "booleans": lambda: torch.tensor([True, False, True]),
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
    "zeros in most rows": lambda: torch.cat([torch.zeros(300_000), random(300)]),
    "zeros only, large": lambda: torch.zeros(5000),
    "large mean, large": lambda: random(300_000) * 1e-2 + 1e4,
    "denormal, large": lambda: torch.full((9000,), 1e-42) * random(9000).sign(),
    "too small to square": lambda: random(9000) * 1e-25,
    "some too small to square": lambda: torch.cat([random(9000) * 1e-25, random(9000)]),
    "largest, large": lambda: random(9000).sign() * 3e38,
    "ones and tens": lambda: 10 ** torch.randint(-6, 6, (200_000,), generator=GENERATOR).float() * random(200_000),
    "bfloat16, large": lambda: random(200_003, dtype=torch.bfloat16),
    "float16, large": lambda: random(200_003, dtype=torch.float16) * 1000,
    "float64, large": lambda: random(200_003, dtype=torch.float64) * 1e100,
    "each number of elements that is left over": lambda: random((1 << 13) + 13),
    "zeros of both signs, large": lambda: torch.where(torch.arange(10_000) % 3 == 0, -0.0, 0.0) * random(10_000).exp(),
    "zeros without memory": lambda: torch._efficientzerotensor((9000,)),
    "negated by a view": lambda: torch._neg_view(random(9000)),
    "half zeros": lambda: random(300_001).relu(),
    "transposed, large": lambda: random(300, 400).T,
    "nan in a large one": lambda: torch.cat([random(70_000), torch.tensor([torch.nan, torch.inf])]),
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


def check(tensor: Tensor, moments: Moments) -> None:
    """Compare with the definitions: norm and deviation to 5e-6, the mean to 1e-6 of the size, all else exactly."""
    values = as_double(tensor)
    found, expected = dict(zip(wire.MOMENTS, moments.statistics()[0].tolist(), strict=True)), slow(values)
    size = expected["norm"] / max(values.size, 1) ** 0.5
    for statistic, value in expected.items():
        exact = statistic not in ("norm", "mean", "std")
        rounded = float(np.float32(value)) if abs(value) < 3.5e38 or not np.isfinite(value) else np.sign(value) * np.inf
        around = {"rel": 0, "abs": 0} if exact else {"rel": 5e-6, "abs": 1e-6 * size if statistic == "mean" else 1e-45}
        assert found[statistic] == pytest.approx(rounded, **around, nan_ok=True), statistic
    assert moments.numbers[0, COUNT] == values.size
    if values.size:
        assert moments.histogram is not None
        assert moments.histogram[0].tolist() == histogram(torch.from_numpy(values)).tolist()


@pytest.mark.parametrize("name", CASES)
def test_statistics_equal_those_of_their_definitions(name: str) -> None:
    tensor = CASES[name]()
    before = tensor.clone()
    check(tensor, measure([tensor]))
    assert torch.equal(as_tensor(tensor), as_tensor(before))
    assert tensor._version == 0


_OTHERS = ("sparse", "complex", "conjugated", "integers", "booleans", "negated")
PLAIN = [name for name in CASES if not any(word in name for word in _OTHERS)]


@pytest.mark.parametrize("name", PLAIN)
def test_an_accelerator_would_give_the_same(name: str) -> None:
    tensor = CASES[name]()
    pieces = [piece for piece in tensor.flatten().split(1 << 16) if piece.numel()]
    others = [(len(pieces), torch.ones(3, dtype=tensor.dtype)), (len(pieces) + 1, torch.zeros(2000))]
    packed = pack_all([*enumerate(pieces), *others], with_histogram=True)
    rows = {number: row for numbers, rows in packed for number, row in zip(numbers, rows.numpy(), strict=True)}
    if pieces:
        found = np.stack([rows[i] for i in range(len(pieces))])
        moments = Moments(found[:, : len(FIELDS)], found[:, len(FIELDS) :].astype(np.int64))
        check(tensor, moments.united([range(len(pieces))]))
    assert rows[len(pieces)][: len(FIELDS)].tolist() == pytest.approx([3, 1, 0, 3, 1, 1, 0, 0, 0], abs=1e-14)
    assert rows[len(pieces) + 1][: len(FIELDS)].tolist() == [2000, 0, 0, 0, 0, 0, 2000, 0, 0]


def as_tensor(tensor: Tensor) -> Tensor:
    return torch.from_numpy(as_double(tensor)).nan_to_num(12345)


def test_many_tensors_are_measured_as_each_alone() -> None:
    tensors = [random(size) for size in range(1, 600)] + [make() for make in CASES.values()]
    together = measure(tensors)
    alone = joined([measure([tensor]) for tensor in tensors])
    np.testing.assert_array_equal(together.numbers, alone.numbers)
    assert together.histogram is not None
    np.testing.assert_array_equal(together.histogram, alone.histogram)


def test_a_constant_has_no_deviation() -> None:
    moments = Moments(
        np.array([[3.0, 0.1, 1e-17, 0.03, 0.1, 0.1, 0.0, 0.0, 0.0]])
    )  # as the rounding of a mean leaves it
    assert moments.statistics()[0, wire_column("std")] == 0


def test_a_tensor_in_pieces_has_the_statistics_of_the_whole() -> None:
    tensor = random(1000) * 3 + 1
    pieces = measure(tensor.split(7))
    united = pieces.united([range(len(pieces)), [], [0]])
    check(tensor, united)
    assert united.statistics()[1, 0] == 0
    assert np.isnan(united.statistics()[1, 1:6]).all()
    check(tensor[:7], Moments(united.numbers[2:], united.histogram[2:]))


def test_the_table_holds_rows_in_order_and_nan_where_nothing_was_measured() -> None:
    moments = measure([torch.tensor([3.0, 4.0]), torch.zeros(0)])
    message = table(["conv", "conv.weight"], ["conv", "conv"], moments, measured=np.array([True, False]))
    assert (message.layers, message.owners) == (("conv", "conv.weight"), ("conv", "conv"))
    assert message.statistics == wire.MOMENTS
    assert message.values.dtype == np.float32
    assert message.values[0].tolist() == [5.0, 3.5, 0.5, 3.0, 4.0, 0.0, 0.0, 0.0]
    assert np.isnan(message.values[1]).all()
    assert message.histogram is not None
    assert message.histogram.dtype == np.float32
    assert message.histogram.sum(1).tolist() == [2, 0]
    assert len(message.edges) == BINS + 1
    without = table(["conv"], ["conv"], measure([torch.ones(1)], with_histogram=False))
    assert without.histogram is None
    assert without.edges == ()


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_measured_tensor_can_still_be_resized(size: int) -> None:
    tensors = [random(size), torch.zeros(size)]
    measure(tensors)
    for tensor in tensors:
        tensor.untyped_storage().resize_(0)  # as FSDP does with what it has gathered
        assert tensor.untyped_storage().nbytes() == 0


def test_a_tensor_whose_memory_was_released_is_refused_and_not_read() -> None:
    view = torch.ones(100_000)[5:]
    view.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="storage"):
        measure([view])


def test_a_double_beyond_float32_becomes_infinite_without_a_warning() -> None:
    message = table(["fc"], ["fc"], measure([torch.tensor([1e300], dtype=torch.float64)]))
    assert message.values[0, wire_column("max")] == np.inf


def wire_column(name: str) -> int:
    return wire.MOMENTS.index(name)
