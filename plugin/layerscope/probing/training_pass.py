"""Watches the training pass itself: the outputs of the layers in it, and the gradients that come back to them."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from layerscope.naming import CallCounter, LayerNames
from layerscope.probing.calls import first_float_tensor
from layerscope.probing.layer_rows import LayerRows
from layerscope.probing.layout import Layouts
from layerscope.probing.pending import Pending


class TrainingPass:
    """Measures what every layer returns, and the gradient there, between ``begin`` and ``end``.

    Nothing runs that would not run without it, and nothing is kept: tensors are reduced in forward hooks, gradients in
    hooks on these tensors. Several passes before one step (accumulated gradients) are united. What runs without
    gradients (validation), under ``torch.compile``, on another thread or again for a checkpoint is passed over.

    Args:
        model: the model, uncompiled.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._hooks: list[RemovableHandle] = []
        self._gradient_hooks: list[RemovableHandle] = []
        self._order: dict[str, None] = {}
        self._rows: tuple[LayerRows, LayerRows] | None = None
        self._with_gradients = False

    @property
    def running(self) -> bool:
        """Whether it is between ``begin`` and ``end``."""
        return bool(self._hooks)

    def begin(self, *, histogram: bool, gradients: bool, gradient_histogram: bool) -> None:
        """Watch from now on.

        Args:
            histogram: count the elements of the outputs by sign and exponent too.
            gradients: measure the gradients at the outputs too.
            gradient_histogram: count the elements of the gradients by sign and exponent too.
        """
        self.end()
        self._rows = (
            LayerRows(with_histogram=histogram, with_units=True),
            LayerRows(with_histogram=gradient_histogram, with_units=False),
        )
        self._with_gradients = gradients
        self._names = LayerNames(self._model)
        self._counter = CallCounter(self._names)
        self._called: set[nn.Module] = set()
        self._running: list[tuple[nn.Module, str]] = []
        self._layouts = Layouts()
        self._order = {}
        self._thread = threading.get_ident()
        modules = [m for m in self._model.modules() if not isinstance(m, torch.jit.ScriptModule)]
        if len(modules) > 1:
            modules.remove(self._model)  # it would only repeat what its modules say
        for module in modules:
            self._hooks.append(module.register_forward_pre_hook(self._before))
            self._hooks.append(module.register_forward_hook(self._after))

    def end(self) -> tuple[Pending, Pending] | None:
        """Watch no more; take back every hook.

        Returns:
            The statistics of the outputs and of the gradients, rows in order of execution, a module before what it
            encloses; None if no layer was seen.
        """
        for hook in (*self._hooks, *self._gradient_hooks):
            hook.remove()
        self._hooks.clear()
        self._gradient_hooks.clear()
        rows, self._rows = self._rows, None
        if rows is None or not len(rows[0]):
            return None
        order = tuple(self._order)
        return Pending(rows[0], partial(rows[0].result, order)), Pending(rows[1], partial(rows[1].result, order))

    def _passed_over(self) -> bool:
        return (
            torch.compiler.is_compiling()
            or not (self._running or torch.is_grad_enabled())  # what a training pass runs without gradients counts
            or threading.get_ident() != self._thread
            or torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage]  # again, for a checkpoint
        )

    def _before(self, module: nn.Module, _: Any) -> None:
        if self._passed_over():
            return
        if not self._running and module in self._called:  # another pass
            self._counter = CallCounter(self._names)
            self._called.clear()
        self._called.add(module)
        key = self._counter.next(module).key
        self._order.setdefault(key)
        self._running.append((module, key))

    def _after(self, module: nn.Module, _: Any, output: Any) -> None:
        if torch.compiler.is_compiling() or self._rows is None or threading.get_ident() != self._thread:
            return
        begun = [i for i, (called, _) in enumerate(self._running) if called is module]
        if not begun:
            return
        key = self._running[begun[-1]][1]
        del self._running[begun[-1] :]  # with calls that ended in an exception, which the model caught
        tensor = first_float_tensor(output)
        if tensor is None:
            return
        activations, _ = self._rows
        channels = self._layouts.channel_dim(module, tensor.shape)
        with torch.no_grad():
            activations.add(key, tensor.detach(), module=module, channels=channels)
        if self._with_gradients and tensor.requires_grad:
            self._gradient_hooks.append(tensor.register_hook(partial(self._on_gradient, key)))

    def _on_gradient(self, key: str, gradient: Tensor) -> None:
        if self._rows is not None:
            with torch.no_grad():
                self._rows[1].add(key, gradient)
