"""What is recorded is examined, and what is found is written once."""

from __future__ import annotations

from hand_made_series import of_layers
from layerscope import codec, wire
from layerscope.probing.ranks import Ranks
from layerscope.recorder import Recorder
from layerscope.writing import MessageWriter
from layerscope.writing.message_log import MessageLog


def test_each_finding_is_written_once_and_before_them_that_detectors_look() -> None:
    log = MessageLog()
    recorder = Recorder(MessageWriter(log), Ranks(), writes=True)
    for step in range(0, 100, 5):
        dead = [float(step >= 20 * number) for number in (1, 2, 3)]
        rows = {f"relu{i}": {"dead_fraction": share, "zero_fraction": share} for i, share in enumerate(dead)}
        recorder.write("training_activations", of_layers("training_activations", rows), step)
    recorder.conclude()
    blobs = [
        (message.step, codec.decode_findings(bytes(message.value[0])).findings)
        for message in log.take()
        if isinstance(message.metadata, wire.FindingsMetadata)
    ]
    assert blobs[0] == (0, ())
    found = [(step, finding.step, finding.detector, finding.layer) for step, blob in blobs for finding in blob]
    assert found == [(30, 30, "dead", "relu0"), (50, 50, "dead", "relu1"), (70, 70, "dead", "relu2")]
    assert len(blobs) == 4
