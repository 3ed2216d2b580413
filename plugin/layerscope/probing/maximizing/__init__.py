"""Activation maximization: inputs that a unit of a layer responds to most, found by gradient ascent.

``forms.py`` says what kind of input it is, ``parameterizations/`` what it is made of, ``views.py`` how the model is
shown it, ``objectives.py`` what is maximized, ``ascent.py`` how; ``token_ascent.py`` does all of that for models of
tokens. ``top_samples.py`` finds what real samples reach, without which a picture says little.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope.containment import contained, original
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.maximizing.ascent import Ascent, Climbed, reference_tensor
from layerscope.probing.maximizing.forms import Form, form_of
from layerscope.probing.maximizing.objectives import OBJECTIVES, Direction, Neuron, Objective
from layerscope.probing.maximizing.parameterizations import PARAMETERIZATIONS, Parameterization
from layerscope.probing.maximizing.parameterizations.maco import Maco
from layerscope.probing.maximizing.reaching import OUTPUT
from layerscope.probing.maximizing.token_ascent import TokenAscent
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
    low, high = value_range
    if steps < 1 or not low < high or not (learning_rate is None or learning_rate > 0):
        raise InvalidArgumentError(
            "steps must be at least 1, value_range ascending and learning_rate positive, but they are "
            f"{steps}, {value_range} and {learning_rate}."
        )
    key = _checked_layer(layer, objective)
    goal = _goal(objective, position, directions)
    until = math.inf if seconds is None else time.monotonic() + seconds
    if inputs is not None:
        with contained(model, frozen=True):
            ascent = TokenAscent(key, goal, inputs, steps, seed, learning_rate)
            chosen = chosen_units(channels, ascent.available_units(model), key)
            begun = _begun(start, key, _TOKENS, chosen, (ascent.length,))
            return _of_tokens(key, chosen, *ascent.climb(model, chosen, begun, until))
    form = form_of(model, input_shape, value_range, time_first)
    with contained(model, frozen=True):
        flat, available, channels_last = _seen(model, key, goal, form, inferred=input_shape is None)
        chosen = chosen_units(channels, available, key)
        name = _parameterization(parameterization, form, flat=flat)
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
            channels_last,
        )
        begun = _begun(start, key, name, chosen, tuple(coordinates.start(torch.Generator()).shape))
        groups = range(0, len(chosen), _TOGETHER)
        climbed: list[Climbed] = []
        for done, at in enumerate(groups):
            now = time.monotonic()
            share = now + (until - now) / (len(groups) - done)
            together = slice(at, at + _TOGETHER)
            climbed.append(ascent.climb(model, chosen[together], begun[together], share))
    return _result(key, chosen, form, name, climbed)


def _checked_layer(layer: str | None, objective: str) -> str:
    if layer is None and objective != "logit":
        raise InvalidArgumentError('a layer is needed: its layer key, or "" for the output of the model.')
    return OUTPUT if layer is None else layer


def _goal(name: str, position: Sequence[int] | None, directions: Tensor | None) -> Objective:
    if name not in OBJECTIVES:
        raise InvalidArgumentError(f"objective {name!r} was given, but there are {', '.join(OBJECTIVES)}.")
    if (directions is not None) != (name == "direction") or (position is not None and name != "neuron"):
        raise InvalidArgumentError(
            f"directions belong to the objective 'direction' and position to 'neuron', but the objective is {name!r}."
        )
    if name == "direction" and directions is not None:
        return Direction(directions)
    return Neuron(position) if name == "neuron" else OBJECTIVES[name]()


def _seen(model: nn.Module, layer: str, goal: Objective, form: Form, *, inferred: bool) -> tuple[bool, int, bool]:
    """Return (whether the layer has no positions, how many units there are, whether to lay images out channels last).

    That layout makes convolutions on a CPU a third faster, but a model that says ``view`` may refuse it.
    """
    failure: RuntimeError | None = None
    for channels_last in (True, False) if form.modality == "image" else (False,):
        probe = Ascent(
            layer, goal, form, _made("pixel", form, None, torch.device("cpu")), STILL, 1, 0, 1, 0, channels_last
        )
        try:
            output = probe.of_grey(model)
        except RuntimeError as error:
            failure = error
        else:
            return output.ndim == 2, goal.available(output), channels_last
    assert failure is not None
    if not inferred:
        raise failure
    raise CaptureError(
        f"the shape of the images was inferred as {form.sample}, but the model fails on one: "
        f"{str(failure).rstrip('.')}. Give input_shape=(colours, height, width); a Scope knows it after graph(x)."
    ) from failure


def _parameterization(name: str | None, form: Form, *, flat: bool) -> str:
    if name is None:
        if form.modality == "table":
            return "pixel"
        large = form.modality == "image" and min(form.sample[1:]) >= _LEAST_SIDE_OF_PHOTOGRAPHS
        return "maco" if flat and large else "fourier"
    if name not in PARAMETERIZATIONS:
        raise InvalidArgumentError(
            f"parameterization {name!r} was given, but there are {', '.join(PARAMETERIZATIONS)}."
        )
    if form.modality == "table" and name != "pixel":
        raise InvalidArgumentError(f"rows of a table have no spectrum, so {name!r} is not for them; 'pixel' is.")
    return name


def _made(name: str, form: Form, photographs: Tensor | None, device: torch.device) -> Parameterization:
    if photographs is None or name != "maco":
        return PARAMETERIZATIONS[name](form.shape, device)
    if photographs.ndim != 4 or photographs.shape[1] != form.shape[0] or form.modality != "image":
        raise InvalidArgumentError(
            f"photographs must be [samples, {form.shape[0]}, height, width], as the images are, but they are "
            f"{list(photographs.shape)}."
        )
    low, high = form.value_range
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
    steps = max(part.objective.shape[1] for part in climbed)
    padded = [
        torch.nn.functional.pad(part.objective, (0, steps - part.objective.shape[1]), value=math.nan)
        for part in climbed
    ]
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
        torch.cat(padded).numpy(),
        reached,
        form.modality,
        coordinates=torch.cat([part.coordinates for part in climbed]),
        parameterization=name,
    )


def _of_tokens(layer: str, chosen: list[int], tokens: Tensor, objective: Tensor, reached: Tensor) -> Maximization:
    return Maximization(
        layer,
        tuple(chosen),
        np.zeros((len(chosen), 0), np.float32),
        objective.numpy(),
        reached.numpy(),
        "text",
        tokens.numpy(),
        coordinates=tokens,
        parameterization=_TOKENS,
    )


def chosen_units(channels: Sequence[int] | int | str, available: int, layer: str) -> list[int]:
    """Return the numbers of the units that ``channels`` means, of ``available`` ones.

    Raises:
        InvalidArgumentError: none, one that does not exist, or an unknown word.
    """
    if isinstance(channels, str):
        if channels != "all":
            raise InvalidArgumentError(f'channels must be "all", a number or a list of numbers, not {channels!r}.')
        return list(range(available))
    chosen = list(range(min(channels, available))) if isinstance(channels, int) else [int(c) for c in channels]
    outside = [channel for channel in chosen if not 0 <= channel < available]
    if outside or not chosen:
        raise InvalidArgumentError(
            f"channels of layer {layer!r} go from 0 to {available - 1}, since it has {available}, but "
            f"{outside[0] if outside else 'none'} was asked for. Choose at least one of them."
        )
    return chosen
