"""Integrated gradients: what each element of the inputs contributes to the change of the target from a baseline."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.baselines import Baselines
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import Path, Points, added, checked_count, chunked, gauss_legendre


@dataclass(frozen=True)
class IntegratedGradients(Method):
    """Inputs less baseline, times the mean gradient on the straight line between them.

    Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", eq. 1, by Gauss-Legendre quadrature. What it
    attributes adds up to the change of the target from the baseline; ``delta`` is what is missing. Of the inputs alone;
    ``layer_conductance`` is its like for layers. Inputs of integers: at their embedding. Equals Captum's
    ``IntegratedGradients``.

    Args:
        baselines: where the path begins, see ``baselines.Baselines``; None is zeros.
        n_steps: number of points on the path.
        internal_batch_size: the most samples in a pass; None infers it from the size of the inputs.
    """

    baselines: Baselines = None
    n_steps: int = 32
    internal_batch_size: int | None = None

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of the inputs."""
        path = Path(question)
        alphas, weights = gauss_legendre(checked_count("n_steps", self.n_steps))
        parts = weighted_gradients(path, alphas, weights, [self.baselines] * self.n_steps, self.internal_batch_size)
        start = path.values(Points(torch.zeros(1), [self.baselines]))[0]
        inputs = path.inputs(parts)
        return Attribution(
            method=name,
            signed=True,
            layers={},
            inputs=inputs,
            targets=path.targets,
            probabilities=path.probabilities,
            delta=completeness_gap(inputs, path.value - start),
        )


def weighted_gradients(
    path: Path, alphas: Tensor, weights: Tensor, baselines: list[Baselines], internal_batch_size: int | None
) -> list[list[Tensor]]:
    """Return the sums over all points of weight x difference from the baseline x gradient, for what stands for inputs.

    Args:
        path: what runs the passes.
        alphas: of all points.
        weights: of all points.
        baselines: of all points.
        internal_batch_size: the most samples in a pass.
    """
    sums: list[list[Tensor]] = []
    done = 0
    for points in chunked(path.question, alphas, baselines, internal_batch_size):
        part = weights[done : done + len(points)]
        done += len(points)
        found = [
            [(difference * gradient * _broadcast(part, gradient)).sum(0) for difference, gradient in held]
            for held in path.gradients(points)
        ]
        sums = added(sums, found)
    return sums


def completeness_gap(inputs: list[Tensor], change: Tensor) -> Tensor:
    """Return the sum of all attributions [batch] less the ``change`` of the target that they should explain."""
    known = [tensor for tensor in inputs if tensor.ndim and len(tensor) == len(change) and not tensor.isnan().all()]
    if not known:  # integers that no embedding looks up: nothing is known of any input
        return torch.full_like(change, torch.nan)
    return torch.stack([tensor.nan_to_num(0.0).reshape(len(change), -1).sum(1) for tensor in known]).sum(0) - change


def _broadcast(numbers: Tensor, like: Tensor) -> Tensor:
    return numbers.to(like).reshape(-1, *[1] * (like.ndim - 1))
