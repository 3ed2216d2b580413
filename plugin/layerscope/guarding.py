"""Keeps what fails inside the exporter from breaking a training."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class LayerscopeWarning(UserWarning):
    """Something could not be recorded; training goes on."""


class Guard:
    """Warns once about each kind of failure, with its cause, instead of raising it.

    Args:
        strict: raise it all the same.
    """

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._failed: set[tuple[str, type[Exception]]] = set()

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
            if (what, type(error)) not in self._failed:
                self._failed.add((what, type(error)))
                warnings.warn(
                    f"Layerscope could not record {what}: {type(error).__name__}: {str(error).rstrip('.')}. Training "
                    "goes on; this is said once. Scope(..., strict=True) raises it instead.",
                    LayerscopeWarning,
                    stacklevel=3 + depth,  # contextmanager's own frames are passed, too
                )
