"""Names that users give: lists of things by name, and what classes are called."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InvalidArgumentError


def checked_list(name: str, given: Any, of: str = "names") -> Sequence[str]:
    """Return what was given as a list of names.

    Raises:
        InvalidArgumentError: it is a single one, of which each letter would be taken for a name, or none at all.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        instead = f"; give [{given!r}]" if isinstance(given, str) else ""
        raise InvalidArgumentError(f"{name} must be a list of {of}, not {given!r}{instead}.")
    return cast("Sequence[str]", given)


def checked_class_names(given: Iterable[Any] | None) -> tuple[str, ...] | None:
    """Return the names of classes, which may be an array, as strings.

    Raises:
        InvalidArgumentError: it is a single one.
    """
    if isinstance(given, str):
        raise InvalidArgumentError(f"class_names must be a list of names, not {given!r}; give [{given!r}].")
    return None if given is None else tuple(map(str, given))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question that ends an error of a name that is not known: whether the one most like it is meant."""
    near = difflib.get_close_matches(name, known, n=1)
    return f" Do you mean {near[0]!r}?" if near else ""


def by_name(classes: NDArray[np.int32], names: Sequence[str] | None) -> list[str | int]:
    """Return the class of each sample by its name, where it has one."""
    known = dict(enumerate(names or ()))
    return [known.get(int(number), int(number)) for number in classes]
