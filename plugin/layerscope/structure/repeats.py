"""Runs of a repeated pattern in a sequence, for patterns of any length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_LONGEST_ROW = 64


class Repeat(NamedTuple):
    """A stretch ``[start, stop)`` in which every item equals the one that stands ``period`` items before it."""

    start: int
    stop: int
    period: int


def repeats(items: Sequence[int]) -> Iterator[Repeat]:
    """Yield the longest stretches in which a pattern occurs twice at least, by period and then by place.

    A period is tried where it lies between two successive occurrences of some 1, 2, 4, ... or 64 items in a row: a
    repeated pattern holds such a row, unless all its rows recur within it, and then it is built of repetitions that
    are found instead. Thus the time grows with the number of items, not with its square.
    """
    places: dict[int, set[int]] = {}
    rows, length = list(items), 1
    while rows and length <= _LONGEST_ROW:
        latest: dict[int, int] = {}
        for place, row in enumerate(rows):
            if row in latest:
                places.setdefault(place - latest[row], set()).add(latest[row])
            latest[row] = place
        if len(latest) == len(rows):
            break  # no row recurs, so no longer one does
        numbers: dict[tuple[int, int], int] = {}
        rows = [numbers.setdefault(pair, len(numbers)) for pair in zip(rows, rows[length:], strict=False)]
        length *= 2
    for period in sorted(places):
        known = 0  # where the stretch found last ends: further ones begin behind it
        for place in sorted(places[period]):
            if place < known:
                continue
            start, stop = place, place
            while start > known and items[start - 1] == items[start - 1 + period]:
                start -= 1
            while stop + period < len(items) and items[stop] == items[stop + period]:
                stop += 1
            known = stop
            if stop - start >= period:
                yield Repeat(start, stop + period, period)
