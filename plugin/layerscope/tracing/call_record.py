"""The truth about a forward pass: which module was called by which, in which order, seen by global forward hooks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules import module as module_hooks
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from layerscope.naming import CallCounter, LayerNames
from layerscope.tracing.recording import Call, Function, TensorSpec, spec
from layerscope.tracing.values import tensors, unrecorded


class CallRecord:
    """Records every module call, its caller and the order, while ``recording()`` is open.

    Args:
        model: the traced model; its first call is the root.
        finished: called with each call that returned, its arguments and its result; what it returns replaces the
            result, unless it is None.
    """

    def __init__(self, model: nn.Module, finished: Callable[[Call, Any, Any], Any] | None = None) -> None:
        self.events: list[Call | Function] = []
        self.calls: list[Call] = []
        self._model = model
        self._names = LayerNames(model)
        self._counter = CallCounter(self._names)
        self._finished = finished
        self._stack: list[Call] = []
        self._thread = threading.get_ident()
        self._elsewhere: Counter[str] = Counter()

    @property
    def current(self) -> Call | None:
        """The innermost call that is running, or None."""
        return self._stack[-1] if self._stack else None

    def warnings(self) -> list[str]:
        """Return what was seen and cannot be shown, in words."""
        if not self._elsewhere:
            return []
        names = ", ".join(map(repr, sorted(self._elsewhere)[:6]))
        return [f"{self._elsewhere.total()} module calls ran on other threads and are not shown: {names}."]

    def function(self, op: str) -> Function:
        """Record that a function named ``op`` was called now."""
        function = Function(op, self.current, len(self.events))
        if function.caller is not None:
            function.caller.functions += 1
        self.events.append(function)
        return function

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Hold global forward hooks for the block; calls on other threads are not recorded."""
        handles = [
            register_module_forward_pre_hook(self._before),
            # always_call: a module whose exception is caught by its caller must leave the stack, too.
            register_module_forward_hook(self._after, with_kwargs=True, always_call=True),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
                # Torch forgets this one, and torch.compile would then warn of global hooks that are not there.
                module_hooks._global_forward_hooks_with_kwargs.pop(handle.id, None)  # pyright: ignore[reportPrivateUsage]

    def _before(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if threading.get_ident() != self._thread:
            if name := self._names.qualified(module):  # not the module of another model that another thread runs
                self._elsewhere[name] += 1
            return
        named, caller = self._counter.next(module), self.current
        call = Call(module, self._names.qualified(module), named.call, named.key, caller)
        call.is_model = module is self._model and not self.calls
        call.began = len(self.events)
        call.inputs = specs(args)
        if caller is not None:
            caller.calls.append(call)
        self.calls.append(call)
        self.events.append(call)
        self._stack.append(call)

    def _after(self, module: nn.Module, args: tuple[Any, ...], *kwargs_and_result: Any) -> Any:
        """Close the call. The arguments are (kwargs, result), or (result,) when the module raised."""
        if threading.get_ident() != self._thread or all(call.module is not module for call in self._stack):
            return None
        call = self._stack.pop()
        while call.module is not module:
            call = self._stack.pop()
        if len(kwargs_and_result) == 1:
            call.raised = True
            return None
        kwargs, result = kwargs_and_result
        # Global pre-hooks get no keyword arguments, so their tensors are read here.
        call.inputs += specs(kwargs)
        call.outputs = specs(result)
        return self._finished(call, (args, kwargs), result) if self._finished is not None else None


def specs(value: Any) -> tuple[TensorSpec, ...]:
    """Return shape and dtype of every tensor in ``value``."""
    with unrecorded():
        return tuple(spec(tensor) for _, tensor in tensors(value))
