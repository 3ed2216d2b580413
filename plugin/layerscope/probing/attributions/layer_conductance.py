"""Layer conductance: integrated gradients that flow through each element of every layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.baselines import Baselines
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import Path, checked_count, chunked, gauss_legendre
from layerscope.probing.capture import Layer


@dataclass(frozen=True)
class LayerConductance(Method):
    """How much of the change of the target from a baseline goes through each element of a layer's output.

    Dhamdhere et al. 2018, "How Important Is a Neuron?", eq. 2; the sum of gradient x change of the output between
    neighbouring points (Shrikumar et al. 2018, "Computationally Efficient Measures of Internal Neuron Importance",
    section 2.2). One walk along the path serves all layers; every call of a reused module has its own. Of layers alone;
    its like for the inputs is ``integrated_gradients``. Equals Captum's ``LayerConductance``.

    Args:
        baselines: where the path begins, see ``baselines.Baselines``; None is zeros.
        n_steps: number of stretches of the path; there is one point more.
        internal_batch_size: the most samples in a pass; None infers it from the size of the inputs.
    """

    baselines: Baselines = None
    n_steps: int = 32
    internal_batch_size: int | None = None

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of the layers."""
        path = Path(question)
        walk = _Walk()
        alphas, _ = gauss_legendre(checked_count("n_steps", self.n_steps) + 1)
        for points in chunked(path.question, alphas, [self.baselines] * len(alphas), self.internal_batch_size):
            path.gradients(points, walk.at_gradient)
        return Attribution(
            method=name,
            signed=True,
            layers=path.in_order(walk.sums),
            inputs=[],
            targets=path.targets,
            probabilities=path.probabilities,
            skipped=path.skipped,
            channels={key: layer.channels for key, layer in walk.layers.items()},
        )


class _Walk:
    """The sums of all layers, and where the last point was."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.layers: dict[str, Layer] = {}
        self._last: dict[str, tuple[Tensor, Tensor]] = {}

    def at_gradient(self, layer: Layer, output: Tensor, gradient: Tensor) -> None:
        """Add what goes on between some points [points, batch, ...] and the one before them."""
        key = layer.key
        self.layers[key] = layer
        # Point by point: what is in between stays small, and the sum is the same for any internal_batch_size.
        before, slope = self._last.get(key, (output[0], gradient[0]))
        found = self.sums[key] if key in self.sums else torch.zeros_like(output[0])
        for point in range(0 if key in self.sums else 1, len(output)):
            found.addcmul_(slope, output[point] - before)
            before, slope = output[point], gradient[point]
        self.sums[key] = found
        self._last[key] = before.clone(), slope.clone()
