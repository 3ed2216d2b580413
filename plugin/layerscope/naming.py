"""Layer keys: the one place where a module call gets the name that graph, statistics, maps, URL and DOT share.

A layer key is the qualified module name, with ``#k`` appended for the k-th call when k >= 1 (``conv``, ``conv#1``).
A module without a qualified name (kept in a plain list, or the model itself) is named after its class in angle
brackets (``<Linear>``). Nothing of torch is imported: anything with ``named_modules()`` will do.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple


def layer_key(name: str, call: int = 0) -> str:
    """Return the layer key of call number ``call`` (from 0) of the module named ``name``."""
    return f"{name}#{call}" if call else name


class ModuleCall(NamedTuple):
    """One call of one module."""

    name: str
    """Qualified name, or the class in angle brackets."""
    call: int
    """0 for the first call under that name, 1 for the second, ..."""
    key: str
    """The layer key."""


class LayerNames:
    """Names of the modules of one model.

    A module registered under several names goes by the first, as ``named_modules()`` gives it.
    """

    def __init__(self, model: Any) -> None:
        # The modules are kept: a forward that replaces one would let another get its address, and its name.
        self._names: dict[int, tuple[str, Any]] = {id(module): (name, module) for name, module in model.named_modules()}
        self.registered: frozenset[str] = frozenset(name for name, _ in self._names.values())
        """Every qualified name."""

    def qualified(self, module: Any) -> str:
        """Return the qualified name of ``module``, or "" for the model itself and for unregistered modules."""
        return self._names.get(id(module), ("", None))[0]

    def name(self, module: Any) -> str:
        """Return the qualified name of ``module``, or its class in angle brackets where it has none."""
        return self.qualified(module) or f"<{type(module).__name__}>"


class CallCounter:
    """Numbers the calls of modules during one forward pass; no two calls get the same key."""

    def __init__(self, names: LayerNames) -> None:
        self._names = names
        self._calls: Counter[str] = Counter()
        self._issued: set[str] = set()

    def next(self, module: Any) -> ModuleCall:
        """Count one more call of ``module`` and return it with its layer key."""
        name = self._names.name(module)
        call = self._calls[name]
        self._calls[name] += 1
        key, marks = layer_key(name, call), "#"
        while call and (key in self._names.registered or key in self._issued):  # somebody named a module "conv#1"
            marks += "#"
            key = f"{name}{marks}{call}"
        self._issued.add(key)
        return ModuleCall(name, call, key)
