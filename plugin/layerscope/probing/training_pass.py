"""Watches the training pass itself: the outputs of the layers in it, and the gradients that come back to them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch._C import _functorch as functorch  # pyright: ignore[reportAttributeAccessIssue]
from torch._C._dynamo import eval_frame
from torch.utils.hooks import RemovableHandle

from layerscope.containment import observing
from layerscope.naming import CallCounter, LayerNames
from layerscope.probing.calls import first_float_tensor
from layerscope.probing.layer_rows import LayerRows
from layerscope.probing.layout import Layouts
from layerscope.probing.pending import Pending


class TrainingPass:
    """Measures what every layer returns, and the gradient there, between ``begin`` and ``end``.

    Nothing runs that would not run without it, and nothing is kept: tensors are reduced in forward hooks, gradients in
    hooks on these tensors. Several passes before one step (accumulated gradients) are united. Passed over is what runs
    without gradients or in evaluation mode, if it was not so when watching began (validation), for the observer's own
    purposes, on another thread, or again for a checkpoint. Of what ``torch.utils.checkpoint(use_reentrant=True)``
    runs, outputs are seen and their gradients are not.

    While the model validates, the hooks are off it, since some layers take a faster way without hooks. Where a compiled
    region begins they are taken off for good, and when ``torch.compile`` is about to compile something, until the next
    pass: otherwise it would look at them, and compile more than without them, or again when they are gone. So nothing
    inside of what is compiled is seen.

    Args:
        model: the model, uncompiled.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        # The compiler, which whoever has an optimizer has loaded, must not compile the hooks.
        from torch._dynamo.decorators import skip

        skip(TrainingPass._before)  # itself, not what it calls: it looks whether that would be compiled
        self._before_call = _Hook(self._before)
        self._after_call = _Hook(torch.compiler.disable(self._after))
        self._on_gradient = _Hook(torch.compiler.disable(self._measure_gradient))
        self._hide = _Hook(torch.compiler.disable(self._take_off))
        self._lock = threading.Lock()
        self._hooks: dict[nn.Module, list[RemovableHandle]] = {}
        self._gradient_hooks: list[RemovableHandle] = []
        self._hidden: set[nn.Module] = set()
        self._rows: tuple[LayerRows, LayerRows] | None = None
        self._failure: Exception | None = None
        self.running = False
        """Whether it is between ``begin`` and ``end``."""
        self.interrupted = False
        """Whether something was compiled meanwhile, so that nothing was measured."""
        self.compiled = False
        """Whether torch.compile was ever seen at work."""
        self.validated = False
        """Whether a pass was passed over since it ran in evaluation mode, though with gradients."""
        self.seen: set[nn.Module] = set()
        """The modules that were called in what was watched last."""

    def begin(self, *, histogram: bool, gradients: bool, gradient_histogram: bool) -> None:
        """Watch from now on.

        Args:
            histogram: count the elements of the outputs by sign and exponent too.
            gradients: measure the gradients at the outputs too.
            gradient_histogram: count the elements of the gradients by sign and exponent too.
        """
        self.discard()
        self._rows = (
            LayerRows(with_histogram=histogram, with_units=True),
            LayerRows(with_histogram=gradient_histogram, with_units=False),
        )
        self._with_gradients = gradients
        self._names = LayerNames(self._model)
        self._modules = {m: m.training for m in self._model.modules() if not isinstance(m, torch.jit.ScriptModule)}
        # A forward that was compiled alone is called in no compiled region: it begins one.
        self.compiled |= any(hasattr(module.forward, "_torchdynamo_orig_callable") for module in self._modules)
        self._counter = CallCounter(self._names)
        self._called: set[nn.Module] = set()
        self._calls: list[tuple[nn.Module, str]] = []
        self._validating: nn.Module | None = None
        self._layouts = Layouts()
        self._order: dict[str, None] = {}
        self._thread = threading.get_ident()
        self.interrupted, self.validated, self.seen, self.running = False, False, set(), True
        _compiler_callbacks().register_start_callback(self._interrupt)
        self._install()

    def discard(self) -> None:
        """Watch no more; take back every hook and forget what was measured."""
        self._uninstall()
        if self.running:
            with suppress(ValueError):  # somebody cleared all callbacks
                _compiler_callbacks().remove_start_callback(self._interrupt)
        self._rows, self._failure, self.running = None, None, False

    def end(self) -> tuple[Pending, Pending] | None:
        """Watch no more; take back every hook.

        Returns:
            The statistics of the outputs and of the gradients, rows in order of execution, a module before what it
            encloses; None if no layer was seen.

        Raises:
            Exception: what failed while it measured.
        """
        rows, failure = self._rows, self._failure
        self.discard()
        if failure is not None:
            raise failure
        if rows is None or not len(rows[0]):
            return None
        order = tuple(self._order)
        return Pending(rows[0], partial(rows[0].result, order)), Pending(rows[1], partial(rows[1].result, order))

    def _install(self) -> None:
        for module in self._modules:
            if module not in self._hidden:
                before = module.register_forward_pre_hook(self._before_call)
                self._hooks[module] = [before, module.register_forward_hook(self._after_call, always_call=True)]

    def _uninstall(self) -> None:
        self._uninstall_from_modules()
        for hook in self._gradient_hooks:
            hook.remove()
        self._gradient_hooks.clear()

    def _uninstall_from_modules(self) -> None:
        for hook in chain.from_iterable(self._hooks.values()):
            hook.remove()
        self._hooks.clear()

    def _interrupt(self, *_: object) -> None:
        """Stop, since something is about to be compiled."""
        self.interrupted = self.compiled = True
        self._rows = None
        self._uninstall()

    def _take_off(self, module: nn.Module) -> None:
        """Take the hooks off ``module`` for good, since it is called in a compiled region."""
        self.compiled = True
        for inside in module.modules():
            self._hidden.add(inside)
            for hook in self._hooks.pop(inside, ()):
                hook.remove()

    def _attempt(self, measure: Callable[[], object]) -> None:
        """Measure something; a failure must not reach the pass, so it ends the watching and is raised by ``end``."""
        try:
            with torch.no_grad():
                measure()
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure, self._rows = error, None
        self._uninstall()

    def _elsewhere(self) -> bool:
        return (
            threading.get_ident() != self._thread
            or torch._C._current_graph_task_id() != -1  # pyright: ignore[reportPrivateUsage]  # again, for a checkpoint
            or observing()
            or torch.jit.is_tracing()
            or functorch.peek_interpreter_stack() is not None  # torch.func hands wrappers around
        )

    def _before(self, module: nn.Module, _: Any) -> None:
        if eval_frame.get_eval_frame_callback() is not None:
            self._hide(module)
            return
        if self._rows is None or module not in self._modules or self._elsewhere():  # a shallow copy shares the hooks
            return
        try:
            self._begin_call(module)
        except Exception as error:  # must not reach the pass
            self._fail(error)

    def _begin_call(self, module: nn.Module) -> None:
        if not self._calls:
            if not torch.is_grad_enabled() or (self._modules[module] and not module.training):
                self.validated |= torch.is_grad_enabled()
                self._step_aside(module)
                return
            if module is self._model or module in self._called:  # another pass
                self._counter = CallCounter(self._names)
                self._called.clear()
        self._called.add(module)
        self.seen.add(module)
        # The model itself would only repeat what its modules say.
        counts = module is not self._model or len(self._modules) == 1
        key = self._counter.next(module).key if counts else ""
        if counts:
            self._order.setdefault(key)
        self._calls.append((module, key))

    def _step_aside(self, module: nn.Module) -> None:
        """Take the hooks off the modules until this call of ``module`` returns; a backward pass may yet come."""
        self._uninstall_from_modules()
        self._validating = module
        self._hooks[module] = [module.register_forward_hook(self._after_call, always_call=True)]

    def _after(self, module: nn.Module, _: Any, output: Any) -> None:
        if self._elsewhere():
            return
        if module is self._validating:
            self._validating = None
            self._uninstall_from_modules()
            if self._rows is not None:
                self._install()
            return
        begun = [i for i, (called, _) in enumerate(self._calls) if called is module]
        if not begun:
            return
        key = self._calls[begun[-1]][1]
        del self._calls[begun[-1] :]
        tensor = first_float_tensor(output) if key else None  # of a call that ended in an exception, output is None
        if tensor is not None:
            self._attempt(lambda: self._measure_output(key, module, tensor))

    def _measure_output(self, key: str, module: nn.Module, tensor: Tensor) -> None:
        if self._rows is None:
            return
        channels = self._layouts.channel_dim(module, tensor.shape)
        self._rows[0].add(key, tensor.detach(), module=module, channels=channels)
        if self._with_gradients and tensor.grad_fn is not None:  # a leaf is a parameter or an input
            self._gradient_hooks.append(tensor.register_hook(partial(self._on_gradient, key)))

    def _measure_gradient(self, key: str, gradient: Tensor) -> None:
        with self._lock:  # autograd has a thread for each accelerator
            if self._rows is not None:
                rows = self._rows[1]
                self._attempt(lambda: rows.add(key, gradient))


class _Hook(partial[None]):
    """A hook that stays behind when the model is copied or pickled: the copy gets one that does nothing.

    A C object, of which torch.compile sees no frame.
    """

    def __new__(cls, hook: Any) -> _Hook:
        return super().__new__(cls, hook)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (nullcontext(), "__exit__")  # takes anything, gives None, and needs no Layerscope to be loaded


def _compiler_callbacks() -> Any:
    """Return what calls back when something is about to be compiled.

    Not public, and the only way to take hooks off before the compiler looks at them.
    """
    from torch._dynamo.callback import callback_handler

    return callback_handler
