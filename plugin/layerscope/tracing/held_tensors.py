"""The tensors that a model holds: parameters, buffers, and tensors kept as plain attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from layerscope.tracing.recording import Call, End, Function, Held, spec
from layerscope.tracing.values import address, tensors


class HeldTensors:
    """What the model holds, as it is used: the maker of each such tensor, and the node that stands for it."""

    def __init__(self, model: nn.Module) -> None:
        self.held: dict[int, Held] = {}
        """``id`` of the tensor -> what it is, under its first name."""
        self._by_address: dict[int, list[torch.Tensor]] = {}
        self._saved: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}
        self._own: dict[int, set[int]] = {}
        self._nodes: dict[tuple[int, Call | None], Held] = {}
        for name, kind, tensor in _named(model):
            if id(tensor) not in self.held:
                self.held[id(tensor)] = Held(name, kind, tensor, spec(tensor))
                self._by_address.setdefault(address(tensor), []).append(tensor)

    @contextmanager
    def values_restored(self) -> Iterator[None]:
        """Put back, at the end of the block, the values that ``about_to_write`` has saved."""
        with versions_restored([held.tensor for held in self.held.values()]):
            try:
                yield
            finally:
                for tensor, values in (pair for pairs in self._saved.values() for pair in pairs):
                    tensor.data.copy_(values)

    def written(self) -> list[torch.Tensor]:
        """Return the tensors that were written."""
        return [tensor for pairs in self._saved.values() for tensor, _ in pairs]

    def about_to_write(self, tensors: Iterable[torch.Tensor]) -> None:
        """Save the values of what the model holds before they are written for the first time."""
        for tensor in tensors:
            memory = address(tensor)
            if memory in self._by_address and memory not in self._saved and not tensor.is_meta:
                self._saved[memory] = [(held, held.detach().clone()) for held in self._by_address[memory]]

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


@contextmanager
def values_restored(tensors: Sequence[torch.Tensor]) -> Iterator[None]:
    """Put the values of ``tensors`` back at the end of the block."""
    saved = [tensor.detach().clone() for tensor in tensors]
    with versions_restored(tensors):
        try:
            yield
        finally:
            for tensor, values in zip(tensors, saved, strict=True):
                tensor.data.copy_(values)


@contextmanager
def versions_restored(tensors: Iterable[torch.Tensor]) -> Iterator[None]:
    """Put the versions of ``tensors`` back: a backward of the user's may wait for them, and checks them."""
    versions = [(tensor, tensor._version) for tensor in tensors if not tensor.is_inference()]
    try:
        yield
    finally:
        raised = [(tensor, version) for tensor, version in versions if tensor._version != version]
        if raised:
            autograd = torch._C._autograd  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
            autograd._unsafe_set_version_counter(*zip(*raised, strict=True))


def _named(model: nn.Module) -> Iterator[tuple[str, str, torch.Tensor]]:
    """Yield (qualified name, class, tensor) of everything that ``model`` holds."""
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            yield _qualified(prefix, name), "Parameter", parameter
        for name, buffer in module.named_buffers(recurse=False, remove_duplicate=False):
            yield _qualified(prefix, name), "Buffer", buffer
        kept = {name: value for name, value in vars(module).items() if name not in _REGISTERED}
        for name, tensor in tensors(kept):
            yield _qualified(prefix, name), "Tensor", tensor


_REGISTERED = frozenset(vars(nn.Module()))


def _qualified(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
