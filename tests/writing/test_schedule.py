"""The bound on bytes holds whatever comes, and what is recorded is spread over the run as the docstring says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerscope.errors import InvalidArgumentError
from layerscope.writing.schedule import EVERY, MAX_BYTES, WITH_HISTOGRAMS, Schedule, Schedules


def _recorded(schedule: Schedule, steps: range, size: int) -> list[int]:
    return [step for step in steps if schedule.due(step) and schedule.admit(step, size)]


@given(
    every=st.integers(1, 200),
    max_bytes=st.integers(0, 20_000),
    asked=st.lists(st.tuples(st.integers(-5, 10**7), st.integers(1, 3000), st.integers(0, 2)), max_size=200),
)
def test_the_bound_holds_for_any_steps_and_sizes(every: int, max_bytes: int, asked: list[tuple[int, int, int]]) -> None:
    schedule = Schedule(every, max_bytes)
    written = sum(
        size for step, size, source in asked if schedule.due(step, source) and schedule.admit(step, size, source)
    )
    assert schedule.bytes_written == written <= max_bytes


@given(every=st.integers(1, 50), records=st.integers(1, 300), start=st.integers(0, 10**6), stride=st.integers(1, 10**5))
def test_records_come_at_first_at_every_multiple_and_then_ever_further_apart(
    every: int, records: int, start: int, stride: int
) -> None:
    schedule = Schedule(every, records * 1000)
    steps = _recorded(schedule, range(start, start + 5000 * stride, stride), 1000)
    assert steps[0] == start
    assert len(steps) <= records
    aligned = [step - step % schedule.spacing for step in steps]
    assert aligned[-1] <= steps[-1] < aligned[-1] + stride + schedule.spacing
    if stride == 1:
        assert all(step % every == 0 for step in steps[1:])
        gaps = [after - before for before, after in itertools.pairwise(steps[1:])]
        assert gaps == sorted(gaps)
        if records >= 40:  # fewer leave octaves out
            assert all(math.log2(gap / every).is_integer() for gap in gaps)
        full = next((i for i, gap in enumerate(gaps) if gap != every), len(gaps)) + 2
        assert full >= min(records // 20, len(steps))


@pytest.mark.parametrize("stride", [1, 7, 1_000_000])
@pytest.mark.parametrize("records", [100, 1000, 10_000])
def test_the_last_half_of_any_run_has_its_records(records: int, stride: int) -> None:
    schedule = Schedule(1, records * 1000)
    steps = [step // stride for step in _recorded(schedule, range(0, 200_000 * stride, stride), 1000)]
    full = next(i for i, step in enumerate(steps) if step != i)
    assert records / 20 <= full <= records / 13
    for length in (50_000, 100_000, 150_000, 200_000):
        assert 0.7 * full <= sum(length / 2 <= step < length for step in steps) <= 1.1 * full


def test_a_run_longer_than_the_horizon_is_still_recorded() -> None:
    schedule = Schedule(1000, 300 * 1000)
    steps = _recorded(schedule, range(0, 80_000_000, 500), 1000)
    assert len(steps) <= 300
    assert steps[-1] > 40_000_000


def test_few_records_are_spread_over_the_run() -> None:
    steps = _recorded(Schedule(10, 5000), range(10**6), 1000)
    assert steps == [0, 10, 2560, 327680]


def test_the_answer_stays_until_the_record_is_there() -> None:
    schedule = Schedule(10, 10_000)
    assert [schedule.due(step) for step in (3, 3, 4, 10, 10, 11)] == [True, True, False, True, True, False]
    assert schedule.admit(10, 100)  # as from an accelerator: later
    assert [schedule.due(step) for step in (10, 12, 20)] == [False, False, True]
    assert schedule.due(15)  # went back: restarted inside one process


def test_several_sources_have_the_same_steps() -> None:
    schedule = Schedule(1, 300 * 1000)
    found: dict[str, list[int]] = {"generator": [], "critic": []}
    for step in range(2000):
        for source, size in (("generator", 700), ("critic", 300)):
            if schedule.due(step, source) and schedule.admit(step, size, source):
                found[source].append(step)
    assert found["generator"] == found["critic"]
    assert 100 < len(found["critic"]) < 300


def test_series_and_histograms_share_the_bytes() -> None:
    schedules = Schedules(max_bytes=9 * 10_000)
    shares = [("series", name) for name in EVERY if name != "histograms"]
    shares += [("histograms", name) for name in WITH_HISTOGRAMS]
    assert len(shares) == 9
    for kind, name in shares:
        assert schedules.due(kind, name, 0)
        assert schedules.admit(kind, name, 0, 10_000)
        assert not schedules.admit(kind, name, 1, 1)
    assert schedules.bytes_written == 90_000
    assert not schedules.due("histograms", "updates", 0)


@pytest.mark.parametrize(
    ("every", "values", "histograms"),
    [
        (None, {"gradients": 1, "parameters": 50, "training_activations": 100}, {"gradients": 10, "parameters": 50}),
        ({"histograms": 15}, {"gradients": 1}, {"gradients": 15, "parameters": 50, "training_activations": 100}),
        ({"gradients": 3, "parameters": 0}, {"gradients": 3, "updates": 50, "parameters": 0}, {"gradients": 12}),
        ({"histograms": 0}, {"gradients": 1}, {"gradients": 0}),
        (7, {"gradients": 7, "updates": 7}, {"gradients": 7, "activation_gradients": 7}),
        (0, {"gradients": 0}, {"gradients": 0}),
    ],
)
def test_every_says_how_often(
    every: int | dict[str, int] | None, values: dict[str, int], histograms: dict[str, int]
) -> None:
    schedules = Schedules(every, MAX_BYTES)
    for kind, expected in (("series", values), ("histograms", histograms)):
        for name, spacing in expected.items():
            due = [step for step in range(spacing * 4 + 1) if schedules.due(kind, name, step)]
            assert due == ([] if spacing == 0 else [0, spacing, 2 * spacing, 3 * spacing, 4 * spacing])


def test_a_record_that_can_never_fit_is_told() -> None:
    schedules = Schedules({"gradients": 1, "histograms": 1}, max_bytes=1000)
    message = r"leaves 111 bytes for the histograms of gradients, but one .* takes 500, .* max_bytes=450000"
    with pytest.raises(InvalidArgumentError, match=message):
        schedules.admit("histograms", "gradients", 0, 500)
    assert not schedules.due("histograms", "gradients", 1)
    assert schedules.due("series", "gradients", 0)


@pytest.mark.parametrize(
    ("every", "max_bytes", "message"),
    [
        ({"gradient": 1}, 1, "names 'gradient', but what can be recorded is gradients, parameters"),
        ({"gradients": -1}, 1, r"every\['gradients'\] must be a whole number of steps >= 0, but it is -1"),
        ({"gradients": 0.5}, 1, "but it is 0.5"),
        (True, 1, "but it is True"),
        (1, -1, "max_bytes must be a whole number >= 0, but it is -1"),
    ],
)
def test_what_makes_no_sense_is_refused(every: object, max_bytes: int, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Schedules(every, max_bytes)  # pyright: ignore[reportArgumentType]


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    schedules = Schedules(np.int64(5), np.int32(10**9))  # pyright: ignore[reportArgumentType]
    assert [step for step in range(11) if schedules.due("series", "gradients", step)] == [0, 5, 10]
    assert (type(schedules.max_bytes), schedules.max_bytes) == (int, 10**9)
    one = Schedules({"updates": np.int16(3)})  # pyright: ignore[reportArgumentType]
    assert [step for step in range(7) if one.due("series", "updates", step)] == [0, 3, 6]
