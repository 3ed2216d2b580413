"""Whole passes captured, for the tests of the engine beneath all methods: outputs and gradients of every layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from layerscope.probing.capture import Captured, capture

IMAGES = torch.linspace(-1, 1, 3 * 64).sin().reshape(3, 1, 8, 8)


def both(model: nn.Module, inputs: Any, **options: Any) -> Captured[Tensor, tuple[Tensor, Tensor]]:
    """Capture outputs and (output, gradient) pairs of the summed logits' squares."""
    options.setdefault("objective", squares)
    return capture(
        model,
        inputs,
        at_output=lambda _, output: output.clone(),
        at_gradient=lambda _, output, gradient: (output, gradient.clone()),
        **options,
    )


def squares(output: Any) -> Tensor:
    logits = output["logits"] if isinstance(output, dict) else output
    return logits.square().flatten(1).sum(1)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert set(found) == set(expected)
    for key, tensor in expected.items():
        torch.testing.assert_close(found[key], tensor, rtol=0, atol=1e-6, msg=lambda text, key=key: f"{key}: {text}")
