"""A small training that one process runs, or several split among them: its statistics must be the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

STEPS = 12
EVERY = {
    "gradients": 1,
    "parameters": 2,
    "updates": 3,
    "training_activations": 4,
    "activation_gradients": 4,
    "histograms": 2,
}
RECORDED = {"gradients": 12, "parameters": 6, "updates": 4}
"""How many of the steps have what."""


def model() -> nn.Sequential:
    """Make a model whose parameters split unevenly, or not at all, over two processes; one is frozen."""
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Linear(8, 130),
        nn.ReLU(),
        nn.Linear(130, 65),
        nn.LayerNorm(65),
        nn.Tanh(),
        nn.Linear(65, 5),
        nn.ReLU(),
        nn.Linear(5, 1),
    )
    made[2].bias.requires_grad_(False)
    return made


def checkpoint() -> dict[str, Tensor]:
    """Make a checkpoint of ``model``, with other weights."""
    torch.manual_seed(1)
    return {name: value + 0.1 * torch.randn_like(value) for name, value in model().state_dict().items()}


def batch(step: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets of all processes together."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(16, 8, generator=generator)
    return x, x.sum(1, keepdim=True).sin()


def part(step: int, rank: int, ranks: int) -> tuple[Tensor, Tensor]:
    """Return what one process gets of ``batch``."""
    x, y = batch(step)
    return x.chunk(ranks)[rank], y.chunk(ranks)[rank]


def loss(of: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return (of(x) - y).square().mean()


def optimizer(of: nn.Module) -> Optimizer:
    return SGD([parameter for parameter in of.parameters() if parameter.requires_grad], lr=0.05, momentum=0.9)
