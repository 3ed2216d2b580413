"""What a fold is called: ``layers.0…11 (12)`` for distinct weights, ``cell ×200`` for the same."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from layerscope.wire import Node

_SHOWN = 3
"""As many names stand in a label; the rest are counted."""


def fold_label(members: Sequence[Sequence[Node]], container: Node | None) -> tuple[str, bool]:
    """Return the label of a fold and whether its members are calls of the same modules, with the same weights.

    Args:
        members: the siblings that each repetition consists of.
        container: the module that encloses them; its name is left out of the label.
    """
    count = len(members)
    names = [[_name(node) for node in member if node.kind != "function"] for member in members]
    if not names[0]:
        return f"{_listed([node.op for node in members[0]])} ×{count}", True
    inside = f"{container.module}." if container is not None and container.module else ""
    first, last = (name.removeprefix(inside) for name in (names[0][0], names[-1][-1]))
    if all(same == names[0] for same in names):
        return f"{_listed([name.removeprefix(inside) for name in names[0]])} ×{count}", True
    each = len(names[0])
    times = f"({count})" if each == 1 else f"({count} × {each})"
    return f"{_range(first, last)} {times}", False


def _name(node: Node) -> str:
    """Return the name under which a module or parameter has its weights."""
    return node.module or node.id


def _listed(names: Sequence[str]) -> str:
    different = list(dict.fromkeys(names))
    return ", ".join(different[:_SHOWN]) + (f" + {len(different) - _SHOWN}" if len(different) > _SHOWN else "")


def _range(first: str, last: str) -> str:
    """Return ``layers.0…11`` for ``layers.0`` and ``layers.11``, ``a.0…3.b`` for ``a.0.b`` and ``a.3.b``."""
    numbers = re.compile(r"\d+")
    if numbers.sub("0", first) == numbers.sub("0", last):
        pairs = list(zip(numbers.finditer(first), numbers.finditer(last), strict=True))
        different = [(a, b) for a, b in pairs if a[0] != b[0]]
        if len(different) == 1:
            ((a, b),) = different
            return f"{first[: a.start()]}{a[0]}…{b[0]}{first[a.end() :]}"
    both = zip(first.split("."), last.split("."), strict=False)
    shared = "".join(f"{part}." for part, _ in itertools.takewhile(lambda parts: parts[0] == parts[1], both))
    return f"{first}…{last.removeprefix(shared)}"
