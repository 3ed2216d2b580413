"""What each layer makes of samples, as points: principal components that stay comparable over training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerscope.errors import CaptureError
from layerscope.probing.calls import input_tensors
from layerscope.probing.pooling import pooled
from layerscope.probing.representation import batch_size


@dataclass(frozen=True)
class Embedding:
    """What one layer makes of samples."""

    features: NDArray[np.float32]
    """[samples, channels]: the output of the layer, averaged over positions."""
    points: NDArray[np.float32]
    """[samples, components]: principal components of the centred features; 0 where there are fewer."""
    explained: NDArray[np.float32]
    """[components]: share of the variance of the features along each axis, 0 to 1; where axes were turned to match an
    earlier result, a later axis may have more than the first."""


def embeddings(
    model: nn.Module,
    inputs: Any,
    *,
    layers: str | Sequence[str] = "auto",
    components: int = 3,
    before: Mapping[str, Embedding] | None = None,
    samples_at_once: int = 256,
    batch_dim: int = 0,
) -> dict[str, Embedding]:
    """Return the features of layers and their principal components (Pearson 1901).

    Axes of principal components have no sign and no fixed order, so from step to step they would jump. ``before``
    keeps them comparable: the points are turned and mirrored, never stretched, as close as that goes to those of the
    same layer there (orthogonal Procrustes, Schoenemann 1966). Without it the largest coordinate of each axis is
    positive.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        layers: ``"all"``, ``"auto"`` (about a dozen that tell the most) or a list of layer keys and patterns.
        components: how many.
        before: an earlier result for the same samples; layers that have other numbers of them there do not count.
        samples_at_once: most samples of one forward pass.
        batch_dim: dimension of the samples in the inputs.

    Returns:
        Layer key -> embedding, in order of execution. Layers with NaN or infinite features have points of NaN.

    Raises:
        InvalidArgumentError: as ``Chosen`` raises it, or ``samples_at_once`` is less than 1.
        LayerNotFoundError: the model has no layer of a key.
        CaptureError: a layer that was named was not executed, or has no row for each sample; or there are fewer than
            two samples.
    """
    samples = batch_size(inputs, batch_dim)
    if samples < 2:
        raise CaptureError(f"embeddings compare samples, of which they need two or more, but there are {samples}.")
    features = pooled(
        model,
        inputs,
        layers=layers,
        at_end=lambda output: torch.zeros(0),
        samples_at_once=samples_at_once,
        batch_dim=batch_dim,
    ).layers
    found: dict[str, Embedding] = {}
    for layer, rows in features.items():
        earlier = None if before is None else before.get(layer)
        found[layer] = Embedding(
            rows, *principal_components(rows, components, None if earlier is None else earlier.points)
        )
    return found


def word_embeddings(model: nn.Module, layer: str, inputs: Any) -> tuple[list[int], NDArray[np.float32]] | None:
    """Return the distinct tokens of a probe set and their rows in an embedding, [tokens, features].

    Args:
        model: the model.
        layer: layer key of an ``nn.Embedding``; of another module, or of none, the answer is None.
        inputs: arguments whose first tensor of integers is tokens; None is the answer without one. Padding is left
            out, and so are numbers that the embedding does not have.
    """
    module = dict(model.named_modules()).get(layer.partition("#")[0])
    numbers = next((t for t in input_tensors(inputs) if not (t.is_floating_point() or t.is_complex())), None)
    if not isinstance(module, nn.Embedding) or numbers is None:
        return None
    tokens: list[int] = numbers.unique().tolist()
    tokens = [token for token in tokens if 0 <= token < module.num_embeddings and token != module.padding_idx]
    rows = module.weight.detach()[torch.tensor(tokens, dtype=torch.int64, device=module.weight.device)]
    return tokens, rows.float().cpu().numpy()


def principal_components(
    features: NDArray[np.float32], components: int, before: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (points [samples, components], share of the variance along each axis [components]).

    Args:
        features: [samples, channels].
        components: how many; those that there are not are 0.
        before: points to which these are turned, if they have the same shape and are finite.
    """
    samples = len(features)
    if not np.isfinite(features).all():
        missing = np.full((samples, components), np.nan, np.float32)
        return missing, np.full(components, np.nan, np.float32)
    centred = features.astype(np.float64) - features.mean(0, dtype=np.float64)
    # Of samples and channels the fewer: the decomposition is of their products, at most [samples, samples].
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    count = min(components, len(lengths))
    points = np.zeros((samples, components))
    points[:, :count] = left[:, :count] * lengths[:count]
    largest = points[np.abs(points).argmax(0), np.arange(components)]
    points *= np.where(largest < 0, -1.0, 1.0)
    if before is not None and before.shape == points.shape and np.isfinite(before).all():
        points = points @ _turn(points, before.astype(np.float64))
    total = np.square(centred).sum()
    explained = np.square(points).sum(0) / total if total > 0 else np.zeros(components)
    return points.astype(np.float32), explained.astype(np.float32)


def _turn(points: NDArray[np.float64], onto: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the orthogonal matrix by which ``points`` come closest to ``onto``."""
    left, _, right = np.linalg.svd(points.T @ (onto - onto.mean(0)))
    return left @ right
