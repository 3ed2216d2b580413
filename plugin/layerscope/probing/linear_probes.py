"""Linear probes: how well a linear classifier tells the classes from the output of each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope import wire
from layerscope.containment import random_states_preserved
from layerscope.errors import InvalidArgumentError
from layerscope.probing.held_out import agreement, split
from layerscope.probing.pooling import pooled
from layerscope.probing.representation import batch_size
from layerscope.probing.surrogates.logistic_regression import LogisticRegression
from layerscope.probing.surrogates.surrogate_model import needing_scikit_learn

FEWEST_HELD_OUT = 10
"""On fewer samples an accuracy says nothing: of 3 it is 0, a third, two thirds or 1."""


@random_states_preserved()
def linear_probes(
    model: nn.Module,
    inputs: Any,
    labels: Sequence[int] | Sequence[str] | NDArray[Any] | Tensor,
    *,
    layers: str | Sequence[str] = "all",
    held_out: float = 0.25,
    seed: int = 0,
    max_features: int = 512,
    batch_dim: int = 0,
    samples_at_once: int = 256,
) -> wire.Statistics:
    """Return how well a linear classifier tells the labels from each layer's output, in evaluation mode.

    Alain & Bengio 2016, "Understanding intermediate layers using linear classifier probes": accuracy against depth
    shows where in the network the classes become linearly separable. A probe is a logistic regression (softmax; L2
    penalty 1/2 |w|² beside the summed loss) of the layer's output, averaged over its positions to channels and each
    channel brought to mean 0 and standard deviation 1. All layers are judged on the same held-out samples.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model. Give a few
            hundred samples or more, of which the model was not trained on any: those it knows are told apart better
            than new ones. On 100 held-out ones the standard error of an accuracy is up to 0.05.
        labels: the class of each sample [samples], whole numbers or strings.
        layers: ``"all"`` for every module call but the model's own; ``"auto"`` for about a dozen that tell the most;
            or a list of layer keys and patterns. Layers without a row for each sample in their output are left out.
        held_out: share of the samples that the probes are judged on and not fitted to; of each class the same share.
        seed: of the draw of those samples, and of the channels that are left out.
        max_features: of a layer with more channels as many are drawn.
        batch_dim: dimension of the samples in the inputs.
        samples_at_once: most samples of one forward pass. Only the means of the channels are kept of it.

    Returns:
        A row for each layer key, in order of execution. Columns, on the held-out samples: ``accuracy``, NaN where the
        layer's output holds infinities or NaN; ``majority``, the accuracy of naming the commonest class always; and
        ``held_out``, how many they are.

    Raises:
        MissingExtraError: scikit-learn is not installed (extra ``surrogates``).
        InvalidArgumentError: not one label for each sample, labels that are no classes, an argument out of range, or
            so few samples that accuracies would say nothing: less than 10 held out, or less than 2 for each class to
            fit to.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed, has no floating-point output, or not one
            row for each sample, or other channels for some samples.
    """
    needing_scikit_learn("layerscope.linear_probes")
    if max_features < 1:
        raise InvalidArgumentError(f"max_features must be 1 or more, but it is {max_features}.")
    classes = _classes(labels, batch_size(inputs, batch_dim))
    training, judging = split(classes, held_out, seed)
    if len(np.unique(classes[training])) < 2:
        raise InvalidArgumentError("labels must be of two or more classes, but all that are fitted to are of one.")
    _require_enough(classes, len(training), len(judging))
    found = pooled(
        model,
        inputs,
        layers=layers,
        at_end=lambda _: torch.empty(0),
        samples_at_once=samples_at_once,
        batch_dim=batch_dim,
        max_channels=max_features,
        seed=seed,
    ).layers
    majority = float(np.bincount(classes[judging]).max() / len(judging))

    def accuracy(features: NDArray[np.float32]) -> float:
        if not np.isfinite(features).all():
            return np.nan
        seen = features.astype(np.float64)
        probe = LogisticRegression(penalty=1.0).fit(seen[training], classes[training], seed)
        return agreement(classes[judging], probe.predict(seen[judging]))

    rows = [(accuracy(features), majority, len(judging)) for features in found.values()]
    return wire.Statistics(
        layers=tuple(found),
        owners=tuple(found),
        statistics=wire.SERIES["linear_probes"].statistics,
        values=np.array(rows, np.float32).reshape(len(rows), 3),
    )


def _require_enough(classes: NDArray[np.int64], fitted: int, held_out: int) -> None:
    count = len(np.unique(classes))
    if held_out < FEWEST_HELD_OUT or fitted < 2 * count:
        raise InvalidArgumentError(
            f"linear probes need {FEWEST_HELD_OUT} or more held-out samples, on which the standard error of an "
            f"accuracy is up to 0.16, and 2 or more to fit to for each class; but of {len(classes)} samples of {count} "
            f"classes {held_out} are held out and {fitted} fitted to. Give more samples, some hundreds if you can."
        )


def _classes(labels: Any, samples: int) -> NDArray[np.int64]:
    """Return the classes, numbered from 0 [samples]."""
    given = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if given.shape != (samples,):
        raise InvalidArgumentError(
            f"labels must be one class for each of the {samples} samples, but they have shape {list(given.shape)}."
        )
    if given.dtype.kind not in "iubU":
        raise InvalidArgumentError(
            f"labels must be classes, whole numbers or strings, but they are {given.dtype}. Convert them."
        )
    return np.unique(given, return_inverse=True)[1].astype(np.int64)
