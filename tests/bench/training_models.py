"""Two models of the size that people train, with an optimizer, a loss and one batch: what recording is measured on.

The batch is as small as it gets: what is recorded of gradients and parameters costs the same for any batch, so its
share of the step is the largest here. ``larger`` is a batch at which a step takes several times as long. Learning rates
are so low that the training stays where it begins: a batch that is learned by heart has gradients like no other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from bench.architectures.resnet import ResNet
from bench.architectures.sequences import Transformer

Loss = Callable[[nn.Module], Tensor]


@dataclass
class Training:
    """A model in training, and the loss on its one batch."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Loss

    def step(self) -> None:
        """Do what every training loop does: forward, loss, backward, step, zero_grad."""
        self.loss(self.model).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def seconds(self) -> float:
        """Return the CPU seconds of one step."""
        start = time.process_time()
        self.step()
        return time.process_time() - start

    def gradients(self) -> list[Tensor]:
        """Return the gradients, which a backward must have left."""
        return [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]


@dataclass(frozen=True)
class TrainedModel:
    """How a training is made ready, and what is said of it."""

    about: str
    batch: str
    larger: str
    build: Callable[[], Training]
    larger_loss: Callable[[], Loss]
    torchexplorer: Callable[[], dict[str, object]] = dict
    """Options without which it cannot watch this model."""


def _images(batch: int) -> Loss:
    images, classes = torch.rand(batch, 3, 224, 224), torch.randint(1000, (batch,))
    return lambda model: F.cross_entropy(model(images), classes)


def _texts(batch: int) -> Loss:
    tokens, following = torch.randint(16_000, (2, batch, 512))
    return lambda model: F.cross_entropy(model(tokens).flatten(0, 1), following.flatten())


def _resnet50() -> Training:
    torch.manual_seed(0)
    model = ResNet((3, 4, 6, 3))
    return Training(model, torch.optim.SGD(model.parameters(), lr=1e-8, momentum=0.9), _images(4))


def _transformer() -> Training:
    torch.manual_seed(0)
    model = Transformer(12, 768, 12, vocabulary=16_000, context=512)
    model.lm_head.weight = model.wte.weight  # tied, as in GPT-2
    for parameter in model.parameters():
        if parameter.ndim > 1:  # as in GPT-2; with larger ones probabilities become denormal, which slows every step
            nn.init.normal_(parameter, std=0.02)
    return Training(model, torch.optim.AdamW(model.parameters(), lr=1e-8), _texts(1))


TRAINED_MODELS: dict[str, TrainedModel] = {
    "ResNet-50": TrainedModel(
        "25.6 M parameters in 161 tensors, SGD with momentum",
        "4 images of 224 px",
        "16 images",
        _resnet50,
        lambda: _images(16),
        # Its hooks bear nothing in place: neither the ReLUs nor the addition to what a BatchNorm returns.
        torchexplorer=lambda: {"disable_inplace": True, "ignore_io_grad_classes": [nn.BatchNorm2d]},
    ),
    "transformer": TrainedModel(
        "97.7 M parameters in 148 tensors (12 blocks of width 768, 16,000 tied embeddings), AdamW",
        "512 tokens",
        "4 × 512 tokens",
        _transformer,
        lambda: _texts(4),
    ),
}
"""Name -> how it is trained."""
