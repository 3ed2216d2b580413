"""Gradient of the sum of all outputs: what anything that the model says depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.attributions.target import Target, scores_of, select
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class OutputSumGradient(OnePassMethod):
    """Gradient of the sum of all scores of a sample, the row sums of the Jacobian: sum over j of dy_j / dx_i.

    The target chooses nothing here, unless it is a function, whose value is what is differentiated. Of every layer's
    output and of the inputs.
    """

    @staticmethod
    def objective(output: Any, target: Target, batch_dim: int) -> Tensor:
        """Return the sum of all scores of each sample."""
        if callable(target) and not isinstance(target, Tensor):
            return select(output, target, batch_dim)
        scores = scores_of(output)
        if scores.ndim == 1:
            return scores
        return scores.movedim(batch_dim if scores.ndim > 2 else 0, 0).flatten(1).sum(1)

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the gradient."""
        assert gradient is not None
        return gradient.clone()

    def at_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient."""
        return gradient.clone()
