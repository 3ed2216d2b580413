"""Checksums of records in C: TensorBoard computes them in Python, where they cost more than everything else here.

Each record of an event file ends with the CRC-32C of its bytes (RFC 3720, appendix B.4). TensorBoard's own takes 24 ms
for 170 kB, the histograms of a ResNet-50, and while it runs, no other thread does.
"""

from __future__ import annotations

import struct
from typing import Any

import google_crc32c
from tensorboard.summary.writer.record_writer import RecordWriter


class QuickRecordWriter(RecordWriter):
    """Writes the same bytes as TensorBoard's ``RecordWriter``."""

    _writer: Any

    def write(self, data: bytes) -> None:
        """Write one record: its length, the checksum of that, the data, the checksum of the data."""
        header = struct.pack("<Q", len(data))
        self._writer.write(b"".join((header, _masked(header), data, _masked(data))))


def quicken(file_writer: Any) -> None:
    """Let a ``FileWriter`` of torch write its records with ``QuickRecordWriter``.

    Where torch or TensorBoard are built differently from what is known, nothing is changed.
    """
    record_writer = getattr(getattr(getattr(file_writer, "event_writer", None), "_async_writer", None), "_writer", None)
    if type(record_writer) is RecordWriter:
        record_writer.__class__ = QuickRecordWriter


def _masked(data: bytes) -> bytes:
    # As TensorFlow masks them: a checksum of data that holds checksums would be weak.
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)
