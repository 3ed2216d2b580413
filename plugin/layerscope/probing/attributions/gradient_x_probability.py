"""Gradient x probability: gradients that count as much as the model is sure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.one_pass import OnePassMethod
from layerscope.probing.attributions.target import Target, describe, select
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class GradientXProbability(OnePassMethod):
    """Gradient of the target's score times the target's probability, p_t * dy_t / dx: samples become comparable.

    The gradient of a score knows nothing of how likely the class is; with this weight, what speaks for an unlikely
    class counts little. Summed over all classes it is the gradient of log-sum-exp. Of every layer's output and of the
    inputs. The probability is the softmax over the scores, taken as a constant.
    """

    @staticmethod
    def objective(output: Any, target: Target, batch_dim: int) -> Tensor:
        """Return the target's score times its probability, which is constant."""
        values = select(output, target, batch_dim)
        _, probabilities = describe(output, target, len(values), batch_dim)
        if probabilities.isnan().any():
            raise InvalidArgumentError(
                "gradient_x_probability needs the probability of a class, but there is none: the target is a function, "
                "or the model has a single score. Use saliency or gradient_x_activation."
            )
        return values * probabilities.to(values)

    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the weighted gradient."""
        assert gradient is not None
        return gradient.clone()

    def at_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the weighted gradient."""
        return gradient.clone()
