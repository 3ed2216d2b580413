"""SmoothGrad: the mean gradient around the inputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import Path, added, checked_count, chunked
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class SmoothGrad(Method):
    """Mean of the gradient over inputs with noise (Smilkov et al. 2017, "SmoothGrad", section 3).

    Of the inputs and of every layer's output. Inputs of integers have the noise on their embedding. The noise is seeded
    and depends on nothing else, so that steps and runs can be compared.

    Args:
        n_samples: how many noisy inputs.
        noise_level: standard deviation of the noise, over the difference of the largest and smallest element of a
            sample.
        seed: of the noise.
        internal_batch_size: the most samples in a pass; None infers it from the size of the inputs.
    """

    n_samples: int = 16
    noise_level: float = 0.15
    seed: int = 0
    internal_batch_size: int | None = None

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of inputs and layers."""
        path = Path(question)
        count = checked_count("n_samples", self.n_samples)
        sums: dict[str, Tensor] = {}
        layers: dict[str, Layer] = {}

        def at_gradient(layer: Layer, output: Tensor, gradient: Tensor) -> None:
            layers[layer.key] = layer
            found = gradient.sum(0) / count
            sums[layer.key] = found if layer.key not in sums else sums[layer.key] + found

        parts: list[list[Tensor]] = []
        done = 0
        for points in chunked(path.question, torch.ones(count), [None] * count, self.internal_batch_size):
            numbers = range(done, done + len(points))
            done += len(points)
            held = path.gradients(
                points, at_gradient, away=lambda place, value, numbers=numbers: self._noise(path, place, value, numbers)
            )
            found = [[gradient.sum(0) / count for _, gradient in pairs] for pairs in held]
            parts = added(parts, found)
        return Attribution(
            method=name,
            signed=True,
            layers=path.in_order(sums),
            inputs=path.inputs(parts),
            targets=path.targets,
            probabilities=path.probabilities,
            skipped=path.skipped,
            channels={key: layer.channels for key, layer in layers.items()},
        )

    def _noise(self, path: Path, place: int, value: Tensor, numbers: range) -> Tensor:
        """Return the noise for some points, which does not depend on how many are run together."""
        single = value.numel() // len(numbers)
        drawn = [
            torch.randn(single, generator=torch.Generator().manual_seed((self.seed << 32) + (number << 8) + place))
            for number in numbers
        ]
        noise = path.from_points(torch.stack(drawn).to(value), value)
        spread = path.per_sample(value, len(numbers), lambda rows: rows.amax(1) - rows.amin(1))
        return noise * (self.noise_level * spread)
