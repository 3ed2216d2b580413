"""What is explained: one number for each sample, chosen from what the model returned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.calls import first_float_tensor


@dataclass(frozen=True)
class Loss:
    """A target: the loss of each sample, e.g. ``Loss(nn.CrossEntropyLoss(), labels)``.

    What supports it is what makes the model err.

    Args:
        criterion: takes the scores [1, ...] and the labels [1, ...] of one sample and returns one number.
        labels: what is right, [batch, ...].
    """

    criterion: Callable[[Tensor, Tensor], Tensor]
    labels: Tensor

    def __call__(self, output: Any) -> Tensor:
        """Return the loss of each sample [batch], of what the model returned."""
        scores = scores_of(output)
        labels = self.labels.to(scores.device)
        if len(scores) != len(labels):
            raise InvalidArgumentError(
                f"the loss has {len(labels)} labels, but the model returned scores {list(scores.shape)}."
            )
        losses = [self.criterion(scores[i : i + 1], labels[i : i + 1]).reshape(()) for i in range(len(labels))]
        return torch.stack(losses)


Target = int | Sequence[int] | Tensor | Callable[[Any], Tensor] | Loss | None
"""A class, a class for each sample, None for the predicted class, or a function of what the model returned.

Of scores of more than two dimensions, e.g. [batch, tokens, classes], a tuple of numbers picks one for each sample: (5,
2) is class 2 at token 5, counted from the end if negative.
"""


def select(output: Any, target: Target, batch_dim: int = 0) -> Tensor:
    """Return the number that is explained, for each sample [batch].

    Args:
        output: what the model returned.
        target: what is explained.
        batch_dim: dimension of the samples in scores of more than two dimensions.

    Raises:
        InvalidArgumentError: the target does not fit what the model returned.
    """
    if _is_function(target):
        values: object = cast(Any, target)(output)
        if not isinstance(values, Tensor) or values.ndim != 1 or not values.is_floating_point():
            given = f"{values.dtype} {list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
            raise InvalidArgumentError(
                "a target that is a function must return one floating-point number for each sample, a tensor "
                f"[batch], but it returned {given}. Reduce the other dimensions, e.g. by .sum(1)."
            )
        return values
    scores = scores_of(output)
    if scores.ndim > 2:
        return _picked(scores.movedim(batch_dim, 0), target)
    if _is_one_score(scores):
        _labels(scores.reshape(-1, 1), target)
        return scores.reshape(-1)
    return scores.gather(1, _labels(scores, target)[:, None]).squeeze(1)


def describe(output: Any, target: Target, batch: int, batch_dim: int = 0) -> tuple[Tensor, Tensor]:
    """Return the classes that are explained, int64 [batch], and their probabilities, float32 [batch].

    The probability is the softmax over the classes, which are the last dimension, or the score itself where the model
    gives probabilities. It is NaN where there are no classes to choose from: for a function as target, whose class is
    -1, and for a model with one score for each sample, whose class is 0.
    """
    unknown = torch.full((batch,), torch.nan)
    if _is_function(target):
        return torch.full((batch,), -1), unknown
    scores = scores_of(output).detach()
    if scores.ndim > 2:
        probabilities = _picked(probabilities_of(scores.movedim(batch_dim, 0)), target)
        return torch.full((batch,), _position(scores, target)[-1] % scores.shape[-1]), probabilities.float()
    if _is_one_score(scores):
        return torch.zeros(batch, dtype=torch.int64), unknown
    labels = _labels(scores, target)
    return labels, probabilities_of(scores).gather(1, labels[:, None]).squeeze(1).float()


def probabilities_of(scores: Tensor) -> Tensor:
    """Return the probabilities of scores [..., classes], float64: their softmax, or they themselves.

    They are probabilities already where all are from 0 to 1 and add up to 1 within 1e-4 (of half precision, within its
    rounding), as what a model returns that ends in a softmax.
    """
    rounding = max(1e-4, torch.finfo(scores.dtype).eps)
    scores = scores.detach().double()
    sums = scores.sum(-1)
    given = scores.numel() > 0 and bool((scores >= 0).all() and ((sums - 1).abs() <= rounding).all())
    return scores if given else scores.softmax(-1)


def fixed(output: Any, target: Target) -> Target:
    """Return the target for other inputs than those of ``output``: the predicted classes stay what they are.

    A tuple of classes, one for each sample, becomes a tensor, which a tuple that picks one score never is.
    """
    if target is not None and not isinstance(target, tuple):
        return target
    scores = scores_of(output)
    if scores.ndim > 2:
        return target
    if target is not None:
        return torch.as_tensor(target)
    return None if _is_one_score(scores) else scores.argmax(1)


def may_repeat(target: Target) -> bool:
    """Return whether ``repeated`` can: not a function, which may know the samples of its batch by number."""
    return isinstance(target, Loss) or not _is_function(target)


def repeated(target: Target, times: int) -> Target:
    """Return the target for a batch that is the given one ``times`` times over."""
    if isinstance(target, Loss):
        return Loss(target.criterion, torch.cat([target.labels] * times))
    if target is None or isinstance(target, (int, tuple)):
        return target
    assert may_repeat(target)
    labels = torch.as_tensor(target)
    return labels if labels.ndim == 0 else torch.cat([labels] * times)


def _is_function(target: Target) -> bool:
    return callable(target) and not isinstance(target, Tensor)


def scores_of(output: Any) -> Tensor:
    """Return the scores in what the model returned: ``logits`` where that exists, else the first float tensor."""
    named = cast(Any, output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None))
    scores = named if isinstance(named, Tensor) else first_float_tensor(output)
    if scores is None or scores.ndim == 0:
        given = "no floating-point tensor" if scores is None else "a single number"
        raise InvalidArgumentError(
            "a class can be the target of a model that returns scores [batch, classes], but this one returned "
            f"{given}. Give a function as target, which takes what the model returned and returns one number for each "
            "sample [batch]."
        )
    return scores


def _is_one_score(scores: Tensor) -> bool:
    return scores.ndim == 1 or scores.shape[1] == 1


def _picked(scores: Tensor, target: Target) -> Tensor:
    """Return one number of scores [batch, ...] for each sample."""
    position = _position(scores, target)
    try:
        return scores[(slice(None), *position)]
    except IndexError as error:
        raise InvalidArgumentError(
            f"target {target!r} must pick one of the scores {list(scores.shape)} for each sample, but {error}."
        ) from error


def _position(scores: Tensor, target: Target) -> tuple[int, ...]:
    if not isinstance(target, tuple) or len(target) != scores.ndim - 1:
        raise InvalidArgumentError(
            "a class can be the target of a model that returns scores [batch, classes], but this one returned a tensor "
            f"{list(scores.shape)}. Give a tuple of {scores.ndim - 1} numbers, the place of one score in what belongs "
            "to a sample, or a function as target, which takes what the model returned and returns one number for each "
            "sample [batch]."
        )
    return tuple(int(number) for number in target)


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
