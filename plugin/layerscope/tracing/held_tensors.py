"""The tensors that a model holds: parameters, buffers, and tensors kept as plain attributes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from layerscope.tracing.recording import Call, End, Function, Held, spec
from layerscope.tracing.values import address


class HeldTensors:
    """Finds the name of a tensor that the model holds, and the node that stands for it where it is used."""

    def __init__(self, model: nn.Module) -> None:
        self._by_id: dict[int, Held] = {}
        self._by_address: dict[int, Held] = {}
        self._own: dict[int, set[int]] = {}
        self._nodes: dict[tuple[int, Call | None], Held] = {}
        for name, kind, tensor in _named(model):
            if id(tensor) not in self._by_id:
                held = Held(name, kind, tensor, spec(tensor))
                self._by_id[id(tensor)] = held
                self._by_address.setdefault(address(tensor), held)
        self._by_address.pop(0, None)

    def find(self, tensor: torch.Tensor) -> Held | None:
        """Return what ``tensor`` is, or shares its memory with; None if the model does not hold it."""
        return self._by_id.get(id(tensor)) or self._by_address.get(address(tensor))

    def node(self, held: Held, user: End) -> Held | None:
        """Return the node of ``held`` beside ``user``; None where ``user`` is a box that holds it itself."""
        if isinstance(user, Call) and id(held.tensor) in self._own_of(user.module):
            return None
        beside = user.caller if isinstance(user, (Call, Function)) else None
        key = id(held.tensor), beside
        if key not in self._nodes:
            self._nodes[key] = Held(held.name, held.class_name, held.tensor, held.spec, beside)
        return self._nodes[key]

    def _own_of(self, module: nn.Module) -> set[int]:
        if id(module) not in self._own:
            self._own[id(module)] = {id(tensor) for _, _, tensor in _named(module)}
        return self._own[id(module)]


def _named(model: nn.Module) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield (qualified name, class, tensor) of everything that ``model`` holds."""
    for prefix, module in model.named_modules():
        kept = {name: value for name, value in vars(module).items() if isinstance(value, torch.Tensor)}
        parameters = module.named_parameters(recurse=False, remove_duplicate=False)
        buffers = module.named_buffers(recurse=False, remove_duplicate=False)
        for kind, tensors in (("Parameter", parameters), ("Buffer", buffers), ("Tensor", kept.items())):
            for name, tensor in tensors:
                yield f"{prefix}.{name}" if prefix else name, kind, tensor
