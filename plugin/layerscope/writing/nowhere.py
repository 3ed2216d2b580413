"""Stands where there is nothing to write to: on the ranks of a distributed training that only take part."""

from __future__ import annotations

from typing import Any


class Nowhere:
    """A SummaryWriter that writes nothing."""

    def _get_file_writer(self) -> Nowhere:
        return self

    def add_event(self, *_: Any) -> None:
        """Do nothing."""

    def add_embedding(self, *_: Any, **__: Any) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing."""
