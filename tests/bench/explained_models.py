"""Three classifiers whose layers are explained in the bench: their cost counts, so their weights are random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.architectures.resnet import ResNet
from bench.architectures.sequences import Block


@dataclass(frozen=True)
class ExplainedModel:
    """How a model is made, and what it takes."""

    about: str
    sample: tuple[int, ...]
    """Shape of one sample."""
    build: Callable[[], nn.Module]

    def ready(self) -> nn.Module:
        """Return the model in evaluation mode, always with the same weights."""
        torch.manual_seed(0)
        model = self.build()
        norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:  # know their mean and variance, as after training: else numbers shrink to denormal ones
            norm.momentum = 1.0
        with torch.no_grad():
            model.train()(self.batch(8))
        return model.eval()

    def batch(self, samples: int) -> Tensor:
        """Return inputs, the same ones each time."""
        return torch.rand(samples, *self.sample, generator=torch.Generator().manual_seed(samples))


class PatchTransformer(nn.Module):
    """Blocks of attention over patches [batch, patches, numbers]; what they say on average is classified."""

    def __init__(self, blocks: int, width: int, heads: int, numbers: int) -> None:
        super().__init__()
        self.patches = nn.Linear(numbers, width)
        self.h = nn.ModuleList(Block(width, heads) for _ in range(blocks))
        self.ln_f = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x)
        for block in self.h:
            x = block(x)
        return self.head(self.ln_f(x).mean(1))


def _efficientnet_lite0() -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet  # only make bench installs it

    return EfficientNet.from_name("efficientnet-lite0")


EXPLAINED_MODELS: dict[str, ExplainedModel] = {
    "EfficientNet-Lite0": ExplainedModel("4.7 M parameters, images of 224 px", (3, 224, 224), _efficientnet_lite0),
    "ResNet-50": ExplainedModel("25.6 M, 224 px, ReLUs in place", (3, 224, 224), lambda: ResNet((3, 4, 6, 3))),
    "transformer": ExplainedModel(
        "21.7 M, 12 blocks of width 384, 64 tokens", (64, 48), lambda: PatchTransformer(12, 384, 6, 48)
    ),
}
"""Name -> how it is made."""
