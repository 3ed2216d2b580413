"""Parameters that do not learn as meant: no gradient, frozen, unfrozen, updates out of range; by hand-made series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from hand_made_graphs import chain, module
from hand_made_series import INF, NAN, examined, gradients, of_parameters
from layerscope.findings.update_ratio import UpdateRatio
from layerscope.wire import Finding, Statistics

Records = list[tuple[int, str, Statistics]]


def parameters(trainable: Mapping[str, float]) -> Statistics:
    return of_parameters("parameters", {f"{layer}.weight": {"trainable": share} for layer, share in trainable.items()})


def updates(ratios: Mapping[str, float], *, rate: float = 0.1, rates: Mapping[str, float] | None = None) -> Statistics:
    """Updates of parameters whose norm is 2; a ratio of inf is of one whose norm is 0."""
    rows = {
        f"{layer}.weight": {
            "norm": 1.0 if np.isinf(ratio) else 2 * ratio,
            "update_ratio": NAN if np.isinf(ratio) else ratio,
            "learning_rate": (rates or {}).get(layer, rate),
        }
        for layer, ratio in ratios.items()
    }
    return of_parameters("updates", rows)


def each_step(steps: Iterable[int], **series: Statistics) -> Records:
    return [(step, name, statistics) for step in steps for name, statistics in series.items()]


def told(found: list[Finding]) -> list[tuple[str, int, str, str]]:
    return [(finding.detector, finding.step, finding.layer, finding.row) for finding in found]


# --- no gradient ---------------------------------------------------------------------------------------------------


def test_a_detached_branch_is_named_at_the_tenth_record() -> None:
    steps = range(0, 1000, 10)
    records = each_step(
        steps, parameters=parameters({"a": 1, "b": 1, "c": 1}), gradients=gradients({"a": 1, "b": NAN, "c": NAN})
    )
    (found,) = examined(records)
    assert told([found]) == [("no_gradient", 90, "c", "c.weight")]
    assert found.others == ("b.weight",)
    assert (found.severity, found.measure, found.evidence) == (
        "warning",
        "gradients.norm",
        {"records": 10, "parameters": 2, "since_step": 0},
    )
    assert found.message == (
        "'c.weight' requires a gradient but never gets one, not even zeros: the loss does not depend on it (it is not "
        "used, or what comes of it is detached). The same holds for 'b.weight'. It holds in every record since step 0."
    )


def test_a_gradient_of_zeros_is_told_apart() -> None:
    records = each_step(range(12), parameters=parameters({"a": 1, "b": 1}), gradients=gradients({"a": 1, "b": 0}))
    (found,) = examined(records)
    assert found.message.startswith("The gradient of 'b.weight' has been exactly zero so far")


def test_a_gradient_that_is_lost_is_named_where_it_is_lost() -> None:
    """Of all the layers before a dead function the nearest to it is named, and the one behind it."""
    trainable = dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), 1.0)
    lost = gradients({"conv1": 0, "conv2": 0, "fc1": 0, "fc2": 1})
    records = each_step(range(12), parameters=parameters(trainable), gradients=lost)
    (found,) = examined(records)
    assert told([found]) == [("no_gradient", 9, "fc1", "fc1.weight")]
    assert found.others == ("conv2.weight", "conv1.weight")
    assert "In the order in which layers were defined, the next one with a gradient is 'fc2'." in found.message
    ran = chain(*(module(name) for name in ("fc2", "conv1", "fc1", "conv2")))
    (found,) = examined(records, ran)
    assert (found.layer, found.others) == ("conv2", ("fc1.weight", "conv1.weight"))
    assert "next one" not in found.message


def test_none_and_zeros_are_two_findings() -> None:
    mixed = gradients({"a": 0, "b": NAN, "c": 1})
    known = parameters({"a": 1, "b": 1, "c": 1})
    found = examined(each_step(range(12), parameters=known, gradients=mixed))
    assert told(found) == [("no_gradient", 9, "b", "b.weight"), ("no_gradient", 9, "a", "a.weight")]
    assert all(
        "In the order in which layers were defined, the next one with a gradient is 'c'." in f.message for f in found
    )


def test_one_gradient_is_enough_and_so_is_none_at_all() -> None:
    lacking, having = gradients({"a": 1, "b": NAN}), gradients({"a": 1, "b": 1e-9})
    known = parameters({"a": 1, "b": 1})
    assert (
        examined(
            each_step(range(9), parameters=known, gradients=lacking)
            + each_step(range(9, 10), gradients=having)
            + each_step(range(10, 99), gradients=lacking)
        )
        == []
    )
    assert examined(each_step(range(99), parameters=known, gradients=gradients({"a": NAN, "b": NAN}))) == []


def test_what_is_frozen_or_unknown_needs_no_gradient() -> None:
    lacking = gradients({"a": 1, "b": NAN})
    assert examined(each_step(range(99), parameters=parameters({"a": 1, "b": 0}), gradients=lacking)) == []
    assert examined(each_step(range(99), gradients=lacking)) == []
    trained = replace(module("b"), trainable_parameters=8)
    graph = chain(replace(module("a"), trainable_parameters=8), trained)
    assert told(examined(each_step(range(99), gradients=lacking), graph)) == [("no_gradient", 9, "b", "b.weight")]
    frozen = chain(module("a"), replace(module("b"), trainable=False))
    assert examined(each_step(range(99), gradients=lacking), frozen) == []


def test_a_bias_whose_gradient_cancels_is_no_finding() -> None:
    rows = {"a.weight": {"norm": 1.0}, "b.weight": {"norm": 1.0}, "b.bias": {"norm": 0.0}}
    statistics = of_parameters("gradients", rows)
    trainable = of_parameters("parameters", {name: {"trainable": 1.0} for name in rows})
    assert examined(each_step(range(99), parameters=trainable, gradients=statistics)) == []


# --- frozen, unfrozen ----------------------------------------------------------------------------------------------


def test_frozen_though_an_optimizer_holds_it() -> None:
    (found,) = examined(
        each_step([7, 8], parameters=parameters({"a": 1, "b": 0}), updates=updates({"a": 1e-3, "b": 0}))
    )
    assert told([found]) == [("frozen", 7, "b", "b.weight")]
    assert found.evidence == pytest.approx({"update_norm": 0, "learning_rate": 0.1, "parameters": 1})
    assert "requires no gradient" in found.message


def test_frozen_and_left_out_of_the_optimizer_is_meant() -> None:
    known = parameters({"a": 1, "b": 0})
    assert (
        examined(each_step(range(20), parameters=known, updates=updates({"a": 1e-3, "b": 0}, rates={"b": NAN}))) == []
    )
    assert examined(each_step(range(20), parameters=known, updates=updates({"a": 0, "b": 0}, rate=0))) == []


def test_a_gradient_and_no_update() -> None:
    series = {"gradients": gradients({"a": 1, "b": 1}), "parameters": parameters({"a": 1, "b": 1})}
    still, moving = updates({"a": 1e-3, "b": 0}), updates({"a": 1e-3, "b": 1e-3})
    (found,) = examined(each_step(range(3), **series, updates=still))
    assert told([found]) == [("frozen", 2, "b", "b.weight")]
    expected = {"update_norm": 0, "learning_rate": 0.1, "gradient_norm": 10, "parameters": 1, "since_step": 0}
    assert found.evidence == pytest.approx(expected)
    assert examined(each_step(range(2), **series, updates=still) + each_step([2], **series, updates=moving)) == []


def test_steps_that_a_grad_scaler_skips_move_nothing() -> None:
    skipped = {"gradients": gradients({"a": INF, "b": 1}), "parameters": parameters({"a": 1, "b": 1})}
    assert examined(each_step(range(9), **skipped, updates=updates({"a": 0, "b": 0}))) == []


def test_a_gradient_and_no_optimizer() -> None:
    series = {"gradients": gradients({"a": 1, "b": 1}), "parameters": parameters({"a": 1, "b": 1})}
    records = each_step(range(20), **series, updates=updates({"a": 1e-3, "b": 0}, rates={"b": NAN}))
    (found,) = examined(records)
    assert told([found]) == [("frozen", 10, "b", "b.weight")]
    assert found.evidence["since_step"] == 1
    assert "no recorded optimizer holds it" in found.message


def test_gradients_tell_of_a_forgotten_layer_long_before_updates_are_recorded_again() -> None:
    known = parameters({"a": 1, "b": 1})
    forgotten = updates({"a": 1e-3, "b": 0}, rates={"b": NAN})
    grown = each_step([0], parameters=known, gradients=gradients({"a": 1, "b": 1}), updates=forgotten)
    records = [*grown, *each_step(range(1, 50), gradients=gradients({"a": 1, "b": 1}))]
    assert told(examined(records)) == [("frozen", 10, "b", "b.weight")]
    # Without a gradient, or held since, it is none.
    assert examined([*grown, *each_step(range(1, 9), gradients=gradients({"a": 1, "b": 1}))]) == []
    held = each_step([9], updates=updates({"a": 1e-3, "b": 1e-3}))
    later = each_step(range(10, 50), gradients=gradients({"a": 1, "b": 1}))
    assert examined([*grown, *each_step(range(1, 9), gradients=gradients({"a": 1, "b": 1})), *held, *later]) == []
    scaled = each_step(range(1, 17), gradients=gradients({"a": INF, "b": 1}))
    assert examined([*grown, *scaled]) == []


def test_frozen_and_yet_it_moves() -> None:
    known = parameters({"a": 1, "b": 0})
    (found,) = examined(each_step([4], parameters=known, updates=updates({"a": 1e-3, "b": 1e-3}, rates={"b": NAN})))
    assert told([found]) == [("unfrozen", 4, "b", "b.weight")]
    assert found.evidence == pytest.approx({"update_norm": 2e-3, "parameters": 1})


def test_what_was_frozen_at_an_earlier_step_may_have_been_unfrozen_since() -> None:
    records: Records = [
        (0, "parameters", parameters({"a": 1, "b": 0})),
        (5, "updates", updates({"a": 1e-3, "b": 1e-3})),
    ]
    assert examined(records) == []


# --- update ratio --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "expected"), [(0.31, 1), (0.29, 0)])
def test_updates_that_are_too_large_for_some_steps(ratio: float, expected: int) -> None:
    statistics = updates({"a": 1e-3, "b": ratio, "c": 1e-3})
    assert examined(each_step(range(9), updates=statistics)) == []
    found = examined(each_step(range(12), updates=statistics))
    assert told(found) == [("update_ratio", 9, "b", "b")][:expected]
    if expected:
        assert (found[0].severity, found[0].measure) == ("error", "updates.update_ratio")
        expected_evidence = {"update_ratio": ratio, "learning_rate": 0.1, "layers": 1, "since_step": 0}
        assert found[0].evidence == pytest.approx(expected_evidence)
        assert "the learning rate, 0.1, is too high" in found[0].message


def test_updates_larger_than_what_they_change_in_half_of_the_layers() -> None:
    (found,) = examined(each_step(range(3), updates=updates({"a": 1e-3, "b": 1.1, "c": 7.0, "d": 1e-3})))
    assert (told([found]), found.others) == ([("update_ratio", 0, "c", "c")], ("b",))
    assert examined(each_step(range(3), updates=updates({"a": 1e-3, "b": 1e-3, "c": 7.0, "d": 1e-3}))) == []


def test_what_begins_at_zero_may_grow_fast() -> None:
    records = [(step, "updates", updates({"a": 1e-3, "lora": INF if step == 0 else 1 / step})) for step in range(99)]
    assert examined(records) == []


def test_a_bias_counts_together_with_its_weight() -> None:
    rows = {
        "a.weight": {"norm": 0.01, "update_ratio": 0.001, "learning_rate": 0.1},  # its norm is 10
        "a.bias": {"norm": 0.01, "update_ratio": 5.0, "learning_rate": 0.1},
    }
    assert examined(each_step(range(99), updates=of_parameters("updates", rows))) == []


@pytest.mark.parametrize(("ratio", "expected"), [(0.99, 1), (1.01, 0)])
def test_updates_that_are_too_small_from_the_beginning(ratio: float, expected: int) -> None:
    ratio *= UpdateRatio.LEAST_RATIO
    too_small = updates({"a": ratio, "b": ratio})
    found = examined(each_step(range(0, 300, 50), updates=too_small))
    assert told(found) == [("update_ratio", 100, "a", "a")][:expected]
    assert [finding.severity for finding in found] == ["warning"][:expected]
    assert [finding.evidence["since_step"] for finding in found] == [0][:expected]
    assert [finding.step for finding in examined(each_step(range(300), updates=too_small))] == [49][:expected]


def test_small_updates_in_warm_up_or_after_convergence_are_well() -> None:
    warm_up = [(step, "updates", updates({"a": 1e-9}, rate=1e-9 * step)) for step in range(99)]
    assert examined(warm_up) == []
    converged = [(step, "updates", updates({"a": 1e-3 if step == 0 else 1e-9})) for step in range(99)]
    assert examined(converged) == []
