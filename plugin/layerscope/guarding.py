"""Keeps what fails inside the exporter from breaking a training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from layerscope.errors import InvalidArgumentError, LayerscopeError

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


@contextmanager
def failing_last() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Let each of several things be tried, though others fail: what failed is raised at the end of the block.

    Yields:
        A function that gives a context manager for one thing that may fail.

    Raises:
        Exception: the one that failed; of several a LayerscopeError that tells of all.
    """
    failures: list[Exception] = []

    @contextmanager
    def attempt() -> Iterator[None]:
        try:
            yield
        except Exception as error:
            failures.append(error)

    yield attempt
    failures = list({(type(error), str(error)): error for error in reversed(failures)}.values())[::-1]
    if len(failures) > 1:
        told = "; ".join(f"{type(error).__name__}: {str(error).rstrip('.')}" for error in failures)
        raise LayerscopeError(f"{len(failures)} things failed: {told}.") from failures[0]
    if failures:
        raise failures[0]
