"""Models and a slow twin that the tests of the probing room share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Residual(nn.Module):
    """Two convolutions beside a shortcut that is added in place; its in-place ReLU is called twice."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.relu(out)


class DigitsNet(nn.Module):
    """A residual CNN for 8 x 8 digits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.block1 = Residual(8, 8)
        self.block2 = Residual(8, 16, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.block2(self.block1(self.stem(x)))).flatten(1))


class Reusing(nn.Module):
    """A module called twice, each time changed in place afterwards, and in-place operations between modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * 8 * 8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        x = self.relu(self.twice(x))
        x = self.relu(self.twice(x).mul_(0.5))
        return self.fc(self.drop(x).flatten(1))


class Recurrent(nn.Module):
    """An LSTM, which returns a tuple, over the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        sequence, _ = self.lstm(x[:, 0])
        return self.fc(sequence[:, -1])


class Spectral(nn.Module):
    """Spectral norm keeps the estimates of singular vectors in buffers, which a forward in training mode renews."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = spectral_norm(nn.Conv2d(1, 4, 3, padding=1))
        self.fc = spectral_norm(nn.Linear(4 * 8 * 8, 10))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).relu().flatten(1))


class Plain(nn.Module):
    """Keeps a module in a plain list and makes one in its forward: neither is registered."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = [nn.Conv2d(1, 4, 3, padding=1), nn.Dropout(0.5)]
        self.fc = nn.Linear(4 * 8 * 8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.kept[1](self.kept[0](x))
        return self.fc(nn.Flatten()(x))


class Tokens(nn.Module):
    """Integers in, a dict out, called by keyword: embeddings, an encoder layer, a classifier on the first token."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.positions = nn.Embedding(6, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, *, ids: Tensor) -> dict[str, Tensor]:
        x = self.words(ids)
        x += self.positions(torch.arange(ids.shape[1]))
        encoded = self.encoder(x)
        return {"states": encoded, "logits": self.head(encoded[:, 0])}


def twin(
    model: nn.Module, objective: Callable[[Any], Tensor], *args: Any, **kwargs: Any
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return (activation, gradient of the summed objective) of every call of every registered module, by layer key.

    Slow and plain: each output gets zeros added that require a gradient. Their gradient is the output's; and since the
    sum is a tensor of its own, nothing in place reaches what is kept. The model must be in evaluation mode.
    """
    calls: Counter[str] = Counter()
    activations: dict[str, Tensor] = {}
    zeros: dict[str, Tensor] = {}

    def hook_for(name: str) -> Callable[..., Any]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            keyed = next(iter(output)) if isinstance(output, dict) else None
            tensor = output[keyed] if keyed else output[0] if isinstance(output, tuple) else output
            key = f"{name}#{calls[name]}" if calls[name] else name
            calls[name] += 1
            activations[key] = tensor.detach().clone()
            zeros[key] = torch.zeros_like(tensor, requires_grad=True)
            added = tensor + zeros[key]
            if keyed:
                output[keyed] = added
                return output
            return (added, *output[1:]) if isinstance(output, tuple) else added

        return hook

    handles = [module.register_forward_hook(hook_for(name)) for name, module in model.named_modules() if name]
    try:
        found = torch.autograd.grad(objective(model(*args, **kwargs)).sum(), list(zeros.values()), allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    return activations, {key: gradient for key, gradient in zip(zeros, found, strict=True) if gradient is not None}
