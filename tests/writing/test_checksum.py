"""Records are written faster, not differently."""

from __future__ import annotations

import io
import random
from pathlib import Path
from types import SimpleNamespace

from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto import event_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from layerscope.writing.checksum import QuickRecordWriter, quicken


def test_the_bytes_are_those_of_tensorboard() -> None:
    rng = random.Random(0)
    records = [b"", b"\0", b"\xff" * 9, *(rng.randbytes(size) for size in (1, 7, 8, 1000, 70_000))]
    theirs, ours = io.BytesIO(), io.BytesIO()
    for record in records:
        RecordWriter(theirs).write(record)
        QuickRecordWriter(ours).write(record)
    assert ours.getvalue() == theirs.getvalue()


def test_a_writer_is_quickened_in_the_middle_of_its_file(tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as user:
        user.add_scalar("loss", 1.0, 1)
        quicken(user._get_file_writer())
        user.add_scalar("loss", 2.0, 2)
        assert type(user._get_file_writer().event_writer._async_writer._writer) is QuickRecordWriter
    (file,) = tmp_path.iterdir()
    # TensorBoard's own reader, which checks every checksum.
    events = [event_pb2.Event.FromString(record) for record in RawEventFileLoader(str(file)).Load()]
    assert [event.step for event in events] == [0, 1, 2]


def test_what_is_built_differently_is_left_alone() -> None:
    class Another(RecordWriter):
        """A record writer that is not known."""

    for record_writer in (Another(io.BytesIO()), io.BytesIO()):
        kept = type(record_writer)
        async_writer = SimpleNamespace(_writer=record_writer)
        quicken(SimpleNamespace(event_writer=SimpleNamespace(_async_writer=async_writer)))
        assert type(async_writer._writer) is kept
    quicken(without := SimpleNamespace())
    assert vars(without) == {}
