"""What is explained: one number for each sample, chosen from what the model returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.calls import first_float_tensor

Target = int | Sequence[int] | Tensor | Callable[[Any], Tensor] | None
"""A class, a class for each sample, None for the predicted class, or a function of what the model returned."""


def select(output: Any, target: Target) -> Tensor:
    """Return the number that is explained, for each sample [batch].

    Raises:
        InvalidArgumentError: the target does not fit what the model returned.
    """
    if callable(target) and not isinstance(target, Tensor):
        values = cast(object, target(output))
        if not isinstance(values, Tensor) or values.ndim != 1 or not values.is_floating_point():
            given = f"{values.dtype} {list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
            raise InvalidArgumentError(
                "a target that is a function must return one floating-point number for each sample, a tensor "
                f"[batch], but it returned {given}. Reduce the other dimensions, e.g. by .sum(1)."
            )
        return values
    scores = _scores(output)
    if _is_one_score(scores):
        _labels(scores.reshape(-1, 1), target)
        return scores.reshape(-1)
    return scores.gather(1, _labels(scores, target)[:, None]).squeeze(1)


def describe(output: Any, target: Target, batch: int) -> tuple[Tensor, Tensor]:
    """Return the classes that are explained, int64 [batch], and their probabilities, float32 [batch].

    The probability is the softmax over the classes. It is NaN where there are no classes to choose from: for a
    function as target, whose class is -1, and for a model with one score for each sample, whose class is 0.
    """
    unknown = torch.full((batch,), torch.nan)
    if callable(target) and not isinstance(target, Tensor):
        return torch.full((batch,), -1), unknown
    scores = _scores(output).detach()
    if _is_one_score(scores):
        return torch.zeros(batch, dtype=torch.int64), unknown
    labels = _labels(scores, target)
    return labels, scores.double().softmax(1).gather(1, labels[:, None]).squeeze(1).float()


def _scores(output: Any) -> Tensor:
    """Return the scores in what the model returned: ``logits`` where that exists, else the first float tensor."""
    named = cast(Any, output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None))
    scores = named if isinstance(named, Tensor) else first_float_tensor(output)
    if scores is None or scores.ndim not in (1, 2):
        given = "no floating-point tensor" if scores is None else f"a tensor {list(scores.shape)}"
        raise InvalidArgumentError(
            "a class can be the target of a model that returns scores [batch, classes], but this one returned "
            f"{given}. Give a function as target, which takes what the model returned and returns one number for each "
            "sample [batch]."
        )
    return scores


def _is_one_score(scores: Tensor) -> bool:
    return scores.ndim == 1 or scores.shape[1] == 1


def _labels(scores: Tensor, target: Target) -> Tensor:
    """Return the class of each sample, int64 [batch]."""
    batch, classes = scores.shape
    if target is None:
        return scores.argmax(1)
    labels = torch.as_tensor(target, device=scores.device)
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InvalidArgumentError(f"targets must be classes, integers, but they are {labels.dtype}. Convert them.")
    if labels.ndim == 0:
        labels = labels.expand(batch)
    if labels.shape != (batch,):
        raise InvalidArgumentError(
            f"targets must be one class, or one for each of the {batch} samples, but they have shape "
            f"{list(labels.shape)}."
        )
    if batch and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise InvalidArgumentError(
            f"targets must be classes from 0 to {classes - 1}, since the model returns {classes} scores for each "
            f"sample, but they go from {int(labels.min())} to {int(labels.max())}."
        )
    return labels.long()
