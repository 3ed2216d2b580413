"""Runs a model up to some layers: what comes after the last of them is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from layerscope.errors import CaptureError
from layerscope.probing.calls import first_float_tensor, layer_unavailable, watched
from layerscope.probing.layout import Layouts

OUTPUT = ""
"""Stands for the model's own output among layer keys."""


class _LayerReached(BaseException):  # no Exception: a model that catches those must not catch this one
    """Ends a forward pass at the layer."""


def layer_output(model: nn.Module, layer: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Return the output of one layer, as ``layer_outputs`` does."""
    return layer_outputs(model, [layer], args, kwargs)[layer]


def layer_outputs(
    model: nn.Module, layers: Sequence[str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Tensor]:
    """Return the outputs of layers with their channels in dimension 1, [samples, channels, ...].

    The forward stops when the last of them has been reached.

    Args:
        model: the model, contained by the caller.
        layers: layer keys, or ``OUTPUT``.
        args: positional arguments of the model.
        kwargs: keyword arguments.

    Raises:
        LayerNotFoundError: the model has no layer of a key.
        CaptureError: a layer was not executed, or its output has no channels.
    """
    layouts = Layouts()
    wanted = set(layers)
    found: dict[str, Tensor] = {}

    def on_output(key: str, module: nn.Module, output: Any) -> None:
        tensor = first_float_tensor(output)
        dim = None if tensor is None else layouts.channel_dim(module, tensor.shape)
        if key in wanted:
            output = channels_first(key, tensor, dim)
            if len(found) + 1 == len(wanted):
                found[key] = output
                raise _LayerReached
            found[key] = output.clone()  # what comes next may change it in place

    executed: list[str] = []
    try:
        with watched(model, on_output) as executed:
            output = first_float_tensor(model(*args, **kwargs))
    except _LayerReached:
        return found
    if OUTPUT in wanted:
        dim = None if output is None or output.ndim < 2 else (1 if output.ndim == 4 else output.ndim - 1)
        found[OUTPUT] = channels_first(OUTPUT, output, dim)
    missing = [layer for layer in layers if layer not in found]
    if missing:
        raise layer_unavailable(model, missing[0], executed)
    return found


def channels_first(layer: str, output: Tensor | None, dim: int | None) -> Tensor:
    """Return an output with its channels, dimension ``dim``, in dimension 1.

    Raises:
        CaptureError: there is no output, or it has no channels.
    """
    if output is None or dim is None:
        whose = f"layer {layer!r}" if layer else "the model"
        given = "holds no floating-point tensor" if output is None else f"is {list(output.shape)}"
        raise CaptureError(
            f"activation maximization of {whose} was asked for, but its output {given}; it must have dimensions "
            "[batch, channels, ...] or [batch, ..., features]. Choose another layer."
        )
    return output.movedim(dim, 1)
