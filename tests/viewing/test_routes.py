"""Every route over a real TensorBoard, under both of its loaders: right answers, and errors in words."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

import serving
from layerscope import codec
from serving import TensorBoard

STEPS = 1500


def test_runs_are_those_with_our_data(tensorboard: TensorBoard) -> None:
    assert json.loads(tensorboard.get("runs").body) == {"runs": ["broken", "full", "restarted", "torn"], "version": 1}


def test_tags_list_everything_with_metadata(tensorboard: TensorBoard) -> None:
    listing = json.loads(tensorboard.get("tags", run="full").body)
    assert listing["scalars"] == ["loss"]
    entries = {(entry["kind"], entry["metadata"]["name"]): entry for entry in listing["tags"]}
    assert sorted(entries) == [
        ("activation", "probe"),
        ("attention", "probe"),
        ("attribution", "grad_cam"),
        ("embedding", "probe"),
        ("findings", "training"),
        ("graph", "model"),
        ("histograms", "gradients"),
        ("maximization", "units"),
        ("samples", "probe"),
        ("series", "gradients"),
        ("surrogate", "inputs/decision_tree"),
        ("weight", "probe"),
    ]
    series = entries["series", "gradients"]["metadata"]
    assert series["layers"] == ["a", "a.weight", "b"]
    assert series["owners"] == ["a", "a", "b"]
    assert [statistic["name"] for statistic in series["statistics"]] == ["norm", "mean"]
    assert entries["attribution", "grad_cam"]["steps"] == [0, 10, 20]
    assert entries["attribution", "grad_cam"]["metadata"]["signed"] is True
    # The same probe set was given three times and is stored once.
    assert entries["samples", "probe"]["steps"] == [0]
    assert all(entry["problem"] == "" for entry in listing["tags"])


def test_every_step_is_served_and_step_0_too(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "series", "gradients")
    arrays = tensorboard.get("array", run="full", tag=tag).arrays()
    np.testing.assert_array_equal(arrays["steps"], np.arange(STEPS))
    expected = np.arange(STEPS)[:, None, None] * 100 + np.arange(3)[:, None] * 10 + np.arange(2)
    np.testing.assert_array_equal(arrays["values"], expected.astype(np.float32))
    assert np.all(np.diff(arrays["wall_times"]) >= 0)


def test_layers_can_be_chosen(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "histograms", "gradients")
    arrays = tensorboard.get("array", ("layer", "b"), ("layer", "a"), run="full", tag=tag).arrays()
    assert arrays["values"].shape == (STEPS, 2, 3)
    np.testing.assert_array_equal(arrays["values"][7], [[7, 8, 9], [9, 10, 11]])


def test_only_later_steps_can_be_asked_for(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "series", "gradients")
    whole = tensorboard.get("array", run="full", tag=tag).arrays()
    arrays = tensorboard.get("array", ("layer", "b"), run="full", tag=tag, after=STEPS - 4).arrays()
    np.testing.assert_array_equal(arrays["steps"], [1497, 1498, 1499])
    np.testing.assert_array_equal(arrays["wall_times"], whole["wall_times"][-3:])
    np.testing.assert_array_equal(arrays["values"], whole["values"][-3:, 2:])
    none = tensorboard.get("array", run="full", tag=tag, after=STEPS - 1).arrays()
    assert {name: array.shape for name, array in none.items()} == {
        "steps": (0,),
        "wall_times": (0,),
        "values": (0, 3, 2),
    }


def test_a_listing_tells_how_far_each_tag_has_come(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "series", "gradients")
    last = tensorboard.get("array", run="full", tag=tag, after=STEPS - 2).arrays()["wall_times"][0]
    entries = {entry["tag"]: entry for entry in json.loads(tensorboard.get("tags", run="full").body)["tags"]}
    assert entries[tag]["max_step"] == STEPS - 1
    assert entries[tag]["max_wall_time"] == pytest.approx(last, abs=1e-6)
    assert entries[tensorboard.tag("full", "attribution", "grad_cam")]["max_step"] == 20
    restarted = json.loads(tensorboard.get("tags", run="restarted").body)["tags"]
    assert {tuple(e["metadata"]["layers"]): e["max_step"] for e in restarted if e["kind"] == "series"} == {
        ("a", "b"): 4,
        ("a", "b", "lora"): 6,
    }


def test_the_loss_curve_stays_complete_beside_our_data(tensorboard: TensorBoard) -> None:
    arrays = tensorboard.get("array", run="full", scalar="loss").arrays()
    np.testing.assert_array_equal(arrays["steps"], np.arange(0, STEPS, 2))
    np.testing.assert_allclose(arrays["values"][:, 0, 0], 1 / (np.arange(0, STEPS, 2) + 1), rtol=1e-6)
    own = json.loads(tensorboard.fetch("data/plugin/scalars/scalars?run=full&tag=loss").body)
    assert [step for _, step, _ in own] == list(range(0, STEPS, 2))


def test_graph_as_json_and_as_dot(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "graph", "model")
    answer = tensorboard.get("blob", run="full", tag=tag, step=0)
    assert answer.headers["Content-Type"] == "application/json"
    assert [node["id"] for node in json.loads(answer.body)["nodes"]] == ["input/x", "a", "b", "output/0"]
    dot = tensorboard.get("blob", run="full", tag=tag, step=0, index=1)
    assert dot.headers["Content-Type"].startswith("text/plain")
    assert dot.body.startswith(b"digraph")


def test_structures_are_compared(tensorboard: TensorBoard) -> None:
    listing = json.loads(tensorboard.get("comparison", run="full", other="full").body)
    assert (listing["run"], listing["other"]) == ("full", "full")
    nodes = list(serving.graph().nodes)
    assert listing["nodes"] == [{"a": node, "b": node, "state": "same", "changes": []} for node in nodes]


def test_attribution_maps(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "attribution", "grad_cam")
    answer = tensorboard.get("blob", run="full", tag=tag, step=20)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    arrays = codec.decode_arrays(answer.body)
    np.testing.assert_array_equal(arrays["layer:a"], np.full((2, 3, 3), 20, np.float16))
    np.testing.assert_array_equal(arrays["layer:b"], np.full((2, 4), -20, np.float16))
    np.testing.assert_array_equal(arrays["targets"], [1, 0])


def test_samples(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "samples", "probe")
    arrays = tensorboard.get("blob", run="full", tag=tag, step=0).arrays()
    np.testing.assert_array_equal(arrays["0"], np.arange(8).reshape(2, 4))


def test_maximization_images(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "maximization", "units")
    assert json.loads(tensorboard.get("blob", run="full", tag=tag, step=20).body) == {
        "objectives": [10.0, 1.0],
        "top_samples": [[{"sample": 1, "objective": 9.0, "box": [0.0, 0.5, 0.25, 1.0]}], []],
        "tokens": [],
        "ascent_steps": [3, 3],
    }
    image = tensorboard.get("blob", run="full", tag=tag, step=20, index=2)
    assert image.headers["Content-Type"] == "image/png"
    assert image.body.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("route", "query", "code", "words"),
    [
        ("tags", {"run": "nowhere"}, 404, "has no run 'nowhere'; it has: broken, full"),
        ("tags", {"run": "plain"}, 404, "has no run 'plain'"),
        ("tags", {}, 400, "needs the query argument 'run', but none is given."),
        ("blob", {"run": "full", "step": 0}, 400, "the query argument 'tag', but what is given are 'run' and 'step'."),
        ("array", {"run": "full"}, 400, "needs either 'tag' or 'scalar', but what is given is 'run'."),
        ("array", {"run": "full", "tag": "nothing"}, 404, "has no tag 'nothing'; it has: layerscope/"),
        ("array", {"run": "full", "scalar": "accuracy"}, 404, "has no scalar 'accuracy'; it has: loss"),
        ("blob", {"run": "full", "tag": "nothing", "step": 0}, 404, "has no tag 'nothing'"),
        ("comparison", {"run": "full"}, 400, "needs the query argument 'other'"),
        ("comparison", {"run": "full", "other": "nowhere"}, 404, "has no run 'nowhere'"),
        (
            "comparison",
            {"run": "full", "other": "restarted"},
            404,
            "run 'restarted' has no tag of kind 'graph'; it has: ",
        ),
        ("static/../routes.py", {}, 404, "has no file"),
        ("static/%2e%2e/routes.py", {}, 404, "has no file"),
        ("static//etc/passwd", {}, 404, "has no file"),
        ("static/nothing.js", {}, 404, "has no file 'nothing.js'"),
    ],
)
def test_errors_in_words(tensorboard: TensorBoard, route: str, query: dict[str, Any], code: int, words: str) -> None:
    answer = tensorboard.get(route, **query)
    assert (answer.code, words in answer.body.decode()) == (code, True), answer.body
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("kind", "name", "query", "code", "words"),
    [
        ("attribution", "grad_cam", {"step": 7}, 404, "has no step '7'; it has: 0, 10, 20"),
        ("attribution", "grad_cam", {"step": "x"}, 400, "query argument 'step' must be an integer, but is 'x'"),
        ("attribution", "grad_cam", {}, 400, "needs the query argument 'step'"),
        ("maximization", "units", {"step": 0, "index": 3}, 404, "has no index '3'; it has: 0, 1, 2"),
        ("maximization", "units", {"step": 0, "index": -1}, 404, "has no index '-1'"),
        ("series", "gradients", {"step": 0}, 400, "it holds an array, not blobs"),
    ],
)
def test_blob_errors_in_words(
    tensorboard: TensorBoard, kind: str, name: str, query: dict[str, Any], code: int, words: str
) -> None:
    answer = tensorboard.get("blob", run="full", tag=tensorboard.tag("full", kind, name), **query)
    assert (answer.code, words in answer.body.decode()) == (code, True), answer.body


def test_only_files_whose_name_tells_their_content_are_cached(tensorboard: TensorBoard) -> None:
    index = tensorboard.get("static/index.js")
    assert (index.code, index.headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert index.headers["Cache-Control"] == "no-cache, must-revalidate"
    hashed = re.search(rb"app-[\w-]+\.js", index.body)
    assert hashed is not None
    assert tensorboard.get(f"static/{hashed[0].decode()}").headers["Cache-Control"] == "private, max-age=31536000"


def test_unknown_layer_lists_the_nearest(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "series", "gradients")
    answer = tensorboard.get("array", run="full", tag=tag, layer="a.wight")
    assert answer.code == 404
    assert b"'a.wight' was asked for" in answer.body
    assert b"'a.weight'" in answer.body


def test_a_step_after_which_to_read_is_a_number(tensorboard: TensorBoard) -> None:
    answer = tensorboard.get("array", run="full", tag=tensorboard.tag("full", "series", "gradients"), after="last")
    assert (answer.code, answer.body) == (400, b"query argument 'after' must be an integer, but is 'last'.")


def test_an_array_of_blobs_is_refused(tensorboard: TensorBoard) -> None:
    tag = tensorboard.tag("full", "graph", "model")
    answer = tensorboard.get("array", run="full", tag=tag)
    assert (answer.code, b"it holds blobs, not an array" in answer.body) == (400, True)


def test_tensorboard_has_no_complaint(tensorboard: TensorBoard) -> None:
    for route in ("runs", "tags"):
        tensorboard.get(route, run="full")
    assert "In 3.0" not in tensorboard.log.read_text()
    assert "Traceback" not in tensorboard.log.read_text()
