"""Keeps messages in memory, so that another process can write them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope import codec, wire


@dataclass(frozen=True)
class Message:
    """A message as ``MessageWriter`` writes it."""

    metadata: wire.Metadata
    value: NDArray[np.float32] | tuple[bytes, ...]
    """Of kinds whose values are tensors the array, histograms unpacked, [layers, ...]; of the others the blobs."""
    step: int


class MessageLog:
    """A SummaryWriter that keeps the messages of one ``MessageWriter`` instead of writing them to a file."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._metadata: dict[str, wire.Metadata] = {}

    def take(self) -> list[Message]:
        """Return the messages that came since the last time."""
        taken, self._messages = self._messages, []
        return taken

    def flush(self) -> None:
        """Do nothing."""

    def add_event(self, event: Any, *_: Any) -> None:
        """Keep the message that an event holds."""
        (summary,) = event.summary.value
        if summary.metadata.plugin_data.content:  # only the first of a tag has it
            self._metadata[summary.tag] = codec.decode_metadata(summary.metadata.plugin_data.content)
        metadata = self._metadata[summary.tag]
        self._messages.append(Message(metadata, _value(metadata, summary.tensor), event.step))

    def _get_file_writer(self) -> MessageLog:
        return self


def _value(metadata: wire.Metadata, tensor: Any) -> NDArray[np.float32] | tuple[bytes, ...]:
    if not wire.KINDS[metadata.kind].tensor:
        return tuple(tensor.string_val)
    if isinstance(metadata, wire.HistogramsMetadata):
        counts = np.frombuffer(tensor.tensor_content, np.uint8)
        return codec.decode_counts(counts, (len(metadata.layers), len(metadata.edges) - 1))
    shape = [dimension.size for dimension in tensor.tensor_shape.dim]
    return np.frombuffer(tensor.tensor_content, "<f4").reshape(shape)
