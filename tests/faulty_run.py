"""A training with two faults: its last block thaws in the middle, and later one layer makes NaN in its forward."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import layerscope

THAWED = 20
"""The step from which on ``blocks.2`` trains."""
BROKEN = 40
"""The step at which ``blocks.1.odd`` gives NaN."""
STEPS = 45
SOURCE = "blocks.1.odd"
WIDTH = 16


class Odd(nn.Module):
    """A linear layer that takes a logarithm of what it should not, once it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(WIDTH))
        self.broken = False

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return torch.log(y - 100.0) if self.broken else y


def train(run: Path) -> None:
    """Train and record into ``run``."""
    torch.manual_seed(0)
    blocks = nn.Sequential()
    for index in range(3):
        block = nn.Sequential()
        block.add_module("linear", nn.Linear(WIDTH, WIDTH))
        block.add_module("odd" if index == 1 else "act", Odd() if index == 1 else nn.Tanh())
        blocks.add_module(str(index), block)
    model = nn.Sequential()
    model.add_module("blocks", blocks)
    model.add_module("head", nn.Linear(WIDTH, 4))
    odd = model.get_submodule(SOURCE)
    assert isinstance(odd, Odd)
    model.get_submodule("blocks.2").requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    every: dict[str, int] = dict.fromkeys(
        ("gradients", "parameters", "updates", "training_activations", "activation_gradients", "histograms"), 1
    )
    with layerscope.Scope(model, run, strict=True) as scope:
        scope.graph(torch.zeros(1, WIDTH))
        scope.watch(optimizer, every=every)
        for step in range(STEPS):
            model.get_submodule("blocks.2").requires_grad_(step >= THAWED)
            odd.broken = step >= BROKEN
            x = torch.randn(32, WIDTH)
            optimizer.zero_grad()
            F.cross_entropy(model(x), x[:, :4].argmax(1)).backward()
            optimizer.step()
