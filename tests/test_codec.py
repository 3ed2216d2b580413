"""Messages survive the way to bytes and back; what breaks the format is refused in words, before it costs memory."""

from __future__ import annotations

import dataclasses
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tensorboard.compat.tensorflow_stub import pywrap_tensorflow

import serving
from layerscope import codec, wire
from layerscope.errors import MalformedError, NewerVersionError
from layerscope.findings import MAX_FINDINGS

METADATA: tuple[wire.Metadata, ...] = (
    wire.GraphMetadata("graph", "model"),
    wire.SeriesMetadata("series", "gradients", ("a",), ("a",), (wire.STATISTICS["norm"],)),
    wire.HistogramsMetadata("histograms", "gradients", ("a", "b"), ("a", "b"), (-1.0, 0.5, 2.0)),
    wire.SamplesMetadata("samples", "probe"),
    wire.AttributionMetadata("attribution", "grad_cam", "grad_cam", "probe", signed=True, layers=("a", "a#1")),
    wire.MaximizationMetadata("maximization", "units", (wire.Unit("a", 3, "neuron"),), "table", "probe"),
    wire.SurrogateMetadata("surrogate", "inputs/decision_tree"),
    wire.FindingsMetadata("findings", "training"),
    *(wire.LayerArraysMetadata(kind, "probe", ("a", "b"), ("a", "b"), "probe") for kind in wire.LAYER_ARRAYS),
)


@pytest.mark.parametrize("metadata", METADATA, ids=lambda metadata: metadata.kind)
def test_metadata_round_trip(metadata: wire.Metadata) -> None:
    assert codec.decode_metadata(codec.encode_metadata(metadata)) == metadata


def test_every_kind_has_metadata_and_a_round_trip() -> None:
    assert list(wire.METADATA) == list(wire.KINDS) == [metadata.kind for metadata in METADATA]


def test_unknown_fields_of_a_later_release_are_ignored() -> None:
    content = json.dumps({"kind": "graph", "name": "model", "version": 1, "colour": "blue"}).encode()
    assert codec.decode_metadata(content) == wire.GraphMetadata("graph", "model")


def test_newer_version_is_refused_in_words() -> None:
    content = json.dumps({"kind": "graph", "name": "model", "version": 2}).encode()
    with pytest.raises(NewerVersionError, match="was written in version 2 of the Layerscope format, but this viewer"):
        codec.decode_metadata(content)


def test_every_row_needs_an_owner() -> None:
    metadata = wire.SeriesMetadata("series", "x", ("a", "b"), ("a",), ())
    with pytest.raises(MalformedError, match="has 2 layers but 1 owners"):
        codec.decode_metadata(codec.encode_metadata(metadata))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"importances": ((1.0,),)}, "has 2 features, but other numbers of importances"),
        ({"tree": (wire.TreeNode(1, (0.0,), 0, 0.0, 0, 0),)}, "node 0 refers to what is not there"),
        ({"tree": (wire.TreeNode(1, (0.0,), 0, 0.0, 1, 2), wire.TreeNode(1, (0.0,)))}, "node 0 refers"),
        ({"tree": (wire.TreeNode(1, (0.0,), 2, 0.0, 1, 1), wire.TreeNode(1, (0.0,)))}, "node 0 refers"),
        ({"tree": (wire.TreeNode(1, (0.0,), -2),)}, "node 0 refers"),
    ],
)
def test_a_tree_that_is_none_is_refused(changes: dict[str, Any], message: str) -> None:
    surrogate = serving.surrogate(0)
    assert codec.decode_surrogate(codec.to_json(surrogate)) == surrogate
    with pytest.raises(MalformedError, match=message):
        codec.decode_surrogate(codec.to_json(dataclasses.replace(surrogate, **changes)))


def test_samples_are_of_a_known_modality() -> None:
    assert codec.decode_samples(codec.to_json(serving.DESCRIPTION)) == serving.DESCRIPTION
    with pytest.raises(MalformedError, match="is of modality 'smell', but there are image, text, table"):
        codec.decode_samples(codec.to_json(wire.SamplesBlob((wire.ProbeInput("x", "smell"),))))


def test_graph_round_trip_and_equal_bytes() -> None:
    graph = serving.graph()
    assert codec.decode_graph(codec.encode_graph(graph)) == graph
    assert codec.encode_graph(graph) == codec.encode_graph(graph)
    assert gzip.decompress(codec.encode_graph(graph)) == codec.graph_json(graph)


def test_nodes_stay_in_the_order_of_execution() -> None:
    # Ids like these are what nn.Sequential gives; as keys of an object a browser would sort them.
    nodes = {node_id: wire.Node(node_id, "module", module=node_id) for node_id in ("input/x", "2", "0", "1")}
    blob = json.loads(codec.graph_json(wire.ModelGraph(nodes, (), (), ())))
    assert [node["id"] for node in blob["nodes"]] == ["input/x", "2", "0", "1"]


def test_two_nodes_of_one_id_are_refused() -> None:
    blob = json.loads(codec.graph_json(serving.graph()))
    blob["nodes"].append(blob["nodes"][0])
    with pytest.raises(MalformedError, match="has 5 nodes, but only 4 different ids"):
        codec.decode_graph(gzip.compress(json.dumps(blob).encode()))


def test_a_truncated_graph_is_refused() -> None:
    with pytest.raises(MalformedError, match="is truncated"):
        codec.decode_graph(codec.encode_graph(serving.graph())[:-12])


def test_a_gzip_bomb_is_refused_before_it_unpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_JSON_BYTES", 1000)
    with pytest.raises(MalformedError, match="unpacks to more than 1000 bytes"):
        codec.decode_graph(gzip.compress(b" " * 10_000_000))


@pytest.mark.parametrize(
    "change", [{"inputs": ["ghost"]}, {"edges": [{"source": "a", "target": "ghost", "shape": None}]}]
)
def test_a_graph_must_hold_what_it_refers_to(change: dict[str, object]) -> None:
    data = json.loads(codec.graph_json(serving.graph())) | change
    with pytest.raises(MalformedError, match=r"refers to 1 nodes that it does not hold, e.g. 'ghost'"):
        codec.decode_graph(gzip.compress(json.dumps(data).encode()))


def test_deeply_nested_json_is_refused() -> None:
    with pytest.raises(MalformedError):
        codec.decode_metadata(b'{"kind":"graph","version":1,"name":"x","more":' + b"[" * 200_000)


@given(st.dictionaries(st.text(), st.sampled_from(["f4", "f2", "i8", "u1"]), max_size=4))
def test_arrays_round_trip_under_any_name(dtypes: dict[str, str]) -> None:
    arrays = {name: np.arange(6, dtype=dtype).reshape(2, 3) for name, dtype in dtypes.items() if name != "__metadata__"}
    decoded = codec.decode_arrays(codec.encode_arrays(arrays))
    assert decoded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert decoded[name].dtype == array.dtype
        np.testing.assert_array_equal(decoded[name], array)


@given(st.binary(max_size=200))
def test_noise_is_malformed_and_nothing_worse(noise: bytes) -> None:
    for decode in (codec.decode_metadata, codec.decode_arrays, codec.decode_graph):
        with pytest.raises(MalformedError):
            decode(noise)
    with pytest.raises(MalformedError):
        codec.decode_graph(zlib.compress(noise))


def test_sizes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("MAX_METADATA_BYTES", "MAX_ARRAYS_BYTES", "MAX_IMAGE_BYTES"):
        monkeypatch.setattr(codec, limit, 10)
    for decode in (codec.decode_metadata, codec.decode_arrays, codec.check_png):
        with pytest.raises(MalformedError, match=r"has 11 bytes|have 11 bytes"):
            decode(b"x" * 11)


@pytest.mark.parametrize("data", [b"", b"\x89PNG", b"<svg onload='alert(1)'/>", b"GIF89a" + b"\x89PNG\r\n\x1a\n"])
def test_only_a_png_may_be_served_as_one(data: bytes) -> None:
    with pytest.raises(MalformedError, match="is not a PNG file"):
        codec.check_png(data)


def test_png_holds_the_pixels(tmp_path: Path) -> None:
    from PIL import Image

    image = np.array([[[0.0, 0.5, 1.0], [2.0, -1.0, np.nan]]])
    (tmp_path / "image.png").write_bytes(codec.check_png(codec.encode_png(image)))
    with Image.open(tmp_path / "image.png") as read:
        np.testing.assert_array_equal(np.asarray(read), [[[0, 128, 255], [255, 0, 0]]])


def test_checksums_are_those_of_tensorboard() -> None:
    for data in (b"", b"123456789", bytes(range(256)) * 5):
        assert codec.masked_crc32c(data) == pywrap_tensorflow.masked_crc32c(data)


@given(shape=st.tuples(st.integers(0, 20), st.integers(0, 20)), seed=st.integers(0, 99), share=st.floats(0, 1))
def test_counts_come_back(shape: tuple[int, int], seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    counts = (rng.integers(0, 2**33, shape) * (rng.random(shape) < share)).astype(np.float32)
    data = codec.encode_counts(counts)
    assert len(data) == -(-counts.size // 8) + 4 * np.count_nonzero(counts)
    np.testing.assert_array_equal(codec.decode_counts(data, shape), counts)


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data[:1], lambda data: data[:0]])
def test_counts_of_another_size_are_refused(spoil: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
    data = codec.encode_counts(np.ones((3, 4), np.float32))
    with pytest.raises(MalformedError, match=r"the counts have \d+ bytes, which is not right for \[3, 4\]"):
        codec.decode_counts(spoil(data), (3, 4))
    with pytest.raises(MalformedError, match=r"have 50 bytes, which is not right for \[3, 400\]"):
        codec.decode_counts(data, (3, 400))


@pytest.mark.parametrize(
    ("number", "step", "words"),
    [
        (codec.MAX_FINDINGS + 1, 1, "the findings are 1001, but at most 1000 are read"),
        (1, 2**63, "hold one of step 9223372036854775808, but steps are integers of 64 bits"),
        (1, -(2**63) - 1, "hold one of step -9223372036854775809"),
    ],
)
def test_findings_that_no_training_writes_are_refused(number: int, step: int, words: str) -> None:
    found = wire.Finding("dead", "error", step, "a", "a", "x.y", "", {}, "", "")
    with pytest.raises(MalformedError, match=words):
        codec.decode_findings(codec.to_json(wire.FindingsBlob((found,) * number)))


def test_as_many_findings_as_are_written_are_read() -> None:
    assert MAX_FINDINGS <= codec.MAX_FINDINGS
    blob = wire.FindingsBlob((wire.Finding("dead", "error", -1, "a", "a", "x.y", "", {}, "", ""),) * codec.MAX_FINDINGS)
    assert codec.decode_findings(codec.to_json(blob)) == blob


def test_steps_that_hold_more_or_less_than_the_units_are_refused() -> None:
    best = ((wire.TopSample(3, 1.5, (0, 0.5, 0.25, 1)),), ())
    step = wire.MaximizationStep((1.0, 2.0), best, (("a", "b"), ("c", "d")), (7, 8))
    assert codec.decode_maximization(codec.to_json(step), units=2) == step
    bare = wire.MaximizationStep((1.0, 2.0))
    assert codec.decode_maximization(codec.to_json(bare), units=2) == bare
    for units, what in ((3, "2 objectives for 3 units"), (0, "2 objectives for 0 units")):
        with pytest.raises(MalformedError, match=what):
            codec.decode_maximization(codec.to_json(bare), units=units)
    short = wire.MaximizationStep((1.0, 2.0), ascent_steps=(7,))
    with pytest.raises(MalformedError, match="1 ascent_steps for 2 units"):
        codec.decode_maximization(codec.to_json(short), units=2)
    with pytest.raises(MalformedError, match="not a valid MaximizationStep"):
        codec.decode_maximization(codec.to_json(step).replace(b"1.5", b"null"), units=2)
