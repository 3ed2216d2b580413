"""Statistics that may still be on their way from an accelerator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from layerscope import wire


class Sending(Protocol):
    """What copies numbers to the host."""

    def send(self) -> None:
        """Begin to copy."""
        ...

    @property
    def arrived(self) -> bool:
        """Whether the numbers are there."""
        ...


class Pending:
    """Statistics that are ready, or will be without anybody waiting for them.

    Args:
        sending: what brings the numbers; it begins now.
        finish: makes statistics of them when they have arrived.
        outline: what they will look like, where several processes find them together; see ``ParameterRows.outline``.
    """

    def __init__(
        self, sending: Sending, finish: Callable[[], wire.Statistics], outline: wire.Statistics | None = None
    ) -> None:
        sending.send()
        self.outline = outline
        self._sending = sending
        self._finish = finish

    @property
    def arrived(self) -> bool:
        """Whether ``result()`` need not wait."""
        return self._sending.arrived

    def result(self) -> wire.Statistics:
        """Return the statistics; waits for what is on its way."""
        return self._finish()
