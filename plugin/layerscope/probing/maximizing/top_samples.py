"""What real samples reach: the yardstick beside an image that was made up."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from layerscope.containment import contained, original
from layerscope.probing.calls import copied_arguments, input_tensors
from layerscope.probing.maximizing.objectives import Channel, Objective
from layerscope.probing.maximizing.reaching import Rows, layer_outputs
from layerscope.probing.pooling import chunks
from layerscope.probing.representation import batch_size
from layerscope.wire import TopSample

_MASS = 0.9
"""Which share of the gradient's magnitude the box holds, along each side."""

_SAMPLES_OF_FIELD = 2
"""On how many samples the size of the receptive field is measured."""

_SAMPLES_AT_ONCE = 16


def top_samples(
    model: nn.Module,
    inputs: Any,
    layers: Mapping[str, Sequence[int]],
    *,
    objective: Objective | None = None,
    count: int = 4,
    seconds: float | None = None,
) -> dict[str, tuple[tuple[TopSample, ...], ...]]:
    """Return, for each unit of some layers, the samples on which its objective is largest, and where in them.

    Where: the box around the position at which the unit is strongest, as large as the layer's effective receptive
    field (Luo et al. 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks"), which
    is measured once for each layer: along each side it holds 90 % of the magnitude of the gradient that the position in
    the middle, its channels weighted at random, has with respect to an image. Layers without positions, and inputs that
    are no image, have no box.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: real samples: a tensor, a tuple (positional arguments) or a mapping (keyword arguments), batch first.
        layers: layer key (or ``""``, the model's output) -> numbers of its units.
        objective: as in ``maximize``; None is the mean of the channel.
        count: how many samples of each unit, fewer if there are not as many.
        seconds: how long it may take: then only the first samples are looked at, one forward pass of up to 16 at least.
            None takes all.

    Returns:
        Layer key -> for each unit its samples, the largest objective first, of equal ones the first; those on which it
        is NaN or infinite are left out.

    Raises:
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer was not executed, or has no channels or no output for each sample.
    """
    model = original(model)
    goal = Channel() if objective is None else objective
    until = math.inf if seconds is None else time.monotonic() + seconds
    units = {layer: torch.tensor(tuple(numbers)) for layer, numbers in layers.items()}
    found: dict[str, tuple[tuple[TopSample, ...], ...]] = {}
    with contained(model, frozen=True):
        rows = _rows(model, inputs, list(units))
        fields = _receptive_fields(model, inputs, rows)
        parts: dict[str, list[_Seen]] = {layer: [] for layer in units}
        for chunk in chunks(inputs, _SAMPLES_AT_ONCE):
            for layer, seen in _seen(model, chunk, units, goal, rows).items():
                parts[layer].append(seen)
            if time.monotonic() > until:
                break
        for layer, numbers in units.items():
            seen = _Seen.of(parts[layer])
            found[layer] = tuple(_best(seen, column, fields.get(layer), count) for column in range(len(numbers)))
    return found


@dataclass(frozen=True)
class _Seen:
    """What some units of a layer made of the samples."""

    values: Tensor
    """[samples, units]."""
    places: Tensor | None
    """[samples, units, 2]: where each is strongest, 0 to 1 down and across; None without positions in a plane."""

    @staticmethod
    def of(parts: Sequence[_Seen]) -> _Seen:
        """Return what was made of all samples, given that of parts of them."""
        places = [part.places for part in parts if part.places is not None]
        together = torch.cat(places) if len(places) == len(parts) else None
        return _Seen(torch.cat([part.values for part in parts]), together)


def _rows(model: nn.Module, inputs: Any, layers: Sequence[str]) -> dict[str, Rows]:
    """Return layer -> where the samples are in its output."""
    size = batch_size(inputs)

    def first(count: int) -> dict[str, Tensor]:
        def copy(tensor: Tensor) -> Tensor:
            of_batch = tensor.ndim > 0 and len(tensor) == size
            return (tensor[[i % size for i in range(count)]] if of_batch else tensor).detach().clone()

        with torch.no_grad():
            return layer_outputs(model, layers, *copied_arguments(inputs, copy))

    one, two = first(1), first(2)
    return {layer: Rows() if len(one[layer]) == 1 else Rows.of(layer, one[layer], two[layer]) for layer in layers}


def _seen(
    model: nn.Module, chunk: Any, units: Mapping[str, Tensor], goal: Objective, rows: Mapping[str, Rows]
) -> dict[str, _Seen]:
    """Return what the units of each layer made of some samples, from one forward pass."""
    with torch.no_grad():
        outputs = layer_outputs(model, list(units), *copied_arguments(chunk))
    size = batch_size(chunk)
    found: dict[str, _Seen] = {}
    for layer, numbers in units.items():
        output = rows[layer].by_sample(layer, outputs[layer], size)
        chosen = numbers.to(output.device)
        planes = output.ndim == 4 and isinstance(goal, Channel) and _image(chunk) is not None
        places = _strongest(output[:, chosen]).cpu() if planes else None
        found[layer] = _Seen(goal.each(output)[:, chosen].float().cpu(), places)
    return found


def _strongest(output: Tensor) -> Tensor:
    """Return where each channel is largest, [samples, channels, 2] in 0 to 1, down and across."""
    height, width = output.shape[2:]
    flat = output.flatten(2).float().nan_to_num(nan=-torch.inf).argmax(2)
    down, across = flat // width, flat % width
    return torch.stack([(down + 0.5) / height, (across + 0.5) / width], 2)


def _image(inputs: Any) -> Tensor | None:
    """Return the first input that is an image, [samples, colours, height, width]."""
    return next((t for t in input_tensors(inputs) if t.ndim == 4 and t.is_floating_point()), None)


def _receptive_fields(model: nn.Module, inputs: Any, rows: Mapping[str, Rows]) -> dict[str, tuple[float, float]]:
    """Return layer -> height and width of its effective receptive field, as shares of the image's; of an image only."""
    image = _image(inputs)
    if image is None:
        return {}
    held: list[Tensor] = []

    def copy(tensor: Tensor) -> Tensor:
        of_batch = tensor.ndim > 0 and tensor.shape[0] == image.shape[0]
        value = (tensor[:_SAMPLES_OF_FIELD] if of_batch else tensor).detach().clone()
        if tensor is not image:
            return value
        held.append(value.requires_grad_())
        return held[0].clone()

    outputs = layer_outputs(model, list(rows), *copied_arguments(inputs, copy))
    fields: dict[str, tuple[float, float]] = {}
    for layer in outputs:
        output = rows[layer].by_sample(layer, outputs[layer], len(held[0]))
        if output.ndim == 4:
            middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
            # At random: equal weights see nothing of normalized channels, and squares nothing of one that is 0.
            weights = torch.randn(middle.shape[1], generator=torch.Generator().manual_seed(0)).to(middle)
            fields[layer] = _extents((middle * weights).sum(), held[0])
    return fields


def _extents(strength: Tensor, image: Tensor) -> tuple[float, float]:
    """Return the shares of height and width over which ``strength`` depends on ``image``."""
    if not strength.requires_grad:
        return 1.0, 1.0
    (gradient,) = torch.autograd.grad(strength, image, retain_graph=True)
    mass = gradient.abs().double().sum((0, 1)).nan_to_num()
    return _extent(mass.sum(1)), _extent(mass.sum(0))


def _extent(mass: Tensor) -> float:
    """Return the share of a side that holds ``_MASS`` of the mass, without its ends."""
    total = mass.sum()
    if not total > 0:
        return 1.0
    cumulative = mass.cumsum(0) / total
    tail = (1 - _MASS) / 2
    first, last = (cumulative < tail).sum().item(), (cumulative < 1 - tail).sum().item()
    return (last - first + 1) / len(mass)


def _best(seen: _Seen, column: int, field: tuple[float, float] | None, count: int) -> tuple[TopSample, ...]:
    values = seen.values[:, column]
    finite = values.isfinite().nonzero()[:, 0]
    order = finite[values[finite].argsort(descending=True, stable=True)]
    found: list[TopSample] = []
    for sample in order[:count].tolist():
        box: tuple[float, float, float, float] | None = None
        if seen.places is not None and field is not None:
            down, across = seen.places[sample, column].tolist()
            box = (*_within(down, field[0]), *_within(across, field[1]))
        found.append(TopSample(sample, values[sample].item(), box))
    return tuple(found)


def _within(middle: float, extent: float) -> tuple[float, float]:
    """Return the ends of a stretch around ``middle``, cut off at 0 and 1."""
    return max(0.0, middle - extent / 2), min(1.0, middle + extent / 2)
