"""What a node tells of its module: sizes, settings, ties and where its class is defined."""

from __future__ import annotations

import linecache
import re
import sys
from pathlib import PurePath
from typing import Any

from torch import nn

_LONGEST = 300  # characters of a repr or a docstring line; a user's class may return anything
_MARKED = re.compile(r"(?::[a-z]+:)?`{1,2}([^`]+)`{1,2}")  # :math:`x`, :class:`~torch.nn.Linear`, ``x``
_SIGNATURE = re.compile(r"\A\w+\(.*\)\n\s*")  # before the first line of some, such as torch.nn.LSTM


class ModuleFacts:
    """Facts of the modules of one model, each gathered once however often the module is called."""

    def __init__(self, model: nn.Module) -> None:
        self._facts: dict[int, dict[str, Any]] = {}
        self._names: dict[int, list[tuple[str, int]]] = {}
        """Parameter -> (qualified name, module that holds it) under all its names."""
        for prefix, module in model.named_modules():
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
                self._names.setdefault(id(parameter), []).append((f"{prefix}.{name}" if prefix else name, id(module)))

    def of(self, module: nn.Module) -> dict[str, Any]:
        """Return the fields of ``Node`` that are the same for every call of ``module``."""
        if id(module) not in self._facts:
            self._facts[id(module)] = self._gathered(module)
        return self._facts[id(module)]

    def _gathered(self, module: nn.Module) -> dict[str, Any]:
        own = list(module.parameters(recurse=False))
        every = list(module.parameters())  # each once, shared ones too
        tied = {
            name for parameter in own for name, holder in self._names.get(id(parameter), ()) if holder != id(module)
        }
        return {
            "class_name": type(module).__name__,
            "own_parameters": sum(parameter.numel() for parameter in own),
            "total_parameters": sum(parameter.numel() for parameter in every),
            "own_bytes": sum(parameter.nbytes for parameter in own),
            "total_bytes": sum(parameter.nbytes for parameter in every),
            "trainable": any(parameter.requires_grad for parameter in every) if every else None,
            "trainable_parameters": sum(parameter.numel() for parameter in every if parameter.requires_grad),
            "tied": tuple(sorted(tied)),
            "extra_repr": _extra_repr(module),
            "source": source(type(module)),
            "doc": _first_line(type(module)),
        }


def _extra_repr(module: nn.Module) -> str:
    try:
        return _shortened(str(module.extra_repr()))
    except Exception:  # the user's code, called for comfort only
        return ""


def _first_line(cls: type) -> str:
    """Return the first line of the docstring that ``cls`` itself has, without signature and markup."""
    doc = vars(cls).get("__doc__")
    if not isinstance(doc, str):
        return ""
    line = _SIGNATURE.sub("", doc.strip(), count=1).partition("\n")[0]
    return _MARKED.sub(r"\1", _shortened(line.strip()))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


_sources: dict[type, str] = {}


def source(cls: type) -> str:
    """Return where ``cls`` is defined: path below the directory it is imported from, ":" and the line; "" if unknown.

    ``inspect.getsourcelines`` parses the whole file, up to a tenth of a second for each class.
    """
    if cls not in _sources:
        _sources[cls] = _found_source(cls)
    return _sources[cls]


def _found_source(cls: type) -> str:
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py"):
        return ""
    path = PurePath(file)
    depth = cls.__module__.count(".") + (2 if path.name == "__init__.py" else 1)
    shown = "/".join(path.parts[-depth:])
    codes = [getattr(value, "__code__", None) for value in vars(cls).values()]
    first = min((code.co_firstlineno for code in codes if code is not None and code.co_filename == file), default=None)
    heading = re.compile(rf"\s*class\s+{re.escape(cls.__name__)}\b")
    lines = linecache.getlines(file)[:first]  # of several classes of that name, the last before its own functions
    number = next((number for number in range(len(lines), 0, -1) if heading.match(lines[number - 1])), first)
    return f"{shown}:{number}" if number is not None else shown
