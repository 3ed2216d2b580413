"""Keeps what fails inside the exporter from breaking a training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from layerscope.errors import InvalidArgumentError

_MOST_WARNINGS = 20
"""After so many, messages that differ are no longer told apart: they may hold a number that changes."""


class LayerscopeWarning(UserWarning):
    """Something could not be recorded; training goes on."""


class Guard:
    """Warns once about each kind of failure, with its cause, instead of raising it.

    Of wrong arguments each is a kind of its own: after one was mended, the next must not be silent.

    Args:
        strict: raise it all the same.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._failed: set[tuple[str, type[Exception], str]] = set()

    @contextmanager
    def __call__(self, what: str, *, depth: int = 1) -> Iterator[None]:
        """Contain failures of the block.

        Args:
            what: what could not be recorded then.
            depth: how many callers of the block's function the warning points past.
        """
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            argument = isinstance(error, InvalidArgumentError)
            kind = what, type(error), str(error) if argument and len(self._failed) < _MOST_WARNINGS else ""
            if kind not in self._failed:
                self._failed.add(kind)
                warnings.warn(
                    f"Layerscope could not record {what}: {type(error).__name__}: {str(error).rstrip('.')}. Training "
                    "goes on; this is said once. Scope(..., strict=True) raises it instead.",
                    LayerscopeWarning,
                    stacklevel=3 + depth,  # contextmanager's own frames are passed, too
                )
