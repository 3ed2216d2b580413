"""What the modules of a model hold beside parameters and buffers, and how it is put back.

A forward may keep what it likes: counters, histories in lists within dicts, modules in tuples, random generators. The
observer runs a forward of its own, and afterwards all of that is as before.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_CONTAINERS = frozenset((dict, OrderedDict, defaultdict, Counter, list, set, deque))
_NUMBERS = frozenset((int, float, bool, complex, str, type(None)))
_PLAIN = _NUMBERS | {Tensor, nn.Parameter, torch.dtype, torch.device, type}
"""What most values are of, which saves the question whether they are instances of ``_LEAVES``."""
_LEAVES = (Tensor, torch.dtype, torch.device, str, int, float, type(None), type)


class ModuleState:
    """Attributes, containers, objects of the user's own classes and random generators, found from the modules.

    Looked into: the attributes of every module (those in plain containers and of plain attributes, too), dicts, lists,
    sets, deques and tuples in any nesting, and objects whose class comes from the same package as the module's. Other
    objects (a trainer, a logger) are not the model's own and stay as they are.
    """

    def __init__(self, model: nn.Module) -> None:
        self.modules: list[nn.Module] = list(model.modules())
        """Every module: the registered ones first, then those found in attributes."""
        self._known: set[int] = set(map(id, self.modules))
        self._attributes: list[tuple[dict[str, Any], dict[str, Any]]] = []
        """(attributes of a module or object, copy)."""
        self._containers: list[tuple[Any, Any]] = []
        """(container that holds something, copy)."""
        self._empty: list[Any] = []
        """Containers that hold nothing, as most of a module's, such as those of its hooks."""
        self._generators: list[tuple[Callable[[Any], object], Any]] = []
        """(what sets the state of a random generator, state)."""
        for module in self.modules:  # grows on the way
            self._visit_attributes(module, type(module).__module__.partition(".")[0])

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Put everything back at the end of the block, all that can be, whatever else raises."""
        try:
            yield
        finally:
            self._restore()

    def _restore(self) -> None:
        run_all(
            (_restore_attributes, self._attributes),
            (_restore_container, self._containers),
            (_empty, [(self._empty,)]),
            (_call, self._generators),
        )

    def _visit_attributes(self, holder: Any, package: str) -> None:
        attributes = vars(holder)
        self._attributes.append((attributes, attributes.copy()))
        for value in attributes.values():
            kind = type(value)
            if kind in _CONTAINERS and not value:
                self._empty.append(value)
            elif kind not in _PLAIN:
                self._visit(value, package)

    def _visit(self, value: Any, package: str) -> None:
        if id(value) in self._known:
            return
        if type(value) in _CONTAINERS:
            self._visit_container(value, package)
        elif isinstance(value, _LEAVES):
            pass
        elif isinstance(value, nn.Module):
            found = [module for module in value.modules() if id(module) not in self._known]
            self.modules += found
            self._known.update(map(id, found))
        elif isinstance(value, tuple):
            for item in value if not _PLAIN.issuperset(map(type, value)) else ():
                self._visit(item, package)
        elif isinstance(value, (torch.Generator, random.Random, np.random.Generator, np.random.RandomState)):
            self._known.add(id(value))
            self._generators.append(_generator(value))
        elif _is_own(value, package):
            self._known.add(id(value))
            self._visit_attributes(value, package)

    def _visit_container(self, value: Any, package: str) -> None:
        self._known.add(id(value))
        self._containers.append((value, value.copy()))
        items = value.values() if isinstance(value, dict) else value
        if not _PLAIN.issuperset(map(type, items)):
            for item in list(items):
                self._visit(item, package)


def run_all(*restores: tuple[Callable[..., object], Iterable[tuple[Any, ...]]]) -> None:
    """Call each function with each of its arguments, all of them, and raise the first error at the end.

    No ``ExitStack``: its callbacks took as long as the forward of a model of many small layers.
    """
    errors: list[Exception] = []
    for restore, arguments in restores:
        for values in arguments:
            try:
                restore(*values)
            except Exception as error:  # noqa: PERF203 - the others are restored all the same
                errors.append(error)
    if errors:
        raise errors[0]


def _call(set_state: Callable[[Any], object], state: Any) -> None:
    set_state(state)


def _generator(value: Any) -> tuple[Callable[[Any], object], Any]:
    """Return what sets the state of a random generator, and its state."""
    if isinstance(value, torch.Generator):
        return value.set_state, value.get_state()
    if isinstance(value, random.Random):
        return value.setstate, value.getstate()
    if isinstance(value, np.random.RandomState):
        return value.set_state, value.get_state()
    bits = value.bit_generator
    return partial(setattr, bits, "state"), bits.state


def _is_own(value: Any, package: str) -> bool:
    """Tell whether ``value`` is an object whose class comes from ``package``."""
    own = type(value).__module__.partition(".")[0] == package and package not in ("builtins", "torch")
    return own and hasattr(value, "__dict__") and not isinstance(value, Callable)


def _restore_attributes(attributes: dict[str, Any], saved: dict[str, Any]) -> None:
    if attributes.keys() != saved.keys():
        for name in attributes.keys() - saved.keys():
            del attributes[name]
    attributes.update(saved)


def _empty(containers: list[Any]) -> None:
    for container in containers:
        if container:
            container.clear()


def _restore_container(container: Any, saved: Any) -> None:
    if _same(container, saved):
        return
    container.clear()
    container.extend(saved) if isinstance(container, (list, deque)) else container.update(saved)


def _same(one: Any, other: Any) -> bool:
    """Tell whether two containers of one type hold the same objects in order; ``==`` would compare tensors."""
    if len(one) != len(other):
        return False
    return all(map(is_, one, other)) and (not isinstance(one, dict) or all(map(is_, one.values(), other.values())))
