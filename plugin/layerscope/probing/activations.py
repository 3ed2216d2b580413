"""Statistics of every layer's output on a probe batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from layerscope import wire
from layerscope.probing.capture import Captured, Layer, capture
from layerscope.probing.statistics import Moments, measure, table


def activations(
    model: nn.Module, inputs: Any, *, layers: str | Sequence[str] = "all", histogram: bool = True
) -> wire.Statistics:
    """Return statistics of every layer's output on a probe batch, from one forward pass in evaluation mode.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        layers: ``"all"`` for every module call but the model's own, or layer keys.
        histogram: count the elements of every row by sign and exponent too.

    Returns:
        A row for each layer key, in order of execution; a module stands before what it encloses. Columns:
        ``wire.STATISTICS`` over all elements of the output (of the first floating-point tensor in it), batch
        included, accumulated in float64, given as float32. Layers without such a tensor have no row.

    Raises:
        InvalidArgumentError: ``layers`` is neither ``"all"`` nor a list of layer keys.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed or has no floating-point output.
    """

    def reduce(_: Layer, output: Tensor) -> Moments:
        return measure(output, with_histogram=histogram)

    captured: Captured[Moments, None] = capture(model, inputs, layers=layers, at_output=reduce)
    return table(((key, key, moments) for key, moments in captured.outputs.items()), with_histogram=histogram)
