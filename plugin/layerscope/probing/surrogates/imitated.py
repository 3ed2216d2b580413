"""What a surrogate imitates: numbers or classes that the network gives for each sample, and their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.attributions.target import probabilities_of, scores_of
from layerscope.probing.surrogates.surrogate_model import CLASSES, NUMBERS

Imitated = str | int | Callable[[Any], Tensor] | None
"""``"probabilities"``, ``"scores"``, ``"classes"``, one class, a function of what the model returned, or None."""

_KINDS = ("probabilities", "scores", "classes")


class Outputs(NamedTuple):
    """What is imitated."""

    values: NDArray[Any]
    """Numbers float64 [samples, outputs], or classes int64 [samples]."""
    names: tuple[str, ...]
    """Of the outputs, or of all classes."""


def read(output: Any, target: Imitated) -> Tensor:
    """Return what matters of the model's output for one chunk: scores [samples, outputs], or what the function says.

    Raises:
        InvalidArgumentError: the model returned no such scores, or the function something else than [samples] or
            [samples, outputs].
    """
    function = callable(target)
    found: Any = target(output) if callable(target) else scores_of(output)
    if not isinstance(found, Tensor) or found.ndim not in (1, 2) or found.is_complex():
        given = f"a tensor {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InvalidArgumentError(
            "a surrogate imitates one or some numbers for each sample, [samples] or [samples, outputs], but "
            f"{'the target' if function else 'the model'} returned {given}. Give a function as target, which takes "
            "what the model returned and reduces the other dimensions."
        )
    numbers = found.is_floating_point()
    return found.detach().double().reshape(len(found), -1) if numbers else found.detach()


def imitated(found: Tensor, target: Imitated, fits: Sequence[str], names: Sequence[str] | None) -> Outputs:
    """Return what is imitated of the whole batch.

    Args:
        found: what ``read`` gave, of all samples.
        target: as ``layerscope.surrogate`` says.
        fits: what the kind of surrogate can be fitted to.
        names: of the model's scores, or of what the function returns; None makes some.

    Raises:
        InvalidArgumentError: the target is of no kind that there is, or that the surrogate can be fitted to; or not
            as many names as outputs.
        CaptureError: the model gave infinities or NaN.
    """
    if not bool(torch.isfinite(found).all()):
        raise CaptureError(
            "a surrogate was asked for, but for some samples the model gives infinities or NaN. Leave them out, or "
            "look at its parameters: training may have diverged."
        )
    if callable(target):
        return _of_function(found, fits, names)
    scores = found.numpy()
    count = scores.shape[1]
    kind = _kind(target, fits, count)
    if kind == "classes":
        _require(CLASSES, fits)
        if count == 1:
            return Outputs((scores[:, 0] > 0).astype(np.int64), _named(names, ("no", "yes")))
        return Outputs(scores.argmax(1), _named(names, [f"class {i}" for i in range(count)]))
    _require(NUMBERS, fits)
    if kind == "scores":
        made = ["output"] if count == 1 else [f"output {i}" for i in range(count)]
        return Outputs(scores, _named(names, made))
    named = _named(names, [f"class {i}" for i in range(count)])
    probabilities = probabilities_of(found).numpy()
    if isinstance(target, int):
        return Outputs(probabilities[:, [target]], (named[target],))
    return Outputs(probabilities, named)


def _of_function(found: Tensor, fits: Sequence[str], names: Sequence[str] | None) -> Outputs:
    if found.is_floating_point():
        _require(NUMBERS, fits)
        made = ["target"] if found.shape[1] == 1 else [f"target {i}" for i in range(found.shape[1])]
        return Outputs(found.numpy(), _named(names, made))
    _require(CLASSES, fits)
    classes = found.long().numpy()
    if classes.ndim != 1 or classes.min() < 0:
        raise InvalidArgumentError(
            "a target that returns whole numbers must return one class for each sample, [samples], 0 or more, but it "
            f"returned {list(classes.shape)}, the least of them {classes.min()}."
        )
    made = ["no", "yes"] if found.dtype == torch.bool else [f"class {i}" for i in range(int(classes.max()) + 1)]
    return Outputs(classes, _named(names, made))


def _kind(target: Imitated, fits: Sequence[str], count: int) -> str:
    if target is None:
        return "classes" if fits[0] == CLASSES else "scores" if count == 1 else "probabilities"
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < count and count > 1:
        return "probabilities"
    if target not in _KINDS or (target == "probabilities" and count == 1):
        raise InvalidArgumentError(
            f"target must be {', '.join(map(repr, _KINDS))}, a class, a function or None, and of a model that returns "
            f"one score for each sample there are no probabilities of classes; but it is {target!r}, and the model "
            f"returns {count} scores for each sample."
        )
    return str(target)


def _require(what: str, fits: Sequence[str]) -> None:
    if what not in fits:
        raise InvalidArgumentError(
            f"this surrogate is fitted to {fits[0]}, but the target gives {what}. For {what}, choose decision_tree, "
            f"random_forest or {'linear_regression' if what == NUMBERS else 'logistic_regression'}; for {fits[0]}, "
            f"leave target out."
        )


def _named(given: Sequence[str] | None, made: Sequence[str]) -> tuple[str, ...]:
    if given is not None and (isinstance(given, str) or len(given) != len(made)):
        raise InvalidArgumentError(
            f"output_names must be a list of a name for each of the {len(made)} outputs or classes, but it is "
            f"{given!r}."
        )
    return tuple(map(str, made if given is None else given))
