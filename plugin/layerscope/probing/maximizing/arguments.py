"""Checks what ``maximize`` was asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.maximizing.objectives import OBJECTIVES, Direction, Neuron, Objective
from layerscope.probing.maximizing.reaching import OUTPUT


def check_numbers(
    steps: int, value_range: Any, learning_rate: float | None, diversity: float, seconds: float | None
) -> None:
    """Raise if one of the numbers breaks its rule.

    Raises:
        InvalidArgumentError: naming all rules, and what was given.
    """
    ends = tuple(value_range) if isinstance(value_range, Sequence) else ()
    sound = (
        isinstance(steps, Integral)
        and steps >= 1
        and len(ends) == 2
        and all(isinstance(end, Real) and math.isfinite(end) for end in ends)
        and ends[0] < ends[1]
        and (learning_rate is None or 0 < learning_rate < math.inf)
        and 0 <= diversity < math.inf
        and (seconds is None or seconds >= 0)
    )
    if not sound:
        raise InvalidArgumentError(
            "steps must be an integer of at least 1, value_range two finite numbers, the smaller first, learning_rate "
            "positive, diversity and seconds not negative, but they are "
            f"{steps}, {value_range}, {learning_rate}, {diversity} and {seconds}."
        )


def check_of_tokens(options: Mapping[str, Any]) -> None:
    """Raise if an option was given that says nothing of tokens.

    Args:
        options: name -> value; None, 0 and False mean that it was not given.

    Raises:
        InvalidArgumentError: naming them.
    """
    given = [name for name, value in options.items() if value is not None and value is not False and value != 0]
    if given:
        raise InvalidArgumentError(
            f"inputs were given, for a model of tokens, and {', '.join(given)}, which say nothing of tokens. Leave one "
            "or the other out."
        )


def checked_layer(layer: str | None, objective: str) -> str:
    """Return the layer key that is meant.

    Raises:
        InvalidArgumentError: none was given.
    """
    if layer is None and objective != "logit":
        raise InvalidArgumentError('a layer is needed: its layer key, or "" for the output of the model.')
    return OUTPUT if layer is None else layer


def goal_of(name: str, position: Sequence[int] | None = None, directions: Tensor | None = None) -> Objective:
    """Return the objective of that name.

    Raises:
        InvalidArgumentError: there is none, or an option belongs to another.
    """
    if name not in OBJECTIVES:
        raise InvalidArgumentError(f"objective {name!r} was given, but there are {', '.join(OBJECTIVES)}.")
    if (directions is not None) != (name == "direction") or (position is not None and name != "neuron"):
        raise InvalidArgumentError(
            f"directions belong to the objective 'direction' and position to 'neuron', but the objective is {name!r}."
        )
    if name == "direction" and directions is not None:
        return Direction(directions)
    return Neuron(position) if name == "neuron" else OBJECTIVES[name]()


def chosen_units(channels: Sequence[int] | int | str, available: int, layer: str) -> list[int]:
    """Return the numbers of the units that ``channels`` means, of ``available`` ones.

    Raises:
        InvalidArgumentError: none, one that does not exist, an unknown word, or no number.
    """
    if channels == "all":
        return list(range(available))
    many = isinstance(channels, Integral)
    listed: Any = channels if hasattr(channels, "__iter__") else [channels]
    if isinstance(channels, str) or not all(isinstance(one, Integral) for one in listed):
        raise InvalidArgumentError(f'channels must be "all", a number or a list of numbers, not {channels!r}.')
    chosen = list(range(min(int(listed[0]), available))) if many else [int(one) for one in listed]
    outside = [channel for channel in chosen if not 0 <= channel < available]
    if outside or not chosen:
        raise InvalidArgumentError(
            f"channels of layer {layer!r} go from 0 to {available - 1}, since it has {available}, but "
            f"{outside[0] if outside else 'none'} was asked for. Choose at least one of them."
        )
    return chosen
