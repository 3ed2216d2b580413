"""What is in the event files of a log directory, for several tests."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

import layerscope
from layerscope import codec, wire


def read(logdir: Path) -> wire.Run:
    run = layerscope.read(logdir)["."]
    assert run.problems == ()
    return run


def written(logdir: Path) -> list[tuple[int, wire.Metadata, list[bytes]]]:
    """Return (step, metadata of the tag, blobs) of all that is in the event files of ours."""
    metadata: dict[str, wire.Metadata] = {}
    found: list[tuple[int, wire.Metadata, list[bytes]]] = []
    for path in sorted(logdir.glob("events*")):
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.metadata.plugin_data.plugin_name.startswith("layerscope"):
                    metadata[value.tag] = codec.decode_metadata(value.metadata.plugin_data.content)
                if value.tag in metadata:
                    found.append((event.step, metadata[value.tag], list(value.tensor.string_val)))
    return found
