"""Models that attend, and slow twins of their attention weights, that several tests share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WORDS = torch.tensor([[1, 5, 3, 19, 4], [2, 2, 0, 7, 6], [9, 8, 7, 6, 5]])


def slow_softmax(query: Tensor, key: Tensor, allowed: Callable[[int, int, int, int], bool], scale: float) -> Tensor:
    """Return attention weights [samples, heads, queries, keys], number by number."""
    samples, heads, queries = query.shape[:3]
    keys = key.shape[2]
    weights = torch.zeros(samples, heads, queries, keys)
    for n in range(samples):
        for h in range(heads):
            for q in range(queries):
                shared = h // (heads // key.shape[1])  # heads of queries that share one of keys
                scores = [math.fsum((query[n, h, q] * key[n, shared, k]).tolist()) * scale for k in range(keys)]
                powers = [math.exp(score) if allowed(n, h, q, k) else 0.0 for k, score in enumerate(scores)]
                for k in range(keys):
                    weights[n, h, q, k] = powers[k] / math.fsum(powers) if any(powers) else math.nan
    return weights


def same(found: Tensor, expected: Tensor) -> None:
    assert found.dtype == torch.float32
    assert found.device.type == "cpu"
    assert not found.requires_grad
    torch.testing.assert_close(found, expected.detach().float(), rtol=1e-5, atol=1e-6, equal_nan=True)


class Dotted(nn.Module):
    """Calls scaled_dot_product_attention on what it is given."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value, **self.options)


class Written(nn.Module):
    """A block of a transformer as people write it by hand: softmax of four dimensions."""

    def __init__(self, softmax: Callable[[Tensor], Tensor], width: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.heads, self.softmax = heads, softmax
        self.qkv = nn.Linear(width, 3 * width)
        self.drop = nn.Dropout(0.5)

    def weights(self, x: Tensor) -> tuple[Tensor, Tensor]:
        split = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.softmax(split[0] @ split[1].mT / math.sqrt(split.shape[-1])), split[2]

    def forward(self, x: Tensor) -> Tensor:
        weights, values = self.weights(x)
        return (self.drop(weights).mul_(2) @ values).transpose(1, 2).flatten(2)  # what is kept must not change


def asked(module: nn.MultiheadAttention, *args: Tensor, **kwargs: Any) -> Tensor:
    """Return what the module itself says when it is asked for the weights of each head."""
    module.eval()
    return module(*args, **kwargs, need_weights=True, average_attn_weights=False)[1]
