"""Everything of a model, its arguments and the process that a trace must leave as it was."""

from __future__ import annotations

import collections
import gc
import random
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from zoo.case import Arguments
from zoo.truth import bits, is_plain_object

_CONTAINERS = (dict, list, tuple, collections.deque)


class State:
    """A snapshot. It holds the objects it names, so that the same object means the same identity."""

    def __init__(self, model: nn.Module, arguments: Arguments) -> None:
        self._objects: dict[str, Any] = {}
        """Place -> the object that stands there."""
        self._values: dict[str, Any] = {}
        """Place -> what was there, to be compared by value."""
        self._seen: set[int] = set()
        self._note("args", arguments.args)
        self._note("kwargs", arguments.kwargs)
        self._module("model", model)
        for place, value in _process():
            self._values[place] = value
        for place, value in _functions():
            self._objects[place] = value

    def changes(self, after: State) -> list[str]:
        """Return the places that are not as they were; what the process only loaded meanwhile does not count."""
        places = [place for place in after._objects if not place.startswith("torch") or place in self._objects]
        changed = [
            place
            for place in dict.fromkeys([*self._objects, *places])
            if self._objects.get(place, State) is not after._objects.get(place, State)
        ]
        return changed + [
            place
            for place in dict.fromkeys([*self._values, *after._values])
            if self._values.get(place, State) != after._values.get(place, State)
        ]

    def _note(self, place: str, value: Any) -> None:
        if isinstance(value, (int, float, str, bytes, bool)):
            self._values[place] = value
            return
        if isinstance(value, torch._C.ScriptMethod):  # a script module keeps those that it once looked up
            return
        if isinstance(value, torch.Generator):
            self._values[f"{place}, its state"] = value.get_state().tolist()
        self._objects[place] = value
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, Tensor):
            self._tensor(place, value)
        elif isinstance(value, nn.Module):
            self._module(place, value)
        elif isinstance(value, (set, frozenset)):
            self._values[f"{place}, what is in it"] = frozenset(map(id, value))
        elif isinstance(value, _CONTAINERS):
            items = list(value.items() if isinstance(value, dict) else enumerate(value))
            self._values[f"{place}, its keys"] = [str(key) for key, _ in items]
            for key, item in items:
                self._note(f"{place}[{key!r}]", item)
        elif is_plain_object(value):
            for name, item in list(vars(value).items()):
                self._note(f"{place}.{name}", item)

    def _module(self, place: str, module: nn.Module) -> None:
        self._seen.add(id(module))
        self._values[f"{place}, its class"] = type(module)
        self._values[f"{place}.training"] = module.training
        for name, value in list(vars(module).items()):
            self._note(f"{place}.{name}", value)
        if isinstance(module, torch.jit.ScriptModule):
            for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
                self._tensor(f"{place}.{name}", tensor)

    def _tensor(self, place: str, tensor: Tensor) -> None:
        self._values[f"{place}, its bits"] = bits(tensor)
        self._values[f"{place}, requires_grad"] = tensor.requires_grad
        self._objects[f"{place}, grad_fn"] = tensor.grad_fn
        if tensor.is_leaf:
            self._objects[f"{place}, grad"] = tensor.grad
            if tensor.grad is not None:
                self._values[f"{place}, bits of grad"] = bits(tensor.grad)
        if not tensor.is_inference():
            self._values[f"{place}, version"] = tensor._version
        self._values[f"{place}, hooks"] = [*(tensor._backward_hooks or {})]


def _process() -> Iterator[tuple[str, Any]]:
    yield "random states", (torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate())
    yield "grad mode", torch.is_grad_enabled()
    yield "inference mode", torch.is_inference_mode_enabled()
    for device in ("cpu", "cuda"):
        yield f"autocast of {device}", (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
    yield "autocast cache", torch.is_autocast_cache_enabled()
    yield "default dtype and device", (torch.get_default_dtype(), torch.get_default_device())
    yield "modes", (_get_current_function_mode_stack(), _get_current_dispatch_mode_stack())
    yield "fused attention", torch.backends.mha.get_fastpath_enabled()
    yield "anomaly mode", torch.is_anomaly_enabled()
    yield "deterministic", torch.are_deterministic_algorithms_enabled()
    yield "threads", (torch.get_num_threads(), {thread.ident for thread in threading.enumerate()})
    yield "tracing", (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile())
    yield "interpreter", (sys.getrecursionlimit(), gc.isenabled(), list(warnings.filters), id(warnings.showwarning))
    yield "saved tensor hooks", torch._C._autograd._top_saved_tensors_default_hooks(True)
    for name, hooks in vars(module_hooks).items():
        if name.startswith("_global"):
            yield name, dict(hooks) if isinstance(hooks, dict) else hooks
    if "torch._dynamo" in sys.modules:
        stance = sys.modules["torch._dynamo"].eval_frame._stance
        yield "stance of the compiler", str(stance)


def _functions() -> Iterator[tuple[str, Any]]:
    """What other tools patch: the functions of torch and the methods of modules and tensors."""
    for name, namespace in {
        "torch": torch,
        "torch.nn.functional": nn.functional,
        "torch.Tensor": Tensor,
        "torch.nn.Module": nn.Module,
    }.items():
        for key, value in list(vars(namespace).items()):
            yield f"{name}.{key}", value
