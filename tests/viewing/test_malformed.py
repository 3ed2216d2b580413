"""What breaks the format gives words, and the rest stays readable."""

from __future__ import annotations

import json

import numpy as np
import pytest

from serving import TensorBoard


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("not-json", "is not a valid"),
        ("newer", "was written in version 99 of the Layerscope format, but this viewer reads up to version 1"),
        ("unknown-kind", "is of kind '<script>', but the kinds are graph, series"),
        ("wrong-type", "is not a valid SeriesMetadata"),
    ],
)
def test_bad_metadata_is_listed_with_the_reason(tensorboard: TensorBoard, tag: str, words: str) -> None:
    listing = json.loads(tensorboard.get("tags", run="broken").body)
    (entry,) = [entry for entry in listing["tags"] if entry["tag"] == tag]
    assert (entry["metadata"], words in entry["problem"]) == (None, True), entry
    answer = tensorboard.get("array", run="broken", tag=tag)
    assert (answer.code, words in answer.body.decode()) == (400, True), answer.body


@pytest.mark.parametrize(
    ("route", "tag", "index", "words"),
    [
        ("array", "wrong-shape", 0, "at step 0 is float32[2, 2], but its metadata says float32[1, 0]"),
        ("array", "short-tensor", 0, "tag 'short-tensor'"),
        ("array", "text-tensor", 0, "tag 'text-tensor'"),
        ("blob", "bad-graph", 0, "is not valid gzip"),
        ("blob", "bad-graph", 1, "has no index '1'"),
        ("blob", "bad-samples", 0, "are not valid safetensors"),
        ("blob", "bad-tree", 0, "is not a valid Surrogate"),
        ("blob", "bad-images", 0, "is not a valid MaximizationStep"),
        ("blob", "bad-images", 1, "is not a PNG file"),
    ],
)
def test_bad_payload_is_refused_in_words(
    tensorboard: TensorBoard, route: str, tag: str, index: int, words: str
) -> None:
    query = {"step": 0, "index": index} if route == "blob" else {}
    answer = tensorboard.get(route, run="broken", tag=tag, **query)
    assert (answer.code, words in answer.body.decode()) == (404 if "index" in words else 400, True), answer.body
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_good_data_beside_broken_stays_readable(tensorboard: TensorBoard) -> None:
    arrays = tensorboard.get("array", run="broken", tag=tensorboard.tag("broken", "series", "good")).arrays()
    np.testing.assert_array_equal(arrays["values"], [[[0, 1], [10, 11], [20, 21]]])


def test_a_torn_file_gives_what_was_written_before(tensorboard: TensorBoard) -> None:
    arrays = tensorboard.get("array", run="torn", tag=tensorboard.tag("torn", "series", "gradients")).arrays()
    np.testing.assert_array_equal(arrays["steps"], [0, 1, 2])


def test_a_restart_serves_each_step_once(tensorboard: TensorBoard) -> None:
    listing = json.loads(tensorboard.get("tags", run="restarted").body)
    by_layers = {
        tuple(entry["metadata"]["layers"]): entry["tag"] for entry in listing["tags"] if entry["kind"] == "series"
    }
    # The set of layers changed, so a new tag began; the first holds each of its steps once.
    assert by_layers.keys() == {("a", "b"), ("a", "b", "lora")}
    arrays = tensorboard.get("array", run="restarted", tag=by_layers["a", "b"]).arrays()
    np.testing.assert_array_equal(arrays["steps"], [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(arrays["values"][:, 0, 0], [0, 100, 10200, 10300, 10400])
    arrays = tensorboard.get("array", run="restarted", tag=by_layers["a", "b", "lora"]).arrays()
    np.testing.assert_array_equal(arrays["steps"], [3, 4, 5, 6])
