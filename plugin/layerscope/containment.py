"""Leaves the user's model and process as they were found: whatever observes a model does so inside ``contained``."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from copy import copy
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from layerscope.errors import InvalidArgumentError
from layerscope.module_state import ModuleState, run_all

_observing: ContextVar[bool] = ContextVar("_observing", default=False)


def observing() -> bool:
    """Return whether the observer runs the model now, inside ``contained``."""
    return _observing.get()


def original(model: nn.Module) -> nn.Module:
    """Return ``model`` itself, or what ``torch.compile`` wrapped: hooks set after compilation would not fire."""
    return cast(nn.Module, getattr(model, "_orig_mod", model))


@contextmanager
def contained(model: nn.Module, *, evaluating: bool = True, frozen: bool = False) -> Iterator[None]:
    """Run a block over ``model`` and put everything back afterwards, also when the block raises.

    Restored: what ``preserved`` restores, and the random states of torch (CPU and the CUDA devices of the model),
    numpy and Python. Gradients are enabled inside, inference mode and autocast are off, so that a caller under any of
    them gets the same numbers; compiled modules run uncompiled and attention takes no fused path, so that every
    submodule is called; and recurrent layers run without cuDNN, which refuses their backward in evaluation mode.

    Not restored: values that the model's own forward writes in place into its parameters, or into tensors and arrays
    that are neither parameters nor buffers (the tracer undoes the former and what is kept in attributes), and what
    other libraries keep for themselves.

    Args:
        model: the user's model.
        evaluating: put every module into evaluation mode for the block.
        frozen: switch ``requires_grad`` of every parameter off for the block, so that a backward pass computes no
            gradients of parameters. Those made in inference mode never get any and stay as they are.

    Raises:
        InvalidArgumentError: the model has lazy parameters whose shape is not known yet.
    """
    token = _observing.set(True)
    try:
        with ExitStack() as stack:
            stack.enter_context(random_states_preserved())
            stack.enter_context(preserved(model, evaluating=evaluating, frozen=frozen))
            cuda = _cuda_devices(model)
            stack.enter_context(torch.random.fork_rng(devices=cuda))
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(torch.autocast("cpu", enabled=False))
            stack.enter_context(torch.autocast("cuda", enabled=False))
            stack.enter_context(_every_submodule_called())
            if evaluating and cuda and _has_cuda_rnn(model):
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            yield
    finally:
        _observing.reset(token)


@contextmanager
def random_states_preserved() -> Iterator[None]:
    """Run a block and put the random states of numpy and Python back afterwards; other libraries draw from them."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


@contextmanager
def preserved(model: nn.Module, *, evaluating: bool = True, frozen: bool = False) -> Iterator[None]:
    """Run a block and put the state of ``model`` back afterwards; ``contained`` without the state of the process.

    Restored, of every module (those that are kept unregistered, too): its training flag (one by one, so a frozen
    BatchNorm stays frozen), the values of its buffers, and what ``ModuleState`` finds in its attributes. Of every
    parameter: ``requires_grad``, the reference in ``.grad``, and its storage if ``.data`` was replaced. Everything is
    restored that can be: an error on the way is raised at the end.

    Args:
        model: the user's model.
        evaluating: as in ``contained``.
        frozen: as in ``contained``.

    Raises:
        InvalidArgumentError: the model has lazy parameters whose shape is not known yet.
    """
    state = ModuleState(model)
    modules = state.modules
    parameters, buffers = _held(modules, "_parameters"), _held(modules, "_buffers")
    _refuse_lazy([*parameters, *buffers])
    with torch.inference_mode(False):
        storages = [(parameter, parameter.data) for parameter in parameters]  # aliases, no copies
    values = [(buffer, buffer.detach().clone()) for buffer in buffers]
    hooks = [(parameter, copy(parameter._backward_hooks)) for parameter in parameters]
    required = [(parameter, parameter.requires_grad) for parameter in parameters]
    grads = [(parameter, parameter.grad) for parameter in parameters]
    training = [(module, module.training) for module in modules]
    try:
        with state.restored(), _versions_preserved(buffers):
            for module, training_before in training if evaluating else ():
                if training_before:
                    module.training = False
            for parameter in parameters if frozen else ():
                if not parameter.is_inference():  # such a one has no gradient anyway, and could not be unfrozen
                    parameter.requires_grad_(False)
            yield
    finally:
        run_all(
            (_restore_training, training),
            (_restore_values, values),
            (_restore_hooks, hooks),
            (_restore_storage, storages),
            (_restore_requires_grad, required),
            (_restore_grad, grads),
        )


def _held(modules: list[nn.Module], where: str) -> list[Tensor]:
    """Return each parameter or buffer of the modules once; ``parameters()`` takes ten times as long."""
    held = dict.fromkeys(tensor for module in modules for tensor in getattr(module, where).values())
    held.pop(None, None)
    return list(held)


def _restore_training(module: nn.Module, training: bool) -> None:
    if module.training != training:
        module.training = training


def _restore_grad(parameter: Tensor, grad: Tensor | None) -> None:
    if parameter.grad is not grad:
        parameter.grad = grad


def _restore_hooks(parameter: Tensor, hooks: Any) -> None:
    if parameter._backward_hooks != hooks:
        parameter._backward_hooks = hooks


def _restore_requires_grad(parameter: Tensor, requires_grad: bool) -> None:
    if parameter.requires_grad != requires_grad:
        parameter.requires_grad_(requires_grad)


def _restore_storage(parameter: Tensor, storage: Tensor) -> None:
    if not torch._C._is_alias_of(parameter, storage):  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        parameter.data = storage


def _restore_values(buffer: Tensor, value: Tensor) -> None:
    # Compared by value: BatchNorm writes its running statistics without raising their version.
    if not buffer.is_meta and not torch.equal(buffer, value):
        buffer.data.copy_(value)


@contextmanager
def _versions_preserved(tensors: list[Tensor]) -> Iterator[None]:
    """Put the versions of tensors back: a forward of the user's may wait for its backward, which checks them.

    That check is there to notice changed values; these values are put back too.
    """
    preserve = torch.autograd._unsafe_preserve_version_counter  # pyright: ignore[reportPrivateUsage]
    held = [preserve(tensor) for tensor in tensors if not tensor.is_inference()]
    try:
        yield
    finally:
        for version in held:
            version.__exit__(None, None, None)


def _refuse_lazy(tensors: list[Tensor]) -> None:
    lazy = sum(map(is_lazy, tensors))
    if lazy:
        raise InvalidArgumentError(
            "a model can be observed once all its parameters have shapes, but this one has "
            f"{lazy} lazy ones without. Run it once on a batch first: observing it would draw their initial values."
        )


@contextmanager
def _every_submodule_called() -> Iterator[None]:
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with ExitStack() as stack:
            # Functions compiled inside a forward, too. Where the compiler, slow to load, is not loaded, nothing is
            # compiled. Before torch 2.6 it had no stance.
            if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
                stack.enter_context(torch.compiler.set_stance("force_eager"))
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _cuda_devices(model: nn.Module) -> list[int]:
    if not torch.cuda.is_initialized():  # then no tensor lies on one
        return []
    tensors = [*model.parameters(), *model.buffers()]
    return sorted({tensor.device.index or 0 for tensor in tensors if tensor.device.type == "cuda"})


def _has_cuda_rnn(model: nn.Module) -> bool:
    return any(isinstance(m, nn.RNNBase) and any(p.is_cuda for p in m.parameters()) for m in model.modules())
