"""Tags of one series become one array; of a row at a step, what was written last counts."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from layerscope.errors import MalformedError
from layerscope.viewing import joining
from layerscope.viewing.joining import Part, join
from layerscope.viewing.store import Arrays

GOLDEN = Path(__file__).parents[1] / "golden" / "joining.json"


def _part(layers: str, columns: str, steps: range, wall_time: float) -> Part:
    shape = (len(layers), len(columns))
    return Part(
        tuple(layers),
        tuple(columns),
        Arrays((step, wall_time + step, np.full(shape, wall_time + step, np.float32)) for step in steps),
    )


def test_the_last_wall_time_wins_in_any_order_of_tags() -> None:
    parts = [_part("ab", "x", range(3), 0), _part("bc", "xy", range(1, 4), 100), _part("a", "y", range(2, 3), 50)]
    nan = np.nan
    for order in itertools.permutations(parts):
        joined = join(order)
        assert joined.layers == ("a", "b", "c")
        assert joined.columns == ("x", "y")
        np.testing.assert_array_equal(joined.steps, [0, 1, 2, 3])
        np.testing.assert_array_equal(joined.values[:, 0, 0], [0, 1, nan, nan])  # at step 2 the last has no column x
        np.testing.assert_array_equal(joined.values[:, 0, 1], [nan, nan, 52, nan])
        np.testing.assert_array_equal(joined.values[:, 1, 0], [0, 101, 102, 103])
        np.testing.assert_array_equal(joined.values[:, 2, 1], [nan, 101, 102, 103])


def test_rows_are_joined_as_the_front_end_joins_them() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    parts = [
        Part(
            tuple(part["metadata"]["layers"]),
            tuple(statistic["name"] for statistic in part["metadata"]["statistics"]),
            Arrays(
                (step, wall_time, np.array(values, np.float32))  # null is NaN
                for step, wall_time, values in zip(part["steps"], part["wall_times"], part["values"], strict=True)
            ),
        )
        for part in golden["parts"]
    ]
    for order in itertools.permutations(parts):
        joined = join(order)
        assert list(joined.layers) == golden["joined"]["rows"]
        assert list(joined.columns) == golden["joined"]["statistics"]
        np.testing.assert_array_equal(joined.steps, golden["joined"]["steps"])
        np.testing.assert_array_equal(joined.values, np.array(golden["joined"]["values"], np.float32))


def test_of_one_tag_the_last_wall_time_of_a_step_wins() -> None:
    data = [(0, 1.0, np.full((1, 1), 1)), (1, 9.0, np.full((1, 1), 2)), (1, 3.0, np.full((1, 1), 3))]
    for order in itertools.permutations(data):
        np.testing.assert_array_equal(Arrays(order).values[:, 0, 0], [1, 2])


def test_what_was_hardly_written_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    many = "".join(map(chr, range(100, 140)))
    wide, long = _part(many, "x", range(1), 0), _part("a", "x", range(40), 100)
    taken = 40 * 41 * (4 + 8)  # a float32 of each, and a float64 when it was written
    monkeypatch.setattr(joining, "MAX_SPARSE_BYTES", taken - 1)
    with pytest.raises(MalformedError, match="has 40 steps of 41 layers with 1 columns, but only 80 of these 1640"):
        join([wide, long])
    assert join([_part(many, "x", range(200), 0)]).values.shape == (200, 40, 1)  # larger, but all of it is there
    monkeypatch.setattr(joining, "MAX_SPARSE_BYTES", taken)
    joined = join([wide, long])
    assert (joined.values.shape, int(np.isfinite(joined.values).sum())) == ((40, 41, 1), 80)


def test_series_without_columns_take_no_memory_either() -> None:
    with pytest.raises(MalformedError, match="has 3000 steps of 3000 layers with 0 columns"):
        joining.check_size(3000, 3000, 0, 0)
