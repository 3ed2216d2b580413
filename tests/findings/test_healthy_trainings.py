"""Trainings that are well give no finding, however they begin: at zero, in warm-up, sparse, scaled, partly frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

import layerscope
from bench.architectures.sequences import Transformer
from layerscope.findings import examine

EVERY_STEP = dict.fromkeys(("gradients", "parameters", "updates", "training_activations", "activation_gradients"), 1)
WIDTH = 32


def samples(step: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(32, WIDTH, generator=torch.Generator().manual_seed(step))
    return x, x[:, :4].argmax(1)


def tokens(step: int) -> tuple[Tensor, Tensor]:
    text = torch.randint(0, 50, (4, 16), generator=torch.Generator().manual_seed(step % 3))
    return text, text


def classify(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y)


def predict(model: nn.Module, x: Tensor, _: Tensor) -> Tensor:
    return F.cross_entropy(model(x)[:, :-1].flatten(0, 1), x[:, 1:].flatten())


def perceptron(*inner: nn.Module, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    hidden = [layer for _ in range(3) for layer in (nn.Linear(WIDTH, WIDTH), activation(), *inner)]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, 4))


class Residual(nn.Module):
    """A residual layer whose last projection begins at zero (Zhang et al. 2019, Fixup)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        for parameter in self.inner[2].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


def from_zero() -> nn.Sequential:
    model = nn.Sequential(nn.Linear(WIDTH, WIDTH), Residual(), Residual(), nn.Linear(WIDTH, 4))
    for parameter in model[3].parameters():
        nn.init.zeros_(parameter)
    return model


class Scaled(nn.Module):
    """A residual layer with a scale that begins at 1e-6 (Touvron et al. 2021, CaiT)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())
        self.scale = nn.Parameter(torch.full((WIDTH,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.inner(x)


class Adapted(nn.Module):
    """A frozen layer with a low-rank one beside it (Hu et al. 2021, LoRA)."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.base = nn.Linear(WIDTH, out).requires_grad_(False)
        self.down, self.up = nn.Linear(WIDTH, 4, bias=False), nn.Linear(4, out, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


class Experts(nn.Module):
    """Each sample goes through one of several layers, so that some batches leave one without any."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(WIDTH, 4) for _ in range(6))
        self.step = 0

    def forward(self, x: Tensor) -> Tensor:
        self.step += 1
        return self.experts[self.step % 6](x)


class Bag(nn.Module):
    """An embedding of which a batch uses few rows."""

    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        self.embedding, self.fc = nn.Embedding(5000, WIDTH, sparse=sparse), nn.Linear(WIDTH, 50)

    def forward(self, text: Tensor) -> Tensor:
        return self.fc(self.embedding(text).mean(1))


def bag_loss(model: nn.Module, x: Tensor, _: Tensor) -> Tensor:
    return F.cross_entropy(model(x), x[:, 0])


def sgd(model: nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(model.parameters(), lr=0.1)]


def momentum(model: nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)]


def adam(model: nn.Module) -> list[torch.optim.Optimizer]:
    return [torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)]


def sparse_and_dense(model: Any) -> list[torch.optim.Optimizer]:
    embedding = torch.optim.SparseAdam(list(model.embedding.parameters()), lr=1e-2)
    return [embedding, torch.optim.SGD(model.fc.parameters(), lr=0.1)]


def constant(step: int) -> float:
    return 1.0


def warm_up(step: int) -> float:
    return min(1.0, step / 200)


def there_and_back(step: int) -> float:
    return min(step / 10, max(0.0, (40 - step) / 30))


CASES: dict[str, tuple[Any, ...]] = {
    "relu, SGD": (perceptron, samples, classify, sgd, constant),
    "tanh, momentum": (lambda: perceptron(activation=nn.Tanh), samples, classify, momentum, constant),
    "batch norm and dropout, Adam": (
        lambda: perceptron(nn.BatchNorm1d(WIDTH), nn.Dropout(0.5)),
        samples,
        classify,
        adam,
        constant,
    ),
    "begins at zero, SGD": (from_zero, samples, classify, sgd, constant),
    "begins at zero, momentum": (from_zero, samples, classify, momentum, constant),
    "begins at zero, warm-up": (from_zero, samples, classify, adam, warm_up),
    "warm-up and decay to zero": (perceptron, samples, classify, sgd, there_and_back),
    "layer scale": (lambda: nn.Sequential(Scaled(), Scaled(), nn.Linear(WIDTH, 4)), samples, classify, adam, constant),
    "LoRA": (lambda: nn.Sequential(Adapted(WIDTH), nn.ReLU(), Adapted(4)), samples, classify, adam, warm_up),
    "experts": (Experts, samples, classify, sgd, constant),
    "transformer": (lambda: Transformer(2, WIDTH, 4, vocabulary=50), tokens, predict, adam, constant),
    "embedding, Adam": (lambda: Bag(sparse=False), tokens, bag_loss, adam, constant),
    "embedding, two optimizers": (lambda: Bag(sparse=True), tokens, bag_loss, sparse_and_dense, constant),
}


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_found(tmp_path: Path, case: str) -> None:
    make, data, loss_of, optimizers_of, schedule = CASES[case]
    torch.manual_seed(0)
    model = make()
    optimizers = optimizers_of(model)
    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, schedule) for optimizer in optimizers]
    with layerscope.Scope(model, tmp_path, strict=True) as scope:
        scope.watch(*optimizers, every=EVERY_STEP | {"histograms": 0})
        for step in range(40):
            x, y = data(step)
            model.zero_grad()
            loss_of(model, x, y).backward()
            for optimizer, scheduler in zip(optimizers, schedules, strict=True):
                optimizer.step()
                scheduler.step()
    run = layerscope.read(tmp_path)["."]
    assert {"gradients", "parameters", "updates", "training_activations"} <= run.series.keys()
    assert (run.examined, run.findings) == (True, ())
    assert examine(replace(run, examined=False)) == ()


def test_a_grad_scaler_that_looks_for_its_scale(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**28)
    skipped = 0
    with layerscope.Scope(model, tmp_path, strict=True) as scope:
        for step in range(40):
            x, y = samples(step)
            with torch.autocast("cpu", torch.float16):
                loss = classify(model, x, y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            skipped += not all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)
            with scope.step(optimizer, step):
                scaler.step(optimizer)
            scaler.update()
    assert skipped >= 3
    assert layerscope.read(tmp_path)["."].findings == ()
