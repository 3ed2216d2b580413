"""A training and the fine-tuning of what came of it: another head of another name, and a fault in the second."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.tensorboard import SummaryWriter

import layerscope
from faulty_run import WIDTH, Odd

BEFORE, AFTER = "pretrained", "fine_tuned"
STEPS = 30
SAVED = 10
"""Attributions are saved every so many steps."""
BROKEN = 25
"""The step of the fine-tuning at which ``blocks.1.odd`` gives NaN."""
SOURCE = "blocks.1.odd"


def train(logdir: Path) -> None:
    """Train, then fine-tune, into two runs below ``logdir``."""
    torch.manual_seed(0)
    blocks = nn.Sequential()
    for index in range(3):
        block = nn.Sequential()
        block.add_module("linear", nn.Linear(WIDTH, WIDTH))
        block.add_module("odd" if index == 1 else "act", Odd() if index == 1 else nn.Tanh())
        blocks.add_module(str(index), block)
    probe = torch.randn(4, WIDTH)
    _record(logdir / BEFORE, blocks, "head", 4, probe, broken=STEPS)
    _record(logdir / AFTER, blocks, "classifier", 3, probe, broken=BROKEN)


def _record(run: Path, blocks: nn.Sequential, head: str, classes: int, probe: Tensor, *, broken: int) -> None:
    model = nn.Sequential()
    model.add_module("blocks", blocks)
    model.add_module(head, nn.Linear(WIDTH, classes))
    odd = model.get_submodule(SOURCE)
    assert isinstance(odd, Odd)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with SummaryWriter(str(run)) as writer, layerscope.Scope(model, writer, strict=True) as scope:
        scope.graph(torch.zeros(1, WIDTH))
        scope.watch(optimizer, every={"gradients": 1, "parameters": 1, "training_activations": 1})
        for step in range(STEPS):
            odd.broken = step >= broken
            x = torch.randn(32, WIDTH)
            loss = F.cross_entropy(model(x), x[:, :classes].argmax(1))
            writer.add_scalar("loss", loss.item(), step)
            optimizer.zero_grad()
            loss.backward()
            if step % SAVED == 0:
                scope.attributions(probe, probe[:, :classes].argmax(1), step=step)
            optimizer.step()
