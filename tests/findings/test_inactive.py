"""Dead and saturated units: by hand-made series, on both sides of each threshold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hand_made_graphs import chain, graph_of, module
from hand_made_series import examined, moments, of_layers, of_parameters
from layerscope.wire import Edge, ModelGraph


def records(
    steps: range, shares: dict[str, float], statistic: str = "dead_fraction", zeros: float = 0.99
) -> list[tuple[int, str, object]]:
    rows = {layer: {statistic: share, "zero_fraction": max(zeros, share)} for layer, share in shares.items()}
    return [(step, "training_activations", of_layers("training_activations", rows)) for step in steps]


@pytest.mark.parametrize(("share", "expected"), [(0.9001, 1), (0.8999, 0)])
def test_dead_begins_at_its_threshold(share: float, expected: int) -> None:
    found = examined(records(range(0, 300, 100), {"relu": share}))
    assert len(found) == expected
    if expected:
        assert (found[0].detector, found[0].severity, found[0].step) == ("dead", "warning", 200)
        assert (found[0].layer, found[0].row) == ("relu", "relu")
        assert found[0].measure == "training_activations.dead_fraction"
        assert found[0].evidence == pytest.approx({"dead_fraction": share, "records": 3, "since_step": 0})


def test_all_units_dead_is_an_error() -> None:
    (found,) = examined(records(range(0, 300, 100), {"relu": 1.0}))
    assert (found.severity, found.message) == (
        "error",
        "All units of 'relu' are dead: its output is zero whatever comes in, and no gradient gets through it. It holds "
        "in every record since step 0.",
    )


def test_dead_must_last_for_steps_too() -> None:
    assert examined(records(range(9), {"relu": 1.0})) == []  # zero-initialized: zero in the first steps
    assert [found.step for found in examined(records(range(12), {"relu": 1.0}))] == [9]


def test_sparse_is_not_dead_where_the_batch_cannot_tell() -> None:
    assert examined(records(range(0, 300, 100), {"relu": 0.95}, zeros=0.0)) == []  # every zero lies in a dead unit


def test_the_innermost_and_first_is_named_and_what_passes_it_on_listed() -> None:
    shares = {"block": 1.0, "block.conv": 0.0, "block.relu": 1.0, "pool": 1.0, "fc": 0.0}
    (found,) = examined(records(range(0, 300, 100), shares))
    assert (found.layer, found.others) == ("block.relu", ("pool",))
    # Without the inner layer it is the container's own doing.
    (found,) = examined(records(range(0, 300, 100), {"block": 1.0, "block.conv": 0.0, "fc": 0.0}))
    assert found.layer == "block"


def test_dropout_is_exempt() -> None:
    graph = chain(module("relu", "ReLU"), module("drop", "Dropout"))
    shares = {"relu": 0.0, "drop": 1.0}
    assert examined(records(range(0, 300, 100), shares), graph) == []
    elsewhere = {"relu": 0.0, "dropped.act": 1.0}
    assert examined(records(range(0, 300, 100), {"relu": 0.0, "block.drop_path1#2": 1.0})) == []  # by its name
    assert [found.layer for found in examined(records(range(0, 300, 100), elsewhere))] == ["dropped.act"]


def test_what_no_gradient_leads_through_is_not_dead() -> None:
    shares = {"relu": 0.0, "bias": 1.0}
    backward = of_layers("activation_gradients", {"relu": moments(1.0)})
    both = [
        entry
        for one in records(range(0, 300, 100), shares)
        for entry in (one, (one[0], "activation_gradients", backward))
    ]
    assert examined(both) == []
    backward = of_layers("activation_gradients", {"relu": moments(1.0), "bias": moments(1.0)})
    both = [
        entry
        for one in records(range(0, 300, 100), shares)
        for entry in (one, (one[0], "activation_gradients", backward))
    ]
    assert [(found.detector, found.layer) for found in examined(both)] == [("dead", "bias")]


@pytest.mark.parametrize(("share", "expected"), [(0.9001, 1), (0.8999, 0)])
def test_saturated_begins_at_its_threshold(share: float, expected: int) -> None:
    found = examined(records(range(0, 300, 100), {"tanh": share, "fc": 0.0}, "saturated_fraction"))
    assert len(found) == expected
    if expected:
        assert (found[0].detector, found[0].severity, found[0].step) == ("saturated", "warning", 200)
        assert (found[0].layer, found[0].measure) == ("tanh", "training_activations.saturated_fraction")
        assert found[0].evidence == pytest.approx({"saturated_fraction": share, "records": 3, "since_step": 0})


def test_probabilities_are_allowed_to_be_sure() -> None:
    shares = {"tanh": 0.0, "fc": 0.0, "sigmoid": 1.0}
    assert examined(records(range(0, 300, 100), shares, "saturated_fraction")) == []
    assert examined(records(range(0, 300, 100), shares, "saturated_fraction"), with_output("sigmoid")) == []


def test_without_the_structure_what_runs_after_the_last_parameters_is_exempt() -> None:
    shares = {"tanh": 1.0, "fc": 0.0, "sigmoid": 1.0, "flatten": 0.0}
    weights = of_parameters("parameters", {"fc.weight": moments(1.0)})
    (found,) = examined([(0, "parameters", weights), *records(range(0, 300, 100), shares, "saturated_fraction")])
    assert (found.layer, found.others) == ("tanh", ())
    # As long as nothing is known of parameters it is the last layer alone.
    (found,) = examined(records(range(0, 300, 100), shares, "saturated_fraction"))
    assert (found.layer, found.others) == ("tanh", ("sigmoid",))


def test_with_the_structure_all_that_stands_behind_the_last_parameters_is_exempt() -> None:
    # Two outputs: a sigmoid, and something that ran after it.
    shares = {"tanh": 1.0, "fc": 0.0, "sigmoid": 1.0, "other": 0.0}
    (found,) = examined(records(range(0, 300, 100), shares, "saturated_fraction"), with_output("sigmoid", "other"))
    assert (found.layer, found.others) == ("tanh", ())


def with_output(*names: str) -> ModelGraph:
    """Return tanh -> fc -> each of the names."""
    nodes = [module("tanh", "Tanh"), module("fc")]
    last = [replace(module(name, "Sigmoid"), own_parameters=0, total_parameters=0) for name in names]
    edges = [Edge("tanh", "fc"), *(Edge("fc", name) for name in names)]
    return replace(graph_of([*nodes, *last], edges), outputs=names)
