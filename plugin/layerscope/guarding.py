"""Keeps what fails inside the exporter from breaking a training."""

# pyright: reportPrivateUsage=false
# Frames tell where the user's code is: warnings.warn() itself can skip packages from Python 3.12 on only.

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from layerscope.errors import InvalidArgumentError, LayerscopeError

_MOST_WARNINGS = 20
"""After so many, messages that differ are no longer told apart: they may hold a number that changes."""

_NOT_THE_USERS = ("layerscope", "torch", "contextlib")
"""Packages whose frames lie between a line of the user and what is told about it."""


class LayerscopeWarning(UserWarning):
    """Something could not be recorded; training goes on."""


class Guard:
    """Warns once about each kind of failure, with its cause, instead of raising it.

    Of wrong arguments each is a kind of its own: after one was mended, the next must not be silent. A warning points to
    the line of the user that led there, also from a hook inside an optimizer's step.

    Args:
        strict: raise it all the same.
        locate: returns where in the model something was raised, in words, or "".
        written: returns how many messages were written so far, from which is told whether all of it failed or a part.
    """

    def __init__(
        self,
        *,
        strict: bool,
        locate: Callable[[Exception], str] = lambda error: "",
        written: Callable[[], int] = lambda: 0,
    ) -> None:
        self._strict, self._locate, self._written = strict, locate, written
        self._failed: set[tuple[str, type[Exception], str]] = set()
        self._told: set[str] = set()

    @contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        """Contain failures of the block.

        Args:
            what: what could not be recorded then.
        """
        before = self._written()
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            argument = isinstance(error, InvalidArgumentError)
            kind = what, type(error), str(error) if argument and len(self._failed) < _MOST_WARNINGS else ""
            if kind not in self._failed:
                self._failed.add(kind)
                place = "" if isinstance(error, LayerscopeError) else self._locate(error)
                part = "all of " if self._written() > before else ""
                _warn(
                    f"Layerscope could not record {part}{what}: {type(error).__name__}{place and f' in {place}'}: "
                    f"{str(error).rstrip('.')}. Training goes on; this is said once. Scope(..., strict=True) raises it "
                    "instead."
                )

    def tell(self, kind: str, message: str) -> None:
        """Warn, once of each ``kind``, that what is recorded may not be what is meant; no failure, so never raised."""
        if kind not in self._told:
            self._told.add(kind)
            _warn(f"Layerscope: {message}")


def _warn(message: str) -> None:
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_THE_USERS:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, LayerscopeWarning, stacklevel=level)


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
