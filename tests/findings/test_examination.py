"""What all detectors share: order, bounds, cost, and that replay finds what streaming finds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from hand_made_graphs import module
from hand_made_series import NAN, gradients, moments, of_layers, of_parameters
from layerscope import codec
from layerscope.findings import DETECTORS, EXAMINED, MAX_FINDINGS, MAX_OTHERS, Examination, examine, in_order, unjudged
from layerscope.findings.nesting import Nesting, module_of
from layerscope.wire import SERIES, STATISTICS, Edge, Finding, FindingsBlob, ModelGraph, Run, Series, Statistics


def dead(*layers: str) -> Statistics:
    return of_layers("training_activations", {layer: {"dead_fraction": 1.0, "zero_fraction": 1.0} for layer in layers})


def watched(examination: Examination, statistics: Statistics, step: int) -> tuple[Finding, ...]:
    """Observe three records, in the last of which it has lasted."""
    series = "training_activations"
    return tuple(new for i in range(3) for new in examination.observe(series, statistics, step + 100 * i))


def test_every_detector_says_what_it_does_and_where_it_comes_from() -> None:
    for name, detector in DETECTORS.items():
        assert detector.rule.endswith("."), name
        assert detector.source.endswith("."), name
        assert set(detector.series) <= SERIES.keys(), name
        assert set(detector.needs) <= set(detector.series), name
    assert SERIES.keys() - EXAMINED == {"linear_probes"}  # how well classes can be told is no fault


def test_measures_are_such_as_can_be_shown() -> None:
    found = watched(Examination(), dead("relu"), 0)[0]
    series, _, statistic = found.measure.partition(".")
    assert statistic in STATISTICS
    assert statistic in SERIES[series].statistics


def test_others_are_bounded_and_the_evidence_says_how_many() -> None:
    statistics = of_parameters(
        "updates", {f"l{i}.weight": {"norm": 1, "update_ratio": 2, "learning_rate": 1} for i in range(50)}
    )
    (found,) = Examination().observe("updates", statistics, 0)
    assert len(found.others) == MAX_OTHERS
    assert found.evidence["layers"] == 50


def test_findings_are_bounded_and_the_last_says_so() -> None:
    examination = Examination()
    for i in range(MAX_FINDINGS + 20):
        watched(examination, dead(f"relu{i}"), 1000 * i)
    assert len(examination.findings) == MAX_FINDINGS
    assert examination.findings[-1].message.endswith("This is the last of 200 findings: the detectors look no further.")
    assert not examination.findings[-2].message.endswith("look no further.")
    size = len(codec.to_json(FindingsBlob(examination.findings)))
    assert size < codec.MAX_FINDINGS_BYTES


def test_what_was_found_of_a_layer_is_found_once() -> None:
    examination = Examination()
    assert [found.layer for found in watched(examination, dead("a"), 0)] == ["a"]
    assert watched(examination, dead("a"), 1000) == ()
    assert [found.layer for found in watched(examination, dead("a", "b"), 2000)] == ["b"]
    assert [(found.step, found.layer) for found in examination.findings] == [(200, "a"), (2200, "b")]


def test_unknown_series_and_empty_records_are_nothing() -> None:
    examination = Examination()
    assert examination.observe("my own", gradients({"a": 1}), 0) == ()
    assert examination.observe("gradients", gradients({}), 0) == ()
    assert not examination.examined
    assert examination.observe("gradients", gradients({"a": 1}), 0) == ()
    assert examination.examined


def test_series_that_lack_columns_are_looked_at_as_far_as_they_go() -> None:
    for series, measured in SERIES.items():
        for column in measured.statistics:
            values = np.full((2, 1), 1e30, np.float32)
            statistics = Statistics(("a", "a.weight"), ("a", "a"), (column,), values)
            examination = Examination()
            for step in range(20):
                assert all(isinstance(f, Finding) for f in examination.observe(series, statistics, step))


def test_groups_are_united_in_order_of_step_and_the_first_counts() -> None:
    def finding(step: int, layer: str, message: str = "") -> Finding:
        return Finding("dead", "error", step, layer, layer, "", message, {}, "", "")

    united = in_order([finding(5, "a"), finding(1, "b", "late")], [finding(0, "b", "first"), finding(3, "c")])
    assert [(f.step, f.layer, f.message) for f in united] == [(0, "b", "first"), (3, "c", ""), (5, "a", "")]


def run_of(examination_input: list[tuple[int, Statistics]]) -> Run:
    steps, records = zip(*examination_input, strict=True)
    first = records[0]
    values = np.stack([record.values for record in records])
    series = Series(np.array(steps), first.layers, first.statistics, values, owners=first.owners)
    return Run("run", series={"training_activations": series})


def test_a_run_without_written_findings_is_replayed() -> None:
    run = run_of([(step, dead("a")) for step in range(0, 500, 100)])
    assert [(f.detector, f.step, f.layer) for f in examine(run)] == [("dead", 200, "a")]
    written = replace(examine(run)[0], layer="from the exporter")
    assert examine(replace(run, findings=(written,), examined=True)) == (written,)
    assert examine(replace(run, examined=True)) == ()


def test_what_could_not_be_judged_yet_says_what_it_lacks() -> None:
    names, parts = ("gradients", "updates", "parameters"), (7, 2, 0)
    expected = {
        "dead": "no training_activations or activations recorded",
        "saturated": "no training_activations or activations recorded",
        "no_gradient": "it takes 10 records of gradients, and there are 7",
        "frozen": "it takes 3 records of updates, and there are 2",
        "update_ratio": "it takes 3 records of updates, and there are 2",
        "loss_spike": "no scalar has loss in its name",
    }
    assert _reasons(dict(zip(names, parts, strict=True))) == expected
    many = dict.fromkeys(names, 10)
    assert set(_reasons(many, ["Loss"])) == {"dead", "saturated"}
    one = _reasons({"training_activations": 1})
    assert one["dead"] == "it takes 3 records of training_activations, and there is 1"
    found = examine(run_of([(step, dead("a")) for step in range(0, 500, 100)]))
    assert set(_reasons(many, ["Loss"], found)) == {"saturated"}  # what was found was judged


def _reasons(records: dict[str, int], scalars: Sequence[str] = (), found: Sequence[Finding] = ()) -> dict[str, str]:
    return {name: one.reason for one in unjudged(records, scalars, found) for name in one.detectors}


def test_the_loss_is_looked_at_in_either_case() -> None:
    values = np.concatenate([np.linspace(3, 1, 60), np.ones(40), np.full(20, 9.0)])
    run = replace(run_of([(0, dead("a"))]), scalars={"loss": (np.arange(120), values)})
    assert [f.detector for f in examine(run)] == ["loss_spike"]
    written = Finding("dead", "error", 500, "a", "a", "", "", {}, "", "")
    assert [f.detector for f in examine(replace(run, findings=(written,), examined=True))] == ["loss_spike", "dead"]


def test_layers_that_come_and_go() -> None:
    examination = Examination()
    for step in range(40):
        layers = {"a": 1.0} | ({"lora": 1.0} if step >= 10 else {}) | ({"b": NAN} if step % 2 else {})
        assert examination.observe("gradients", gradients(layers), step) == ()


HOSTILE = ("", ".", "a.b\x1b[31m", "#", "#1", "a#", "<Linear>", "weight", "\ud800é😀", "a" * 5000, "a.b\x1b[31m.c")


def test_names_may_be_anything() -> None:
    statistics = dead(*HOSTILE)
    (found,) = watched(Examination(), statistics, 0)
    assert set(found.others) | {found.layer} <= set(HOSTILE)
    assert "\x1b" not in found.message


def test_nesting_by_names() -> None:
    names = ("a", "b", "b.0", "b.1", "b.1.x", "b#1", "b.0#1", "bc", "c.d")
    nesting = Nesting(names, None)
    assert nesting.parents == [-1, -1, 1, 1, 3, -1, 5, -1, -1]
    assert [names[row] for row in nesting.leaves] == ["a", "b.0", "b.1.x", "b.0#1", "bc", "c.d"]
    assert [names[row] for row in nesting.completed] == ["a", "b.0", "b.1.x", "b.1", "b", "b.0#1", "b#1", "bc", "c.d"]
    assert nesting.innermost([1, 3, 4, 7]) == [4, 7]
    assert [module_of(name) for name in ("a", "a#1", "a##2", "a#b", "#1")] == ["a", "a", "a", "a#b", ""]


@pytest.mark.parametrize("series", ["gradients", "updates"])
def test_a_record_costs_little(series: str) -> None:
    """Generous by ten: the machine that runs this may be busy. The first record of a layout may cost more."""
    row = {**moments(1.0), "update_ratio": 1e-3, "learning_rate": 0.1, "norm": 1.0}
    statistics = of_parameters(series, {f"l{i}.{kind}": row for i in range(100) for kind in ("weight", "bias")})
    examination = Examination()
    assert examination.observe(series, statistics, 0) == ()
    times = []
    for step in range(1, 101):
        begin = time.perf_counter()
        examination.observe(series, statistics, step)
        times.append(time.perf_counter() - begin)
    assert sorted(times)[50] < 3e-3


def test_a_structure_that_goes_round_in_circles_ends() -> None:
    nodes = [module("a", parent="b"), module("b", parent="a"), module("x", parent="b"), module("y", parent="x")]
    graph = ModelGraph({node.id: node for node in nodes}, (Edge("x", "y"), Edge("y", "x")), (), ("x",))
    nesting = Nesting(("x", "y"), graph)
    assert (nesting.parents, nesting.leaves, nesting.completed) == ([-1, 0], [1], [1, 0])
    assert nesting.feeding(0) == ([1], [])
    assert nesting.at_output == {0, 1}
