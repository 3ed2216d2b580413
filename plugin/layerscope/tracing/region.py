"""Which elements of its storage a tensor shows, and whether two tensors share any."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Region(NamedTuple):
    """Elements of a storage: those of a tensor with this offset, shape and these strides."""

    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, tensor: torch.Tensor) -> Region:
        """Return the elements that ``tensor`` shows."""
        return cls(int(tensor.storage_offset()), tensor.shape, tensor.stride())

    @property
    def end(self) -> int:
        """The element after the last."""
        if 0 in self.shape:
            return self.offset
        return self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)) + 1

    @property
    def dense(self) -> bool:
        """Whether every element between the first and the last is shown, each once."""
        elements = 1
        for size in self.shape:
            elements *= size
        return elements == self.end - self.offset

    def covers(self, other: Region) -> bool:
        """Whether ``other`` begins and ends within; all of it is then shown if this is ``dense``."""
        return self.offset <= other.offset and other.end <= self.end

    def overlaps(self, other: Region) -> bool:
        """Whether an element is shown by both; also True where that is too hard to tell."""
        if self.offset >= other.end or other.offset >= self.end:
            return False
        strides = sorted({*self._steps(), *other._steps()}, reverse=True)
        one, another = self._intervals(strides), other._intervals(strides)
        if one is None or another is None:
            return True
        return all(first < end and start < last for (first, last), (start, end) in zip(one, another, strict=True))

    def _steps(self) -> list[int]:
        return [stride for size, stride in zip(self.shape, self.strides, strict=True) if size > 1]

    def _intervals(self, strides: list[int]) -> list[tuple[int, int]] | None:
        """Return the region as (first, after last) in a grid with these strides; None if it is no box in it."""
        sizes = {stride: size for size, stride in zip(self.shape, self.strides, strict=True) if size > 1}
        if len(sizes) < len(self._steps()) or 0 in strides:
            return None
        intervals: list[tuple[int, int]] = []
        rest, wider = self.offset, None
        for stride in strides:
            first, rest = divmod(rest, stride)
            last = first + sizes.get(stride, 1)
            # It must not run over into the next row of the grid.
            if wider is not None and (wider % stride or last > wider // stride):
                return None
            intervals.append((first, last))
            wider = stride
        return intervals if rest == 0 or not strides or strides[-1] == 1 else None
