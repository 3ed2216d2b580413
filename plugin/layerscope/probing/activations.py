"""Statistics of every layer's output on a probe batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from layerscope import wire
from layerscope.errors import CaptureError, LayerNotFoundError
from layerscope.probing.capture import Captured, Layer, capture
from layerscope.probing.layer_rows import LayerRows


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
        ``wire.MOMENTS`` over all elements of the output (of the first floating-point tensor in it), batch included,
        then ``dead_fraction`` and ``saturated_fraction``, NaN where the output has no channels or the module is no
        activation function with bounds. Layers without a floating-point tensor have no row.

    Raises:
        InvalidArgumentError: ``layers`` is neither ``"all"`` nor a list of layer keys.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed or has no floating-point output.
    """
    rows = LayerRows(with_histogram=histogram, with_units=True)

    def reduce(layer: Layer, output: Tensor) -> None:
        rows.add(layer.key, output, module=layer.module, channels=layer.channels)

    captured: Captured[None, None] = capture(model, inputs, layers=layers, at_output=reduce, settle=False)
    return rows.result(tuple(captured.layers))


def available_activations(
    model: nn.Module, inputs: Any, *, layers: str | Sequence[str], attempt: Callable[[], AbstractContextManager[None]]
) -> wire.Statistics:
    """Return what ``activations`` does, of those of ``layers`` that are there; only if none is, raise.

    Args:
        model: as for ``activations``.
        inputs: as for ``activations``.
        layers: as for ``activations``. If one of a list fails, each is tried by itself.
        attempt: gives a context manager that takes what one layer fails with (see ``guarding.failing_last``).
    """
    try:
        return activations(model, inputs, layers=layers)
    except (LayerNotFoundError, CaptureError):
        found: list[str] = []
        for layer in () if isinstance(layers, str) else layers:
            with attempt():
                activations(model, inputs, layers=[layer], histogram=False)
                found.append(layer)
        if not found:
            raise
        return activations(model, inputs, layers=found)
