"""The first layer that makes NaN or infinity: by hand-made series, producers told from propagators."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace

from hand_made_graphs import function, graph_of, module
from hand_made_series import INF, examined, gradients, moments, of_layers, of_parameters
from layerscope.wire import Edge, Statistics

OK, NAN_ROW, INF_ROW = moments(1.0), moments(0, nans=5), moments(0, infs=3)


def outputs(**rows: Mapping[str, float]) -> Statistics:
    return of_layers("training_activations", {name.replace("_", "."): row for name, row in rows.items()})


def at_outputs(**rows: Mapping[str, float]) -> Statistics:
    return of_layers("activation_gradients", {name.replace("_", "."): row for name, row in rows.items()})


def updates(norm: float) -> Statistics:
    return of_parameters("updates", {"a.weight": {"norm": norm, "update_ratio": 1e-3, "learning_rate": 0.1}})


FINE, BROKEN = gradients({"a": 1, "b": 1, "c": 1}), gradients({"a": INF, "b": INF, "c": 1})


def test_a_container_returns_after_what_it_encloses() -> None:
    everything = outputs(a=OK, block=NAN_ROW, block_0=OK, block_1=NAN_ROW, block_2=NAN_ROW, b=NAN_ROW)
    (found,) = examined([(3, "training_activations", everything)])
    assert (found.layer, found.others) == ("block.1", ("block.2", "b"))
    assert (found.evidence, found.severity) == ({"nan_count": 5, "inf_count": 0, "rows": 4}, "error")


def test_what_a_container_does_itself_is_its_own() -> None:
    (found,) = examined([(3, "training_activations", outputs(block=NAN_ROW, block_0=OK, block_1=OK, b=NAN_ROW))])
    assert (found.layer, found.others) == ("block", ("b",))


def test_of_several_outputs_only_the_first_is_vouched_for() -> None:
    encoder = replace(module("a"), output_shapes=((1, 8), (1, 8)))
    records = [(3, "training_activations", outputs(first=OK, a=OK, b=NAN_ROW))]
    graph = graph_of([module("first"), encoder, module("b")], [Edge("first", "a"), Edge("a", "b")])
    (found,) = examined(records, graph)
    assert "All that was recorded before it is finite, so it makes them. Of what 'a' returns only" in found.message
    (found,) = examined(records, replace(graph, nodes={**graph.nodes, "a": module("a")}))
    assert found.message.endswith("All that was recorded before it is finite, so it makes them.")
    (found,) = examined(records, replace(graph, edges=graph.edges[:1]))  # what feeds it is not known
    assert found.message.endswith("so it makes them, or a function does that is between them.")


def test_infinity_that_turns_into_nan_begins_where_it_is_infinite() -> None:
    (found,) = examined([(3, "training_activations", outputs(a=OK, b=INF_ROW, c=NAN_ROW))])
    assert (found.layer, found.measure) == ("b", "training_activations.inf_count")


def test_a_mask_may_be_infinite() -> None:
    masked = outputs(mask=INF_ROW, a=OK, b=OK)
    records = [
        entry for step in range(9) for entry in ((step, "training_activations", masked), (step, "gradients", FINE))
    ]
    assert examined(records, conclude=True) == []
    nan = outputs(mask=INF_ROW, a=OK, b=NAN_ROW)
    assert [found.layer for found in examined([*records, (9, "training_activations", nan)])] == ["b"]


def test_infinity_counts_when_gradients_and_updates_are_not_finite() -> None:
    records = [(4, "training_activations", outputs(a=OK, b=INF_ROW)), (4, "gradients", BROKEN)]
    assert examined(records) == []
    found = examined([*records, (4, "updates", updates(float("nan")))])
    assert [(f.step, f.layer) for f in found] == [(4, "b")]
    assert [(f.step, f.layer) for f in examined(records, conclude=True)] == [(4, "b")]


def test_the_backward_pass_names_the_consumer() -> None:
    records = [(4, "activation_gradients", at_outputs(a=INF_ROW, b=INF_ROW, c=OK, d=OK)), (4, "gradients", BROKEN)]
    (found,) = examined(records, conclude=True)
    assert (found.step, found.layer, found.row, found.others) == (4, "c", "c", ("b", "a"))


def test_with_the_structure_the_consumer_is_the_one_that_it_feeds() -> None:
    nodes = [module(name) for name in ("a", "b", "c", "d")] + [function("sqrt", "sqrt")]
    graph = graph_of(nodes, [Edge("a", "b"), Edge("a", "sqrt"), Edge("sqrt", "d"), Edge("b", "c")])
    records = [(4, "activation_gradients", at_outputs(a=INF_ROW, b=OK, c=OK, d=OK)), (4, "gradients", BROKEN)]
    (found,) = examined(records, graph, conclude=True)
    assert found.layer == "b"
    (found,) = examined(records, replace(graph, edges=graph.edges[1:3]), conclude=True)
    assert found.layer == "d"
    assert "Between the two are functions (sqrt), which may make them as well." in found.message


def test_what_a_container_does_with_its_last_layer_is_its_own() -> None:
    passed = at_outputs(a=INF_ROW, block=OK, block_0=INF_ROW, block_1=INF_ROW, b=OK)
    (found,) = examined([(4, "activation_gradients", passed), (4, "gradients", BROKEN)], conclude=True)
    assert (found.layer, found.others) == ("block", ("block.1", "block.0", "a"))


def test_the_loss_is_to_blame_where_nothing_stands_behind() -> None:
    records = [(4, "activation_gradients", at_outputs(a=NAN_ROW, b=NAN_ROW)), (4, "gradients", BROKEN)]
    (found,) = examined(records, conclude=True)
    assert found.layer == "b"
    assert "the loss, or what is between it and the model, makes it" in found.message


def test_steps_that_a_grad_scaler_skips_are_no_finding() -> None:
    records = [(step, "gradients", BROKEN if step < 16 else FINE) for step in range(99)]
    assert examined(records, conclude=True) == []
    at_last = [*records, (99, "gradients", BROKEN)]
    (found,) = examined(at_last, conclude=True)
    assert (found.step, found.severity) == (99, "warning")  # it may be one more
    assert found.message.endswith("before it is clear whether it stays so: a GradScaler skips such steps.")


def test_gradients_that_stay_broken_need_no_other_evidence() -> None:
    assert examined([(step, "gradients", BROKEN) for step in range(17)]) == []
    (found,) = examined([(step, "gradients", BROKEN) for step in range(18)])
    assert (found.step, found.layer, found.others) == (0, "b", ("a",))
    assert "from 'c', whose gradient is finite, to 'b', whose gradient is not" in found.message
    assert [f.step for f in examined([(step, "gradients", BROKEN) for step in range(0, 99, 20)])] == [0]


def test_weights_that_are_broken_confirm_it() -> None:
    weights = of_parameters("parameters", {"a.weight": NAN_ROW})
    assert [f.step for f in examined([(3, "gradients", BROKEN), (10, "parameters", weights)])] == [3]
    (found,) = examined([(10, "parameters", weights)])
    assert (found.step, found.layer, found.row) == (10, "a", "a.weight")
    assert "no gradient showed it before" in found.message


def test_layers_that_fail_with_broken_weights_are_not_blamed() -> None:
    records = [(3, "gradients", BROKEN), (5, "training_activations", outputs(a=NAN_ROW, b=NAN_ROW, c=NAN_ROW))]
    (found,) = examined(records)
    assert (found.step, found.measure) == (3, "gradients.inf_count")


def test_the_series_of_a_step_may_come_in_any_order() -> None:
    forward = (4, "training_activations", outputs(a=OK, b=INF_ROW, c=OK))
    backward = (4, "activation_gradients", at_outputs(a=INF_ROW, b=INF_ROW, c=OK))
    broken = (4, "gradients", BROKEN)
    for order in itertools.permutations((forward, backward, broken)):
        assert [(f.step, f.layer) for f in examined(order, conclude=True)] == [(4, "b")]
    for order in itertools.permutations((backward, broken)):
        assert [(f.step, f.layer) for f in examined(order, conclude=True)] == [(4, "c")]
    nan = (4, "training_activations", outputs(a=OK, b=OK, c=NAN_ROW))
    for order in itertools.permutations((nan, backward, broken)):
        assert [(f.step, f.layer) for f in examined(order)] == [(4, "c")]
    fine = (4, "gradients", FINE)
    later = (5, "training_activations", outputs(a=OK, b=INF_ROW, c=NAN_ROW))
    for order in itertools.permutations((forward, fine)):
        assert [(f.step, f.layer) for f in examined([*order, later])] == [(5, "c")]


def test_what_follows_is_not_said() -> None:
    records = [(step, "training_activations", outputs(a=OK, b=NAN_ROW, c=NAN_ROW)) for step in range(3)]
    records += [(step, "training_activations", outputs(a=NAN_ROW, b=NAN_ROW, c=NAN_ROW)) for step in range(3, 9)]
    assert len(examined(records, conclude=True)) == 1


def test_a_probe_batch_tells_too() -> None:
    (found,) = examined([(3, "activations", of_layers("activations", {"a": OK, "b": NAN_ROW}))])
    assert found.layer == "b"
    assert "on the probe batch" in found.message


def test_a_frozen_parameter_may_be_infinite_and_hides_no_later_nan() -> None:
    def weights(**more: Mapping[str, float]) -> Statistics:
        mask = {"a.mask": {**INF_ROW, "trainable": 0.0}}
        rest = {"a.weight": {**OK, "trainable": 1.0}, **more}
        return of_parameters("parameters", mask | rest)

    healthy = [(step, "parameters", weights()) for step in range(0, 100, 10)]
    assert examined(healthy, conclude=True) == []
    broken = weights(**{"a.weight": {**NAN_ROW, "trainable": 1.0}})
    (found,) = examined([*healthy, (100, "parameters", broken)])
    assert (found.step, found.row) == (100, "a.weight")
    frozen_nan = of_parameters("parameters", {"a.mask": {**NAN_ROW, "trainable": 0.0}})
    assert [one.row for one in examined([(0, "parameters", frozen_nan)])] == ["a.mask"]
