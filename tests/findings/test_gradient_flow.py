"""Vanishing and exploding gradients: by hand-made series, on both sides of each threshold."""

from __future__ import annotations

import numpy as np
import pytest

from hand_made_graphs import chain, module
from hand_made_series import INF, NAN, examined, gradients, moments, of_layers
from layerscope.findings.exploding import Exploding
from layerscope.findings.vanishing import Vanishing

FIVE = ("a", "b", "c", "d", "e")


def flow(*sizes: float, steps: range) -> list[tuple[int, str, object]]:
    return [(step, "gradients", gradients(dict(zip(FIVE, sizes, strict=False)))) for step in steps]


def test_vanishing_names_the_first_layer_with_its_numbers() -> None:
    (found,) = examined(flow(1e-6, 1e-5, 1e-3, 0.1, 1.0, steps=range(20, 30)))
    assert (found.detector, found.severity, found.step, found.layer) == ("vanishing", "warning", 24, "a")
    assert found.others == ("b",)
    expected = {"ratio": 1e-6, "early": 1e-6, "late": 1.0, "layer": 1e-6, "layers": 5, "since_step": 20}
    assert found.evidence == pytest.approx(expected)
    assert found.message.endswith(" It holds in every record since step 20.")
    assert "in 'a' it is 1.0e-06 of what it is in the last layers" in found.message
    assert found.measure == "gradients.norm"


@pytest.mark.parametrize(("ratio", "expected"), [(0.99, 1), (1.01, 0)])
def test_vanishing_begins_at_its_threshold(ratio: float, expected: int) -> None:
    first = ratio * Vanishing.LEAST_RATIO
    assert len(examined(flow(first, 1, 1, 1, 1, steps=range(9)))) == expected


def test_vanishing_must_last() -> None:
    low, well = (1e-6, 1, 1, 1, 1), (1, 1, 1, 1, 1)
    records = [*flow(*low, steps=range(4)), *flow(*well, steps=range(4, 5)), *flow(*low, steps=range(5, 9))]
    assert examined(records) == []
    (found,) = examined([*records, *flow(*low, steps=range(9, 10))])
    assert (found.step, found.evidence["since_step"]) == (9, 5)


def test_what_begins_at_zero_and_grows_does_not_vanish() -> None:
    records = [entry for step in range(9) for entry in flow(1e-9 * 4**step, 1, 1, 1, 1, steps=range(step, step + 1))]
    assert examined(records) == []


@pytest.mark.parametrize("rate", [1e-9, 1e-7, 1e-6])
def test_what_grows_in_proportion_to_the_steps_does_not_vanish(rate: float) -> None:
    """The ratio behind a layer that begins at zero, with Adam."""
    records = [entry for step in range(300) for entry in flow(rate * step, 1, 1, 1, 1, steps=range(step, step + 1))]
    assert examined(records) == []


def test_what_grows_and_stays_low_vanishes() -> None:
    sizes = [1e-6 * min(step + 1.1, 10) for step in range(40)]
    records = [
        entry for step, size in enumerate(sizes) for entry in flow(size, 1, 1, 1, 1, steps=range(step, step + 1))
    ]
    (found,) = examined(records)
    # Counted anew at steps 1, 3 and 6, where it is 2.1, 4.1 and 7.1; at step 11 six of all twelve records do.
    assert (found.detector, found.layer, found.evidence["since_step"], found.step) == ("vanishing", "a", 6, 11)


def test_layers_without_gradient_are_left_out() -> None:
    assert examined(flow(NAN, 0.0, 1, 1, 1, steps=range(9))) == []
    assert examined(flow(1e-9, NAN, NAN, NAN, 1, steps=range(9))) == []  # two layers are too few


def test_an_embedding_of_which_few_rows_are_used_is_measured_by_those() -> None:
    used = 1e-7  # of the elements; the others are zero
    statistics = gradients({"a": np.sqrt(used) * 1e-2, "b": 1, "c": 1, "d": 1})
    zeros = statistics.statistics.index("zero_fraction")
    statistics.values[:2, zeros] = 1 - used
    assert examined([(step, "gradients", statistics) for step in range(9)]) == []
    statistics.values[:2, zeros] = 0
    assert [found.layer for found in examined([(step, "gradients", statistics) for step in range(9)])] == ["a"]


def test_with_the_structure_layers_are_in_the_order_in_which_they_ran() -> None:
    defined = flow(1, 1, 1, 1, 1e-6, steps=range(9))
    assert [(found.detector, found.layer) for found in examined(defined)] == [("exploding", "a")]
    graph = chain(*(module(name) for name in ("e", "a", "b", "c", "d")))
    assert [(found.detector, found.layer) for found in examined(defined, graph)] == [("vanishing", "e")]


@pytest.mark.parametrize(("ratio", "expected"), [(1.01, 1), (0.99, 0)])
def test_exploding_over_depth(ratio: float, expected: int) -> None:
    size = ratio * Exploding.GREATEST_RATIO
    found = examined(flow(size, 1, 1, 1, 1, steps=range(9)))
    assert len(found) == expected
    if expected:
        assert (found[0].detector, found[0].severity, found[0].step) == ("exploding", "warning", 2)
        assert (found[0].layer, found[0].others) == ("a", ())
        assert found[0].evidence["ratio"] == pytest.approx(size)
        assert found[0].evidence["since_step"] == 0


def test_exploding_over_the_calls_of_a_cell() -> None:
    calls = {f"cell#{i}" if i else "cell": moments(2.0 ** (19 - i)) for i in range(20)}
    records = [(step, "activation_gradients", of_layers("activation_gradients", calls)) for step in range(4)]
    (found,) = examined(records)
    assert (found.detector, found.step, found.layer) == ("exploding", 2, "cell")
    assert found.measure == "activation_gradients.norm"
    assert found.others[:2] == ("cell#1", "cell#2")
    assert found.evidence["early"] == pytest.approx(10 * 2.0**17)  # the third of the first five


def test_exploding_over_time_names_what_grew_most() -> None:
    steady = flow(1, 1, 1, 1, 1, steps=range(20))
    found = examined([*steady, *flow(1, 5000, 200, 1, 1, steps=range(20, 25))])
    over_time = [f for f in found if f.severity == "error"]
    assert [(f.detector, f.step, f.layer, f.others) for f in over_time] == [("exploding", 22, "b", ("c",))]
    assert over_time[0].evidence["median_norm"] == pytest.approx(10 * np.sqrt(5))
    assert over_time[0].evidence["norm"] == pytest.approx(10 * np.sqrt(5000**2 + 200**2 + 3), rel=1e-6)


def test_a_hard_step_of_a_converged_network_is_no_explosion() -> None:
    first = flow(1, 1, 1, 1, 1, steps=range(10))
    converged = flow(*[1e-4] * 5, steps=range(10, 80))
    assert examined([*first, *converged, *flow(*[0.5] * 5, steps=range(80, 90))]) == []


def test_what_explodes_into_infinity_need_not_last() -> None:
    records = [*flow(1, 1, 1, 1, 1, steps=range(20)), *flow(*[500] * 5, steps=range(20, 21))]
    assert examined(records) == []
    found = examined([*records, *flow(INF, INF, INF, INF, INF, steps=range(21, 22))])
    assert [(f.detector, f.severity, f.step) for f in found] == [("exploding", "error", 20)]
    assert "since" not in found[0].message
