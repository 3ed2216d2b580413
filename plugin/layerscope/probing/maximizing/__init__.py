"""Activation maximization: inputs that a unit of a layer responds to most, found by gradient ascent.

``forms.py`` says what kind of input it is, ``parameterizations/`` what it is made of, ``views.py`` how the model is
shown it, ``objectives.py`` what is maximized, ``ascent.py`` how; ``token_ascent.py`` does all of that for models of
tokens. ``top_samples.py`` finds what real samples reach, without which a picture says little.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope.containment import contained, original
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.maximizing.arguments import (
    check_numbers,
    check_of_tokens,
    checked_layer,
    chosen_units,
    goal_of,
)
from layerscope.probing.maximizing.ascent import Ascent, Climbed, reference_tensor
from layerscope.probing.maximizing.forms import Form, form_of
from layerscope.probing.maximizing.objectives import Objective
from layerscope.probing.maximizing.parameterizations import PARAMETERIZATIONS, Parameterization
from layerscope.probing.maximizing.parameterizations.maco import Maco
from layerscope.probing.maximizing.reaching import Rows
from layerscope.probing.maximizing.token_ascent import ClimbedTokens, TokenAscent
from layerscope.probing.maximizing.views import SHIFTED, STILL, Views

__all__ = ["Maximization", "maximize"]

_LEAST_SIDE_TO_TRANSFORM = 32
"""Smaller pictures are looked at as they are, in pixels."""

_LEAST_SIDE_OF_PHOTOGRAPHS = 64
"""Smaller pictures are no photographs, in pixels."""

_TOGETHER = 32
"""How many units climb as one batch, to bound memory."""

_TOKENS = "tokens"
"""Stands for a parameterization where tokens were found."""


@dataclass(frozen=True)
class Maximization:
    """Inputs that maximize units of one layer."""

    layer: str
    """Layer key; "" for the model's own output."""
    channels: tuple[int, ...]
    images: NDArray[np.float32]
    """[channels, height, width, colours] in 0 to 1; of signals [channels, time, variables], of tables [channels,
    features]; of tokens [channels, 0]."""
    objective: NDArray[np.float32]
    """[channels, steps]: the objective before each step, as the model saw the input; NaN for steps for which there was
    no time."""
    reached: NDArray[np.float32]
    """[channels]: the objective of what was found, as it is."""
    modality: str = "image"
    """``image``, ``time_series``, ``table`` or ``text``."""
    tokens: NDArray[np.int64] | None = None
    """[channels, length]: of a model of tokens the real tokens nearest to the embeddings that climbed, else None."""
    coordinates: Tensor | None = None
    """[channels, ...]: where the ascent ended, of tokens those found: ``maximize(start=...)`` goes on from there."""
    parameterization: str = ""
    """What they are coordinates of; ``tokens`` of a model of tokens."""


def maximize(
    model: nn.Module,
    *,
    layer: str | None = None,
    channels: Sequence[int] | int | str,
    objective: str = "channel",
    parameterization: str | None = None,
    input_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    inputs: Any = None,
    steps: int = 64,
    seconds: float | None = None,
    seed: int = 0,
    learning_rate: float | None = None,
    transforms: bool | None = None,
    diversity: float = 0.0,
    position: Sequence[int] | None = None,
    directions: Tensor | None = None,
    photographs: Tensor | None = None,
    time_first: bool | None = None,
    start: Maximization | None = None,
) -> Maximization:
    """Return, for each unit, an input on which its objective is large.

    The model runs in evaluation mode, up to the layer, and is left as it was found. The same seed gives the same
    result, whichever other units are asked for, up to the rounding of batched arithmetic (and, with ``seconds``, as
    far as the machine is as fast). A channel that is 0 on the grey start, as a ReLU's output can be, has no gradient
    there, so its image stays grey: prefer the layer before it.

    Args:
        model: takes a batch of inputs of ``input_shape``, or ``inputs``; a compiled one is run through its original.
        layer: layer key (``conv1``, or ``relu#1`` for the second call); ``""`` is the model's own output, which is the
            default for the objective ``logit``. A unit of a linear layer is a channel.
        channels: numbers of units, ``"all"``, or how many of the first (all, if the layer has fewer). A number that
            comes again starts elsewhere: with ``diversity`` it shows other facets of one unit.
        objective: ``channel``, its mean over the positions; ``neuron``, a channel at one position; ``logit``, a channel
            of the model's output; ``direction``, the mean product with ``directions``; ``layer``, the mean square of
            the layer (``channels=1``). Sources in ``objectives.py``.
        parameterization: ``fourier`` (Olah et al. 2017), which reaches most; ``maco`` (Fel et al. 2023), the magnitudes
            of photographs, which is recognized best; ``pixel`` (Erhan et al. 2009), inputs of one norm. None takes
            ``maco`` for images of 64 pixels and more if the layer has no positions (classes), ``pixel`` for tables,
            else ``fourier``.
        input_shape: of one sample: (colours, height, width); (variables, time) or (time, variables); (features,). None
            takes the input channels of the model's first 2-D convolution, at 128 x 128 pixels.
        value_range: the inputs of the model that 0 and 1 stand for.
        inputs: for a model of tokens: arguments that hold integers [samples, length], whose first sample tells the
            length and what else the model is given. The embeddings climb, and real tokens nearest to them are found
            (Wen et al. 2023, see ``token_ascent.py``).
        steps: steps of ascent.
        seconds: stop in time for this, with fewer steps, but at least one for each 32 units; None takes them all.
        seed: of the start and the transforms; the process's random states are not touched.
        learning_rate: at the first step, from which it falls along a cosine; None takes the parameterization's own. Of
            tokens how far each position moves in a step, in lengths of an embedding; None takes 1.
        transforms: show the model the input moved a little (``maco``: cropped and with noise), anew in each step. None
            does so for images of at least 32 pixels a side and for signals of at least 32 steps: of smaller ones the
            resampling would blur away what a pixel says.
        diversity: how much pictures of one unit are kept apart, 0 to about 1, as a share of the objective.
        position: for ``neuron``; None is the middle.
        directions: [directions, channels of the layer], for ``direction``; ``channels`` are their numbers.
        photographs: [samples, colours, height, width] in ``value_range``: for ``maco``, whose magnitudes to take. None
            takes those of six photographs.
        time_first: of a signal, that the model takes [batch, time, variables]; None infers it.
        start: an earlier result, from which the same units go on; one of another layer, size or parameterization does
            not count.

    Raises:
        InvalidArgumentError: the input shape cannot be inferred, or an argument breaks its rule.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: the layer was not executed, does not depend on the input, or gave infinities or NaN; or the
            model fails on an image of the inferred shape.
    """
    model = original(model)
    check_numbers(steps, value_range, learning_rate, diversity, seconds)
    key = checked_layer(layer, objective)
    goal = goal_of(objective, position, directions)
    until = math.inf if seconds is None else time.monotonic() + seconds
    if inputs is not None:
        check_of_tokens(
            {
                "parameterization": parameterization,
                "input_shape": input_shape,
                "transforms": transforms,
                "diversity": diversity,
                "photographs": photographs,
                "time_first": time_first,
            }
        )
        with contained(model, frozen=True):
            ascent = TokenAscent(key, goal, inputs, steps, seed, learning_rate)
            chosen = chosen_units(channels, ascent.available_units(model), key)
            begun = _begun(start, key, _TOKENS, chosen, (ascent.length,))
            found = [ascent.climb(model, *group) for group in _groups(chosen, begun, until)]
        return _of_tokens(key, chosen, found)
    form = form_of(model, input_shape, value_range, time_first)
    with contained(model, frozen=True):
        seen = _seen(model, key, goal, form, inferred=input_shape is None)
        chosen = chosen_units(channels, seen.available, key)
        name = _parameterization(parameterization, form, photographs, flat=seen.flat)
        coordinates = _made(name, form, photographs, reference_tensor(model).device)
        ascent = Ascent(
            key,
            goal,
            form,
            coordinates,
            _views(coordinates, form, transforms),
            steps,
            seed,
            coordinates.learning_rate if learning_rate is None else learning_rate,
            diversity,
            seen.channels_last,
            seen.rows,
        )
        begun = _begun(start, key, name, chosen, tuple(coordinates.start(torch.Generator()).shape))
        climbed = [ascent.climb(model, *group) for group in _groups(chosen, begun, until)]
    return _result(key, chosen, form, name, climbed)


def _groups(
    chosen: Sequence[int], begun: Sequence[Tensor | None], until: float
) -> Iterator[tuple[Sequence[int], Sequence[Tensor | None], float]]:
    """Yield (units, where they begin, when to stop) of those that climb as one batch, each as the time has come."""
    starts = range(0, len(chosen), _TOGETHER)
    for done, at in enumerate(starts):
        now = time.monotonic()
        together = slice(at, at + _TOGETHER)
        yield chosen[together], begun[together], now + (until - now) / (len(starts) - done)


class _Seen(NamedTuple):
    """What one picture tells of a layer."""

    available: int
    """How many units there are."""
    flat: bool
    """Whether it has no positions."""
    channels_last: bool
    """Whether to lay images out channels last: convolutions on a CPU are a third faster, but ``view`` may refuse it."""
    rows: Rows


def _seen(model: nn.Module, layer: str, goal: Objective, form: Form, *, inferred: bool) -> _Seen:
    failure: RuntimeError | TypeError | None = None
    for channels_last in (True, False) if form.modality == "image" else (False,):
        probe = Ascent(
            layer, goal, form, _made("pixel", form, None, torch.device("cpu")), STILL, 1, 0, 1, 0, channels_last, Rows()
        )
        try:
            output, rows = probe.of_grey(model)
        except (RuntimeError, TypeError) as error:
            failure = error
        else:
            return _Seen(goal.available(output), output.ndim == 2, channels_last, rows)
    assert failure is not None
    if isinstance(failure, TypeError):
        raise CaptureError(
            f"activation maximization of layer {layer!r} was asked for, but the model fails on one input: "
            f"{str(failure).rstrip('.')}. Of a model of several inputs maximize a module that takes one of them, or "
            "wrap the model in one that holds the others."
        ) from failure
    if not inferred:
        raise failure
    raise CaptureError(
        f"the shape of the images was inferred as {form.sample}, but the model fails on one: "
        f"{str(failure).rstrip('.')}. Give input_shape=(colours, height, width); a Scope knows it after graph(x)."
    ) from failure


def _parameterization(name: str | None, form: Form, photographs: Tensor | None, *, flat: bool) -> str:
    if name is None and photographs is not None:
        name = "maco"
    if name is None:
        if form.modality == "table":
            return "pixel"
        large = form.modality == "image" and min(form.sample[1:]) >= _LEAST_SIDE_OF_PHOTOGRAPHS
        return "maco" if flat and large else "fourier"
    if name not in PARAMETERIZATIONS:
        raise InvalidArgumentError(
            f"parameterization {name!r} was given, but there are {', '.join(PARAMETERIZATIONS)}."
        )
    if photographs is not None and name != "maco":
        raise InvalidArgumentError(f"photographs belong to the parameterization 'maco', but it is {name!r}.")
    if form.modality == "table" and name != "pixel":
        raise InvalidArgumentError(f"rows of a table have no spectrum, so {name!r} is not for them; 'pixel' is.")
    return name


def _made(name: str, form: Form, photographs: Tensor | None, device: torch.device) -> Parameterization:
    if photographs is None:
        return PARAMETERIZATIONS[name](form.shape, device)
    given = list(photographs.shape)
    if len(given) != 4 or given[1] != form.shape[0] or not photographs.numel() or form.modality != "image":
        raise InvalidArgumentError(
            f"photographs must be [samples, {form.shape[0]}, height, width], as the images are, but they are {given}."
        )
    low, high = form.value_range
    least, most = photographs.min().item(), photographs.max().item()
    if not low - (high - low) <= least <= most <= high + (high - low):
        raise InvalidArgumentError(
            f"photographs must be in value_range, {low:g} to {high:g}, as the model is given them, but they go from "
            f"{least:g} to {most:g}."
        )
    return Maco(form.shape, device, (photographs.detach() - low) / (high - low))


def _views(coordinates: Parameterization, form: Form, transforms: bool | None) -> Views:
    if form.modality == "table":
        return STILL
    least = min(form.sample[1:]) if form.modality == "image" else form.shape[2]
    if not (least >= _LEAST_SIDE_TO_TRANSFORM if transforms is None else transforms):
        return STILL
    return coordinates.views if form.modality == "image" else SHIFTED


def _begun(
    start: Maximization | None, layer: str, name: str, chosen: Sequence[int], shape: tuple[int, ...]
) -> list[Tensor | None]:
    """Return for each unit the coordinates of that shape from which it goes on, or None."""
    earlier: defaultdict[int, list[Tensor]] = defaultdict(list)
    if start is not None and start.coordinates is not None:
        alike = (start.layer, start.parameterization, start.coordinates.shape[1:]) == (layer, name, shape)
        for channel, coordinates in zip(start.channels, start.coordinates, strict=True) if alike else ():
            earlier[channel].append(coordinates)
    return [earlier[unit].pop(0) if earlier[unit] else None for unit in chosen]


def _result(layer: str, chosen: list[int], form: Form, name: str, climbed: list[Climbed]) -> Maximization:
    images = form.found(torch.cat([part.pictures for part in climbed]))
    reached = torch.cat([part.reached for part in climbed]).numpy()
    taken = torch.cat([part.objective.flatten() for part in climbed]).numpy()
    if not (np.isfinite(images).all() and np.isfinite(taken).all() and np.isfinite(reached).all()):
        raise CaptureError(
            f"activation maximization of layer {layer!r} was asked for, but on what it found the layer gave infinities "
            "or NaN. Look at the model's parameters: training may have diverged."
        )
    return Maximization(
        layer,
        tuple(chosen),
        images,
        _padded([part.objective for part in climbed]),
        reached,
        form.modality,
        coordinates=torch.cat([part.coordinates for part in climbed]),
        parameterization=name,
    )


def _padded(objectives: Sequence[Tensor]) -> NDArray[np.float32]:
    """Return [units, steps] of groups of units, with NaN for the steps for which a group had no time."""
    steps = max(len(objective[0]) for objective in objectives)
    pad = torch.nn.functional.pad
    return torch.cat([pad(one, (0, steps - one.shape[1]), value=math.nan) for one in objectives]).numpy()


def _of_tokens(layer: str, chosen: list[int], found: Sequence[ClimbedTokens]) -> Maximization:
    tokens = torch.cat([part.tokens for part in found])
    return Maximization(
        layer,
        tuple(chosen),
        np.zeros((len(chosen), 0), np.float32),
        _padded([part.objective for part in found]),
        torch.cat([part.reached for part in found]).numpy(),
        "text",
        tokens.numpy(),
        coordinates=tokens,
        parameterization=_TOKENS,
    )
