"""Small trainings of many kinds, and everything of them that an observer could change."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_hooks

from probed_models import Recurrent, Reusing, Spectral

STEPS = 20


class Dropping(nn.Module):
    """BatchNorm and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.drop = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.fc = nn.Linear(144, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.drop(self.bn(self.conv(x)).relu()).flatten(1))


@dataclass
class Training:
    """A model with what trains it."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    call: Callable[..., Any]
    """The model, or what was compiled of it."""
    probe: Any
    """Inputs for the features."""
    inputs: Callable[[], dict[str, Tensor]]
    """Draws a batch."""
    scaler: torch.amp.GradScaler | None = None
    """With it goes autocast."""

    def backward(self) -> float:
        """Run forward and backward on a new batch and return the loss."""
        inputs = self.inputs()
        with torch.autocast("cpu", dtype=torch.bfloat16) if self.scaler else nullcontext():
            output = self.call(**inputs)
        logits = output if isinstance(output, Tensor) else output.logits
        loss = nn.functional.cross_entropy(logits.float(), torch.randint(3, (len(logits),)))
        (self.scaler.scale(loss) if self.scaler else loss).backward()
        return loss.item()

    def step(self) -> None:
        """Take a step of the optimizer."""
        if self.scaler:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()


IMAGES = torch.linspace(-2, 2, 2 * 64).cos().reshape(2, 1, 8, 8)


def of_images(make: Callable[[], nn.Module], *, scaled: bool = False, compiled: bool = False) -> Callable[[], Training]:
    def training() -> Training:
        model = make()
        call = torch.compile(model, backend="eager") if compiled else model
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=5) if scaled else None
        return Training(model, optimizer, call, IMAGES, lambda: {"x": torch.randn(4, 1, 8, 8)}, scaler)

    return training


def frozen_batchnorm() -> nn.Module:
    model = Dropping()
    model.bn.eval().requires_grad_(False)
    return model


def gpt2() -> Training:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    sizes = {"vocab_size": 20, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2}
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    model = GPT2ForSequenceClassification(GPT2Config(**sizes, **special, num_labels=3, use_cache=False)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    probe = {"input_ids": torch.tensor([[1, 5, 3, 19], [2, 2, 4, 7]])}
    return Training(model, optimizer, model, probe, lambda: {"input_ids": torch.randint(1, 20, (4, 5))})


TRAININGS: dict[str, Callable[[], Training]] = {
    "batchnorm and dropout": of_images(Dropping),
    "spectral norm": of_images(Spectral),
    "frozen batchnorm": of_images(frozen_batchnorm),
    "in place and reused": of_images(Reusing),
    "recurrent": of_images(Recurrent),
    "transformers": gpt2,
    "autocast and GradScaler": of_images(Dropping, scaled=True),
    "compiled": of_images(Dropping, compiled=True),
}


def hooks_of(training: Training) -> dict[str, list[int]]:
    """Return how many hooks of each kind are on modules, parameters, the optimizer, and everywhere."""
    modules = list(training.model.modules())
    return {
        "modules": [len(hooks) for m in modules for hooks in (m._forward_hooks, m._forward_pre_hooks)],
        "options": [
            len(hooks)
            for m in modules
            for hooks in (m._forward_hooks_with_kwargs, m._forward_pre_hooks_with_kwargs, m._backward_pre_hooks)
        ],
        "backward": [len(m._backward_hooks) for m in modules],
        "parameters": [-1 if p._backward_hooks is None else len(p._backward_hooks) for p in parameters(training)],
        "optimizer": [
            len(training.optimizer._optimizer_step_pre_hooks), len(training.optimizer._optimizer_step_post_hooks)
        ],
        "global": [len(module_hooks._global_forward_hooks), len(module_hooks._global_forward_pre_hooks)],
    }  # fmt: skip


def parameters(training: Training) -> Iterable[nn.Parameter]:
    return training.model.parameters()


def state_of(training: Training) -> dict[str, Any]:
    """Return everything else that an observer could change, as values that compare exactly."""
    modules = dict(training.model.named_modules())
    buffers = dict(training.model.named_buffers())
    return {
        "parameters": [(as_bytes(p), p.requires_grad, p._version) for p in parameters(training)],
        "gradients": [None if p.grad is None else (as_bytes(p.grad), p.grad._version) for p in parameters(training)],
        "buffers": {name: (as_bytes(b), b._version) for name, b in buffers.items()},
        "optimizer": plain(training.optimizer.state_dict()),
        "attributes of the optimizer": sorted(vars(training.optimizer)),
        "scaler": training.scaler and training.scaler.state_dict(),
        "training": [module.training for module in modules.values()],
        "attributes": [sorted(vars(module)) for module in modules.values()],
        "plain attributes": [
            {name: value for name, value in vars(m).items() if isinstance(value, (int, float, str))}
            for m in modules.values()
        ],
        "random": (as_bytes(torch.get_rng_state()), np.random.get_state()[1].tobytes(), hash(random.getstate())),
        "modes": (
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu"),
            torch.is_autocast_cache_enabled(), torch.backends.mha.get_fastpath_enabled(), torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(), torch.get_num_threads(),
            torch._C._len_torch_dispatch_stack(), torch._C._len_torch_function_stack(),
        ),
    }  # fmt: skip


def as_bytes(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def plain(value: Any) -> Any:
    """Return nested containers with tensors as bytes."""
    if isinstance(value, Tensor):
        return as_bytes(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
