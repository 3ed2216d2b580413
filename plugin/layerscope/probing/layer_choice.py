"""Which layers are looked at: all, a few that tell the most, some by pattern, or some by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from layerscope.containment import contained
from layerscope.errors import InvalidArgumentError, LayerNotFoundError
from layerscope.probing.calls import copied_arguments, first_float_tensor, layer_unavailable, watched

AUTO = 12
"""About how many layers ``"auto"`` takes."""

ENOUGH = 4
"""A level of nesting with fewer modules (features, pool, classifier) is taken only if no other has more."""


@dataclass(frozen=True)
class Chosen:
    """The layers that were asked for; ``key in chosen`` tells of one.

    ``"all"`` is every module call but the model's own. ``"auto"`` is about a dozen: the modules of that level of
    nesting whose number comes closest to it, ``ENOUGH`` of them at least; where it has more than ``AUTO``, those that
    hold parameters, and if there still are more, some evenly spread, the last one among them.
    What is not called itself (``nn.ModuleList``) is no level, and what holds parameters, but no submodule that does (a
    convolution that pads), counts as having nothing inside. A list names layer keys; one with ``*``, ``?`` or ``[`` in
    it is a pattern as in a shell, e.g. ``"blocks.*.attn"``, but a layer of just that name comes first. Of what
    ``"all"``, ``"auto"`` and patterns give, layers without an attribution are left out and noted; a named one must have
    one. An empty list is no layer at all.
    """

    keys: tuple[str, ...] = ()
    """Keys that must be there."""
    patterns: tuple[str, ...] = ()
    """Patterns of which each must match a key; they count for ``"auto"``, too, which has no patterns."""
    some: frozenset[str] | None = frozenset()
    """Keys that may be there; None for all."""

    @property
    def nothing(self) -> bool:
        """Whether no layer at all was asked for."""
        return self.some is not None and not (self.keys or self.patterns or self.some)

    def __contains__(self, key: str) -> bool:
        if self.some is None or key in self.some or key in self.keys:
            return True
        return any(fnmatchcase(key, pattern) for pattern in self.patterns)

    def require(self, executed: Sequence[str]) -> None:
        """Raise if a pattern matches none of the keys that a forward pass executed.

        Raises:
            LayerNotFoundError: it does not.
        """
        for pattern in self.patterns:
            if not any(fnmatchcase(key, pattern) for key in executed):
                raise LayerNotFoundError(pattern, executed)

    def require_called(self, model: nn.Module, executed: list[str]) -> None:
        """Raise if what was asked for by name or by pattern is not among the keys that a forward pass executed.

        Raises:
            LayerNotFoundError: there is no such layer, or none of a pattern.
            CaptureError: there is, but it was not called.
        """
        missing = next((key for key in self.keys if key not in executed), None)
        if missing is not None:
            raise layer_unavailable(model, missing, executed)
        self.require(executed)

    @staticmethod
    def of(layers: str | Sequence[str] | Chosen, model: nn.Module, inputs: Any) -> Chosen:
        """Return what ``layers`` means for ``model``; ``"auto"`` runs one forward pass on ``inputs`` to see.

        What was chosen already is returned as it is.

        Raises:
            InvalidArgumentError: another word, or something that is not a list of strings.
        """
        if isinstance(layers, Chosen):
            return layers
        if layers == "all":
            return Chosen(some=None)
        if layers == "auto":
            return Chosen(some=frozenset(telling_layers(model, inputs)))
        if isinstance(layers, str):
            raise InvalidArgumentError(
                f'layers must be "all", "auto" or a list of layer keys and patterns, not {layers!r}; give [{layers!r}].'
            )
        names = dict(model.named_modules())
        for layer in [layers] if isinstance(layers, nn.Module) else layers:
            if not isinstance(layer, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                name = next((name for name, module in names.items() if module is layer), "")
                instead = f"for this module give [{name!r}]" if name else "as layerscope.trace(model, x) shows them"
                raise InvalidArgumentError(
                    f"layers must be a list of layer keys, but it has a {type(layer).__name__}; {instead}."
                )
        patterns = [key for key in layers if any(sign in key for sign in "*?[") and key not in names]
        return Chosen(keys=tuple(key for key in layers if key not in patterns), patterns=tuple(patterns))


def telling_layers(model: nn.Module, inputs: Any) -> list[str]:
    """Return the layer keys that ``"auto"`` stands for, in order of execution."""
    found: list[str] = []

    def note(key: str, module: nn.Module, output: Any) -> None:
        if first_float_tensor(output) is not None:
            found.append(key)

    with contained(model), torch.no_grad():
        arguments = copied_arguments(inputs)
        with watched(model, note) as executed:
            model(*arguments.args, **arguments.kwargs)
    order = {key: i for i, key in enumerate(executed)}
    inside = _inside_layers(model)
    keys = [key for key in sorted(found, key=order.__getitem__) if _name(key) not in inside]
    depths = _depths(keys)
    levels = [_at_level(depths, level) for level in range(1, 1 + max(depths.values(), default=0))]
    if not levels:
        return []
    telling = [level for level in levels if len(level) >= ENOUGH] or [max(levels, key=len)]
    best = min(telling, key=lambda level: abs(len(level) - AUTO))
    holding = {name for name, module in model.named_modules() if next(module.parameters(), None) is not None}
    learned = [key for key in best if _name(key) in holding]
    best = learned if len(best) > AUTO and len(learned) >= ENOUGH else best
    if len(best) <= AUTO:
        return best
    return [best[round((i + 1) * len(best) / AUTO) - 1] for i in range(AUTO)]


def _inside_layers(model: nn.Module) -> set[str]:
    """Return the names of modules inside of one that has parameters where they have none."""
    found: set[str] = set()
    for name, module in model.named_modules():
        below = [inner for inner, _ in module.named_modules(prefix=name) if inner != name]
        own = len(list(module.parameters(recurse=False)))
        if name and below and own and len(list(module.parameters())) == own:
            found.update(below)
    return found


def _depths(keys: Sequence[str]) -> dict[str, int]:
    """Return layer key -> 1 for those that lie in no other module that was called, 2 for those in one such, ..."""
    called = {_name(key) for key in keys}
    return {key: 1 + sum(parent in called for parent in _parents(_name(key))) for key in keys}


def _at_level(depths: Mapping[str, int], level: int) -> list[str]:
    """Return the keys at a level of nesting, and those above it that have nothing inside."""
    holding = {parent for key in depths for parent in _parents(_name(key))}
    return [key for key, depth in depths.items() if depth == level or (depth < level and _name(key) not in holding)]


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _name(key: str) -> str:
    return key.partition("#")[0]
