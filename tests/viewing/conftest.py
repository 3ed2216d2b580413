"""A log directory with every kind of summary, served by a real TensorBoard under each of its loaders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.compat.proto import summary_pb2, tensor_pb2
from tensorboard.compat.tensorflow_stub import dtypes
from tensorboard.util import tensor_util
from torch.utils.tensorboard import SummaryWriter

import serving
from layerscope import codec, wire
from layerscope.writing import MessageWriter

STEPS = 1500


@pytest.fixture(scope="session")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the runs that the tests read.

    ``full``: every kind, 1,500 steps of a series beside the user's loss. ``plain``: scalars only. ``broken``: payloads
    that break every rule, beside good ones. ``torn``: an event file that ends in the middle of a record.
    ``restarted``: steps written again after a restart.
    """
    root = tmp_path_factory.mktemp("logs")
    with SummaryWriter(str(root / "full")) as user:
        writer = MessageWriter(user)
        writer.graph(serving.graph())
        writer.findings((), step=0)
        for step in range(STEPS):
            if step % 2 == 0:  # 750 points: below the 1,000 that TensorBoard keeps of a scalar by default
                user.add_scalar("loss", 1 / (step + 1), step)
            writer.series("gradients", serving.statistics(step), step=step)
        for step in range(0, 30, 10):
            samples = [np.arange(8, dtype=np.float32).reshape(2, 4)]
            writer.samples("probe", samples, step=step, description=serving.DESCRIPTION)
            writer.surrogate(serving.surrogate(step), step=step)
            writer.attribution(serving.maps(step), samples="probe", step=step)
            image = np.full((4, 4, 3), step / 100, np.float32)
            top = (wire.TopSample(1, 9.0, (0.0, 0.5, 0.25, 1.0)),)
            found = [
                wire.MaximizedUnit(wire.Unit("a", 0), step / 2, image, (), top, 3),
                wire.MaximizedUnit(wire.Unit("b", 7), 1.0, image, (), (), 3),
            ]
            writer.maximization(found, step=step, samples="probe")
            values = np.full((2, 3, 4, 4), step, np.float32)
            for kind in wire.LAYER_ARRAYS:
                writer.layer_arrays(kind, {"a": {"values": values}}, name="probe", step=step, samples="probe")
    with SummaryWriter(str(root / "plain")) as user:
        user.add_scalar("loss", 0.5, 0)
    _write_broken(root / "broken")
    _write_torn(root / "torn")
    _write_restarted(root / "restarted")
    return root


def _write_broken(run: Path) -> None:
    with SummaryWriter(str(run)) as user:
        writer = MessageWriter(user)
        writer.series("good", serving.statistics(0), step=0)
        series = json.loads(codec.encode_metadata(wire.SeriesMetadata("series", "x", ("a",), ("a",), ())))
        blob = [b"not what it should be"]
        for tag, content, value in (
            ("not-json", b"{", np.zeros((1, 1), np.float32)),
            ("newer", json.dumps(series | {"version": 99}).encode(), np.zeros((1, 1), np.float32)),
            ("unknown-kind", json.dumps(series | {"kind": "<script>"}).encode(), np.zeros((1, 1), np.float32)),
            ("wrong-type", json.dumps(series | {"layers": 3}).encode(), np.zeros((1, 1), np.float32)),
            ("wrong-shape", json.dumps(series).encode(), np.zeros((2, 2), np.float32)),
            ("bad-graph", codec.encode_metadata(wire.GraphMetadata("graph", "bad")), blob),
            ("bad-samples", codec.encode_metadata(wire.SamplesMetadata("samples", "bad")), blob),
            ("bad-tree", codec.encode_metadata(wire.SurrogateMetadata("surrogate", "bad")), blob),
            (
                "bad-images",
                codec.encode_metadata(wire.MaximizationMetadata("maximization", "bad", (wire.Unit("a", 0),))),
                [b"[]", b"<svg onload='alert(1)'/>"],
            ),
        ):
            _write_raw(user, tag, content, value)
        short = tensor_util.make_tensor_proto(np.zeros((1, 1), np.float32))
        short.tensor_content = b"\0"
        short.ClearField("float_val")
        _write_raw(user, "short-tensor", json.dumps(series).encode(), short)
        _write_raw(user, "text-tensor", json.dumps(series).encode(), tensor_util.make_tensor_proto("words"))


def _write_raw(
    user: SummaryWriter, tag: str, content: bytes, value: NDArray[np.float32] | list[bytes] | tensor_pb2.TensorProto
) -> None:
    images = tag in ("bad-images", "bad-tree")
    data = summary_pb2.SummaryMetadata.PluginData(
        plugin_name=wire.PLUGIN_BLOBS if images else wire.PLUGIN, content=content
    )
    is_tensor = not isinstance(value, list)
    data_class = summary_pb2.DATA_CLASS_TENSOR if is_tensor else summary_pb2.DATA_CLASS_BLOB_SEQUENCE
    metadata = summary_pb2.SummaryMetadata(plugin_data=data, data_class=data_class)
    tensor = value
    if not isinstance(value, tensor_pb2.TensorProto):
        tensor = tensor_util.make_tensor_proto(value, dtype=None if is_tensor else dtypes.string)
    summary = summary_pb2.Summary(value=[summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
    user._get_file_writer().add_summary(summary, 0)


def _write_torn(run: Path) -> None:
    with SummaryWriter(str(run)) as user:
        for step in range(3):
            MessageWriter(user).series("gradients", serving.statistics(step), step=step)
    (events,) = run.iterdir()
    events.write_bytes(events.read_bytes()[:-20])


def _write_restarted(run: Path) -> None:
    sessions = ((range(4), ("a", "b")), (range(2, 5), ("a", "b")), (range(3, 7), ("a", "b", "lora")))
    for session, (steps, layers) in enumerate(sessions):
        with SummaryWriter(str(run)) as user:
            writer = MessageWriter(user)
            for step in steps:
                writer.series("gradients", serving.statistics(step, layers, session), step=step)
        serving.wait_for_another_second()


@pytest.fixture(scope="session", params=serving.LOADERS, ids=["rust", "python"])
def tensorboard(
    request: pytest.FixtureRequest, logdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[serving.TensorBoard]:
    """A TensorBoard over ``logdir`` that has loaded all of it."""
    log = tmp_path_factory.mktemp("log") / "tensorboard.log"
    with serving.serving(logdir, log, "--load_fast", request.param) as server:
        server.wait(lambda: _loaded(server))
        yield server


def _loaded(server: serving.TensorBoard) -> bool:
    """Tell whether the last thing that each run holds is there."""
    return (
        b'"steps":[0,10,20]' in server.get("tags", run="full").body
        and b"bad-images" in server.get("tags", run="broken").body
        and b"lora" in server.get("tags", run="restarted").body
        and server.get("tags", run="torn").code == 200
    )
