"""Leaves the user's model and process as they were found: whatever observes a model does so inside ``contained``."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def contained(model: nn.Module, *, evaluating: bool = True, frozen: bool = False) -> Iterator[None]:
    """Run a block over ``model`` and put everything back afterwards, also when the block raises.

    Restored: the training flag of every module (one by one, so a frozen BatchNorm stays frozen), every buffer,
    ``requires_grad`` of every parameter, the references in ``.grad``, and the random states of torch (CPU and the
    CUDA devices of the model), numpy and Python. Gradients are enabled inside and autocast is off, so that a caller
    under ``no_grad`` or autocast gets the same numbers.

    Args:
        model: the user's model.
        evaluating: put every module into evaluation mode for the block.
        frozen: switch ``requires_grad`` of every parameter off for the block, so that a backward pass computes no
            gradients of parameters.
    """
    training = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, None if buffer is None else (buffer.detach().clone(), buffer._version))
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    numpy_state, python_state = np.random.get_state(), random.getstate()
    try:
        with (
            torch.random.fork_rng(devices=_cuda_devices(model)),
            torch.enable_grad(),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False),
        ):
            if evaluating:
                for module, _ in training:
                    module.training = False
            if frozen:
                for parameter, _, _ in parameters:
                    parameter.requires_grad_(False)
            yield
    finally:
        for module, flag in training:
            module.training = flag
        for module, name, buffer, saved in buffers:
            module._buffers[name] = buffer
            # Written back only if it changed: a write bumps the version that a pending backward pass checks.
            if buffer is not None and saved is not None and buffer._version != saved[1]:
                with torch.no_grad():
                    buffer.copy_(saved[0])
        for parameter, requires_grad, grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def _cuda_devices(model: nn.Module) -> list[int]:
    tensors = [*model.parameters(), *model.buffers()]
    return sorted({tensor.device.index or 0 for tensor in tensors if tensor.device.type == "cuda"})
