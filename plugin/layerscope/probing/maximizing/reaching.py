"""Runs a model up to one layer: what comes after it is not needed."""

from __future__ import annotations

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
    """Return the output of a layer with its channels in dimension 1, [samples, channels, ...]; the forward stops there.

    Args:
        model: the model, contained by the caller.
        layer: layer key, or ``OUTPUT``.
        args: positional arguments of the model.
        kwargs: keyword arguments.

    Raises:
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: the layer was not executed, or its output has no channels.
    """
    if layer == OUTPUT:
        output = first_float_tensor(model(*args, **kwargs))
        dim = None if output is None or output.ndim < 2 else (1 if output.ndim == 4 else output.ndim - 1)
        return channels_first("", output, dim)
    layouts = Layouts()
    found: list[Tensor] = []

    def on_output(key: str, module: nn.Module, output: Any) -> None:
        tensor = first_float_tensor(output)
        dim = None if tensor is None else layouts.channel_dim(module, tensor.shape)
        if key == layer:
            found.append(channels_first(layer, tensor, dim))
            raise _LayerReached

    try:
        with watched(model, on_output) as executed:
            model(*args, **kwargs)
    except _LayerReached:
        return found[0]
    raise layer_unavailable(model, layer, executed)


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
