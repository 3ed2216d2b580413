"""What activation maximization maximizes: the mean of a channel over its positions."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from layerscope.errors import CaptureError
from layerscope.probing.calls import first_float_tensor, layer_unavailable, watched
from layerscope.probing.layout import Layouts


class _LayerReached(BaseException):  # no Exception: a model that catches those must not catch this one
    """Ends a forward pass at the layer: what comes after it is not needed."""


def channel_means(model: nn.Module, layer: str, images: Tensor) -> Tensor:
    """Return the mean of every channel of a layer over its positions, [images, channels]; the forward stops there.

    Args:
        model: the model, contained by the caller.
        layer: layer key.
        images: what the model is called with.

    Raises:
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: the layer was not executed, or its output has no channels.
    """
    layouts = Layouts()
    means: list[Tensor] = []

    def on_output(key: str, module: nn.Module, output: Any) -> None:
        tensor = first_float_tensor(output)
        channels = None if tensor is None else layouts.channel_dim(module, tensor.shape)
        if key != layer:
            return
        if tensor is None or channels is None:
            given = "holds no floating-point tensor" if tensor is None else f"is {list(tensor.shape)}"
            raise CaptureError(
                f"images for the channels of layer {layer!r} were asked for, but its output {given}; it must have "
                "dimensions [batch, channels, ...] or [batch, ..., features]. Choose another layer."
            )
        positions = [dim for dim in range(1, tensor.ndim) if dim != channels]
        means.append(tensor.mean(positions) if positions else tensor)
        raise _LayerReached

    try:
        with watched(model, on_output) as executed:
            model(images)
    except _LayerReached:
        return means[0]
    raise layer_unavailable(model, layer, executed)
