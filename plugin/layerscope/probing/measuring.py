"""Measures tensors: their moments and, if asked for, their histograms, in about one pass over memory.

Memory is what limits this: a gradient is read from it once. Where ``_onepass.c`` was built, float32 goes through it.
Else it goes in chunks that the cache of a CPU core holds, and each operation of torch and NumPy looks at the chunk
while it is there, which takes two to three times as long. Sums are taken in float32, as fast as they can be, and added
up in float64. Where float32 would not do (a sum that overflows or underflows, a mean that drowns the deviation, NaN or
infinity), which the sums themselves tell, it is measured again in float64.

Tensors smaller than a chunk by far are measured together, so that hundreds of biases cost a few operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.probing.device_measuring import Transfer, pack_all, send
from layerscope.probing.histogram import BINS, Tally, code_count, codes, fold, histogram
from layerscope.probing.moments import COUNT, FIELDS, ZEROS, Moments, joined

try:
    from layerscope.probing import _onepass
except ImportError:  # there was no C compiler when the package was built
    _onepass = None

_CHUNK = 1 << 17
"""Elements that are looked at together: 512 KiB of float32, which the second cache of a core holds."""

_SMALL = 1 << 12
"""Tensors of at most so many elements are measured together, ``_TOGETHER`` elements and tensors at a time."""
_TOGETHER = 1 << 20
_TENSORS_TOGETHER = 256

_LEAST_SQUARE = 2.0**-100
"""Mean square below which squares in float32 may have lost what is below its smallest normal number, 2^-126."""

_LEAST_VARIANCE = 2.0**-5
"""Share of the mean square below which the difference of square mean and mean square has lost too many digits."""


class Measuring:
    """Measurements of several tensors, taken at once or one after the other.

    What lies on the CPU is measured when it is added. What lies on an accelerator is measured there; nothing waits for
    it: ``send`` begins one copy of all that was found, and ``result`` gives it.

    Args:
        with_histogram: count the elements of each bin too.
    """

    def __init__(self, *, with_histogram: bool) -> None:
        self._with_histogram = with_histogram
        self._tally = Tally(_CHUNK) if with_histogram else None
        self._sets = 0
        self._found: list[tuple[Sequence[int], Moments]] = []
        self._packed: dict[torch.device, list[tuple[Sequence[int], Tensor]]] = {}
        self._loose: dict[torch.device, list[tuple[int, Tensor]]] = {}
        self._transfers: list[tuple[list[Sequence[int]], list[int], Transfer]] = []
        self._numbers: list[float] = []

    def add(self, tensors: Sequence[Tensor]) -> range:
        """Measure tensors as ``measure`` does; return the numbers of their sets in ``result()``."""
        small: list[tuple[int, Tensor]] = []
        elsewhere: list[tuple[int, Tensor]] = []
        first, self._sets = self._sets, self._sets + len(tensors)
        for i, tensor in enumerate(tensors, first):
            flat, absent = _explicit(tensor.detach())
            if absent:
                self._found.append(([i], _zeros(absent, with_histogram=self._with_histogram)))
            if not flat.numel():
                continue
            if flat.device.type != "cpu":
                elsewhere.append((i, flat))
            elif flat.numel() <= _SMALL:
                small.append((i, flat))
            else:
                moments = _measure_large(flat, self._tally)
                self._found.append(([i] * len(moments), moments))
        for group in _grouped(small):
            moments = _measure_small([flat for _, flat in group], with_histogram=self._with_histogram)
            self._found.append(([i for i, _ in group], moments))
        for sets, packed in pack_all(elsewhere, with_histogram=self._with_histogram):
            self._packed.setdefault(packed.device, []).append((sets, packed))
        return range(first, self._sets)

    def add_number(self, number: Tensor | float) -> int:
        """Take a single number along; return its place in ``numbers()``."""
        self._numbers.append(math.nan if isinstance(number, Tensor) else number)
        if isinstance(number, Tensor):
            self._loose.setdefault(number.device, []).append((len(self._numbers) - 1, number))
        return len(self._numbers) - 1

    def send(self) -> None:
        """Begin to copy what was found since the last time, in one copy for each device."""
        for device in {*self._packed, *self._loose}:
            packed, loose = self._packed.pop(device, []), self._loose.pop(device, [])
            tensors = [rows for _, rows in packed] + [number.detach().double().reshape(1) for _, number in loose]
            self._transfers.append(([sets for sets, _ in packed], [i for i, _ in loose], send(tensors)))

    @property
    def arrived(self) -> bool:
        """Whether ``result()`` and ``numbers()`` need not wait."""
        return not self._packed and not self._loose and all(transfer.arrived for *_, transfer in self._transfers)

    def result(self) -> Moments:
        """Return the moments of every set in the order in which they were added; waits for what is on its way."""
        self._receive()
        groups: list[list[int]] = [[] for _ in range(self._sets)]
        for row, number in enumerate(i for sets, _ in self._found for i in sets):
            groups[number].append(row)
        return joined([moments for _, moments in self._found]).united(groups)

    def numbers(self) -> list[float]:
        """Return the single numbers that were taken along; waits for what is on its way."""
        self._receive()
        return self._numbers

    def _receive(self) -> None:
        self.send()
        size = len(FIELDS)
        for parts, places, transfer in self._transfers:
            arrays = transfer.result()
            for sets, rows in zip(parts, arrays, strict=False):
                counts = rows[:, size:].astype(np.int64) if self._with_histogram else None
                self._found.append((sets, Moments(rows[:, :size], counts)))
            for place, number in zip(places, arrays[len(parts) :], strict=True):
                self._numbers[place] = float(number[0])
        self._transfers.clear()


def measure(tensors: Sequence[Tensor], *, with_histogram: bool = True) -> Moments:
    """Return the moments of all elements of each tensor; none is modified.

    Norm and deviation are within 5e-6 of float64, the mean within 1e-6 of the root mean square, all else exact.

    Args:
        tensors: of any shape, device, layout and type. Of a sparse one the implicit zeros count too; of a complex one
            real and imaginary parts are counted as elements.
        with_histogram: count the elements of each bin too.
    """
    measuring = Measuring(with_histogram=with_histogram)
    measuring.add(tensors)
    return measuring.result()


def _zeros(count: int, *, with_histogram: bool) -> Moments:
    numbers = np.zeros((1, len(FIELDS)))
    numbers[0, [COUNT, ZEROS]] = count
    if not with_histogram:
        return Moments(numbers)
    counts = np.zeros((1, BINS), np.int64)
    counts[0, BINS // 2] = count
    return Moments(numbers, counts)


def _explicit(tensor: Tensor) -> tuple[Tensor, int]:
    """Return the elements that are stored, in one dimension, and how many implicit zeros there are besides."""
    absent = 0
    if tensor.layout != torch.strided:
        total = tensor.numel()
        if tensor.layout == torch.sparse_coo:
            tensor = tensor.coalesce().values()
        elif tensor.layout in (torch.sparse_csr, torch.sparse_csc):
            tensor = tensor.values()
        else:
            tensor = tensor.to_dense()
        absent = total - tensor.numel()
    if tensor.is_neg() or tensor._is_zerotensor():  # memory holds something else, or there is none
        tensor = tensor.resolve_neg().clone()
    if tensor.is_complex():
        tensor, absent = torch.view_as_real(tensor.resolve_conj().resolve_neg()), 2 * absent
    elif not tensor.is_floating_point():
        tensor = tensor.double()
    if tensor.device.type == "mps":
        tensor = tensor.cpu()  # that device knows no float64
    return _flat(tensor), absent


def _flat(tensor: Tensor) -> Tensor:
    """Return all elements in one dimension, in the order of memory, so that a dense tensor need not be copied."""
    if tensor.is_contiguous():
        return tensor.reshape(-1)
    order = sorted(range(tensor.ndim), key=lambda dim: -tensor.stride(dim))
    return tensor.permute(order).reshape(-1)


def _measure_large(flat: Tensor, tally: Tally | None) -> Moments:
    """Return the moments of each chunk of a tensor; if there is a tally, the counts of all are with the first."""
    found = _measure_in_one_pass(flat, with_histogram=tally is not None)
    if found is not None:
        return found
    chunks = flat.split(_CHUNK)
    numbers = np.empty((len(chunks), len(FIELDS)))
    bins = None if tally is None else np.zeros((len(chunks), BINS), np.int64)
    is_zero = np.empty(min(_CHUNK, flat.numel()), np.bool_)
    whole = _array_of(flat) if flat.dtype.itemsize >= 4 else None
    for i, chunk in enumerate(chunks):
        if whole is None:
            chunk = chunk.float()  # exact; half precision knows few operations
        array = chunk.numpy() if whole is None else whole[i * _CHUNK : (i + 1) * _CHUNK]
        numbers[i] = _measure_chunk(chunk, array, is_zero)
        if tally is None or bins is None:
            continue
        if chunk.dtype == torch.float32:
            tally.add(chunk)
        else:
            bins[i] = histogram(chunk).numpy()
    if tally is not None and bins is not None:
        bins[0] += tally.take().numpy()
    return Moments(numbers, bins)


def _measure_in_one_pass(flat: Tensor, *, with_histogram: bool) -> Moments | None:
    """Return the moments of a tensor; None if it must go in chunks."""
    if _onepass is None or not _is_plain_float32(flat):
        return None
    counts = torch.zeros(1, code_count(torch.float32), dtype=torch.int64) if with_histogram else None
    count = flat.numel()
    address = 0 if counts is None else counts.data_ptr()
    total, squares, low, high, zeros = _onepass.moments(flat.data_ptr(), count, address)
    mean = total / count
    deviation = squares - total * mean
    if not _trusted(count, total, squares, deviation):
        return None
    numbers = np.array([[count, mean, deviation, squares, low, high, zeros, 0, 0]], np.float64)
    return Moments(numbers, None if counts is None else fold(counts).numpy())


def _is_plain_float32(flat: Tensor) -> bool:
    """Return whether memory holds the elements one by one: not so of subclasses, and where it was released."""
    if type(flat) is not Tensor or flat.dtype != torch.float32 or not flat.is_contiguous():
        return False
    return 4 * (flat.storage_offset() + flat.numel()) <= flat.untyped_storage().nbytes()


def _trusted(count: int, total: float, squares: float, deviation: float) -> bool:
    """Return whether sums that were taken in float32 will do."""
    return (
        math.isfinite(total)
        and math.isfinite(squares)
        and deviation >= squares * _LEAST_VARIANCE
        and squares >= count * _LEAST_SQUARE
    )


def _array_of(tensor: Tensor) -> NDArray[Any]:
    """Return a view of a tensor. ``Tensor.numpy`` would leave a trace: its storage could not be resized any more."""
    return np.from_dlpack(tensor)  # pyright: ignore[reportArgumentType]


def _measure_chunk(chunk: Tensor, array: NDArray[Any], is_zero: NDArray[np.bool_]) -> Sequence[float]:
    """Return the moments of a chunk in the order of ``FIELDS``; ``array`` is a view, ``is_zero`` room to work in."""
    count = chunk.numel()
    total, squares = float(chunk.sum()), float(torch.dot(chunk, chunk))
    mean = total / count
    deviation = squares - total * mean
    if not _trusted(count, total, squares, deviation):
        return _measure_exactly(array)
    is_zero = is_zero[:count]
    np.equal(array, 0, out=is_zero)
    zeros = int(np.count_nonzero(is_zero)) if np.logical_or.reduce(is_zero) else 0
    # NumPy's minimum and maximum are faster here than torch's one pass for both.
    low, high = float(np.minimum.reduce(array)), float(np.maximum.reduce(array))
    return count, mean, deviation, squares, low, high, zeros, 0, 0


def _measure_exactly(array: NDArray[Any]) -> Sequence[float]:
    """Return the moments of a chunk in the order of ``FIELDS``, from sums in float64."""
    if not array.any():  # as most rows of an embedding's gradient
        return array.size, 0.0, 0.0, 0.0, 0.0, 0.0, array.size, 0, 0
    wide = array.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        mean = wide.mean()
        squares = np.dot(wide, wide)
        centred = wide - mean
        deviation = np.dot(centred, centred)
    finite = math.isfinite(squares) and math.isfinite(mean)
    nans = 0 if finite else int(np.isnan(array).sum())
    infs = 0 if finite else int(np.isinf(array).sum())
    zeros = array.size - int(np.count_nonzero(array))
    return array.size, mean, deviation, squares, wide.min(), wide.max(), zeros, nans, infs


def _grouped(small: list[tuple[int, Tensor]]) -> Iterator[list[tuple[int, Tensor]]]:
    """Yield tensors that can be measured together: of one type, and not too many."""
    groups: dict[torch.dtype, list[tuple[int, Tensor]]] = {}
    for item in small:
        group = groups.setdefault(item[1].dtype, [])
        if len(group) == _TENSORS_TOGETHER or len(group) * _SMALL >= _TOGETHER:
            yield group.copy()
            group.clear()
        group.append(item)
    yield from (group for group in groups.values() if group)


def _measure_small(flats: list[Tensor], *, with_histogram: bool) -> Moments:
    """Return the moments of each of several tensors of one type, from sums in float64."""
    flat = torch.cat(flats)
    if flat.dtype.itemsize < 4:
        flat = flat.float()
    array = flat.numpy()
    lengths = np.array([len(part) for part in flats])
    starts = np.cumsum(lengths) - lengths
    wide = array.astype(np.float64)
    numbers = np.empty((len(flats), len(FIELDS)))
    with np.errstate(invalid="ignore", over="ignore"):
        mean = np.add.reduceat(wide, starts) / lengths
        centred = wide - np.repeat(mean, lengths)
        columns = (
            lengths,
            mean,
            np.add.reduceat(centred * centred, starts),
            np.add.reduceat(wide * wide, starts),
            np.minimum.reduceat(wide, starts),
            np.maximum.reduceat(wide, starts),
            np.add.reduceat(array == 0, starts, dtype=np.int64),
            np.add.reduceat(np.isnan(array), starts, dtype=np.int64),
            np.add.reduceat(np.isinf(array), starts, dtype=np.int64),
        )
    for i, column in enumerate(columns):
        numbers[:, i] = column
    if not with_histogram:
        return Moments(numbers)
    size = code_count(flat.dtype)
    coded = codes(flat).long() + torch.from_numpy(np.repeat(np.arange(len(flats)) * size, lengths))
    counts = torch.bincount(coded, minlength=len(flats) * size).reshape(len(flats), size)
    return Moments(numbers, fold(counts).numpy())
