"""repeats() against a slow twin that tries every period."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from layerscope.structure.repeats import repeats


def slow_repeats(items: list[int]) -> set[tuple[int, int, int]]:
    """Every longest stretch of every period, but for those whose pattern is itself a repetition."""
    found: set[tuple[int, int, int]] = set()
    for period in range(1, len(items) // 2 + 1):
        equal = [a == b for a, b in zip(items, items[period:], strict=False)] + [False]
        start = 0
        for place, same in enumerate(equal):
            if not same:
                pattern = items[start : start + period]
                divides = [d for d in range(1, period) if period % d == 0]
                if place - start >= period and not any(pattern[:d] * (period // d) == pattern for d in divides):
                    found.add((start, place + period, period))
                start = place + 1
    return found


@given(st.lists(st.integers(0, 2), max_size=40))
def test_all_stretches_are_found(items: list[int]) -> None:
    found = [tuple(repeat) for repeat in repeats(items)]
    assert len(found) == len(set(found))
    assert slow_repeats(items) <= set(found)
    for start, stop, period in found:
        assert all(items[i] == items[i + period] for i in range(start, stop - period))
        assert stop - start >= 2 * period


def test_long_periods_are_found_in_time() -> None:
    began = time.process_time()
    assert (0, 20_000, 500) in set(repeats([i % 500 for i in range(20_000)]))
    assert time.process_time() - began < 2  # 0.1 s, measured
