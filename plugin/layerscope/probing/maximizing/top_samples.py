"""What real samples reach: the yardstick beside an image that was made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from layerscope.containment import contained, original
from layerscope.errors import CaptureError
from layerscope.probing.calls import copied_arguments, input_tensors
from layerscope.probing.maximizing.objectives import Channel, Objective
from layerscope.probing.maximizing.reaching import layer_output
from layerscope.probing.pooling import chunks
from layerscope.wire import TopSample

_MASS = 0.9
"""Which share of the gradient's magnitude the box holds, along each side."""

_SAMPLES_OF_FIELD = 2
"""Over how many samples the size of the receptive field is averaged."""

_SAMPLES_AT_ONCE = 32


def top_samples(
    model: nn.Module,
    inputs: Any,
    layers: Mapping[str, Sequence[int]],
    *,
    objective: Objective | None = None,
    count: int = 4,
) -> dict[str, tuple[tuple[TopSample, ...], ...]]:
    """Return, for each unit of some layers, the samples on which its objective is largest, and where in them.

    Where: the box around the position at which the unit is strongest, as large as the layer's effective receptive
    field (Luo et al. 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks"), which
    is measured once for each layer: along each side it holds 90 % of the magnitude of the gradient that the position in
    the middle has with respect to an image. Layers without positions, and inputs that are no image, have no box.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: real samples: a tensor, a tuple (positional arguments) or a mapping (keyword arguments), batch first.
        layers: layer key (or ``""``, the model's output) -> numbers of its units.
        objective: as in ``maximize``; None is the mean of the channel.
        count: how many samples of each unit, fewer if there are not as many.

    Returns:
        Layer key -> for each unit its samples, the largest objective first, of equal ones the first; those on which it
        is NaN or infinite are left out.

    Raises:
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer was not executed, or has no channels or no output for each sample.
    """
    model = original(model)
    goal = Channel() if objective is None else objective
    found: dict[str, tuple[tuple[TopSample, ...], ...]] = {}
    with contained(model, frozen=True):
        for layer, units in layers.items():
            seen = _seen(model, inputs, layer, goal, torch.tensor(tuple(units)))
            field = _receptive_field(model, inputs, layer) if seen.places is not None else None
            found[layer] = tuple(_best(seen, column, field, count) for column in range(len(units)))
    return found


@dataclass(frozen=True)
class _Seen:
    """What some units of a layer made of the samples."""

    values: Tensor
    """[samples, units]."""
    places: Tensor | None
    """[samples, units, 2]: where each is strongest, 0 to 1 down and across; None without positions in a plane."""


def _seen(model: nn.Module, inputs: Any, layer: str, goal: Objective, units: Tensor) -> _Seen:
    values: list[Tensor] = []
    places: list[Tensor] = []
    for chunk in chunks(inputs, _SAMPLES_AT_ONCE):
        with torch.no_grad():
            output = layer_output(model, layer, *copied_arguments(chunk))
        size = len(next(tensor for tensor in input_tensors(chunk) if tensor.ndim))
        if len(output) != size:
            raise CaptureError(
                f"samples that excite layer {layer!r} were asked for, but its output is {list(output.shape)} for "
                f"{size} samples: it has no row for each. Choose another layer."
            )
        values.append(goal.each(output)[:, units.to(output.device)].float().cpu())
        if output.ndim == 4 and isinstance(goal, Channel):
            places.append(_strongest(output[:, units.to(output.device)]).cpu())
    planes = len(places) == len(values) and _image(inputs) is not None
    return _Seen(torch.cat(values), torch.cat(places) if planes else None)


def _strongest(output: Tensor) -> Tensor:
    """Return where each channel is largest, [samples, channels, 2] in 0 to 1, down and across."""
    height, width = output.shape[2:]
    flat = output.flatten(2).float().nan_to_num(nan=-torch.inf).argmax(2)
    down, across = flat // width, flat % width
    return torch.stack([(down + 0.5) / height, (across + 0.5) / width], 2)


def _image(inputs: Any) -> Tensor | None:
    """Return the first input that is an image, [samples, colours, height, width]."""
    return next((t for t in input_tensors(inputs) if t.ndim == 4 and t.is_floating_point()), None)


def _receptive_field(model: nn.Module, inputs: Any, layer: str) -> tuple[float, float]:
    """Return the height and width of a layer's effective receptive field, as shares of the image's."""
    image = _image(inputs)
    assert image is not None
    held: list[Tensor] = []

    def copy(tensor: Tensor) -> Tensor:
        of_batch = tensor.ndim > 0 and tensor.shape[0] == image.shape[0]
        value = (tensor[:_SAMPLES_OF_FIELD] if of_batch else tensor).detach().clone()
        if tensor is not image:
            return value
        held.append(value.requires_grad_())
        return held[0].clone()

    output = layer_output(model, layer, *copied_arguments(inputs, copy))
    if not output.requires_grad:
        return 1.0, 1.0
    middle = output[:, :, output.shape[2] // 2, output.shape[3] // 2]
    (gradient,) = torch.autograd.grad(middle.square().sum(), held[0])
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
