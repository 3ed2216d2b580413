"""Runs a model up to some layers: what comes after the last of them is not needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from layerscope.errors import CaptureError
from layerscope.probing.calls import first_float_tensor, layer_unavailable, watched
from layerscope.probing.layout import Layouts

OUTPUT = ""
"""Stands for the model's own output among layer keys."""


@dataclass(frozen=True)
class Rows:
    """Where the samples are in what a layer gives, [rows, channels, ...]: not each row need be one."""

    dim: int = 0
    """The dimension that grows with the samples."""
    each: int = 1
    """How many entries a sample has there: several where parts of it (windows, frames) are folded into the batch."""
    apart: bool = False
    """Whether those of one sample lie apart: first come the first ones of all samples."""

    @classmethod
    def of(cls, layer: str, one: Tensor, two: Tensor) -> Rows:
        """Return where they are, given what the layer gives for one sample, and for that and another one.

        Raises:
            CaptureError: no dimension, or that of the channels, is twice as large for two.
        """
        sizes = list(zip(one.shape, two.shape, strict=False))
        grown = [dim for dim, (single, double) in enumerate(sizes) if single != double]
        if one.ndim != two.ndim or len(grown) != 1 or grown == [1] or sizes[grown[0]][1] != 2 * sizes[grown[0]][0]:
            raise _without_rows(layer, two, 2)
        (dim,) = grown
        first, both = one.movedim(dim, 0), two.movedim(dim, 0)
        behind, apart = ((part - first).abs().sum() for part in (both[: len(first)], both[::2]))
        return cls(dim, len(first), bool(apart < behind))

    def by_sample(self, layer: str, output: Tensor, samples: int) -> Tensor:
        """Return what a layer gave for some samples as [samples, channels, ...].

        The positions of parts that are folded into the batch become one dimension.

        Raises:
            CaptureError: it has another number of rows.
        """
        if output.shape[self.dim] != samples * self.each:
            raise _without_rows(layer, output, samples)
        if self.dim:
            output = output.movedim(self.dim, 0).transpose(1, 2)
        if self.each == 1:
            return output
        parts = (self.each, samples) if self.apart else (samples, self.each)
        folded = output.unflatten(0, parts)
        return (folded.transpose(0, 1) if self.apart else folded).transpose(1, 2).flatten(2)


def _without_rows(layer: str, output: Tensor, samples: int) -> CaptureError:
    whose = f"layer {layer!r}" if layer else "the model"
    return CaptureError(
        f"the outputs of {whose} for single samples were asked for, but its output is {list(output.shape)} (channels "
        f"second) for {samples} samples: it has no row for each. Choose another layer."
    )


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
        nonlocal last
        tensor = first_float_tensor(output)
        dim = None if tensor is None else layouts.channel_dim(module, tensor.shape)
        if key in wanted:
            output = channels_first(key, tensor, dim)
            if len(found) + 1 == len(wanted):
                found[key] = output
                raise _LayerReached
            found[key] = output.clone()  # what comes next may change it in place

        if tensor is not None:
            last = tensor.data_ptr(), tensor.shape, dim

    executed: list[str] = []
    last: tuple[int, torch.Size, int | None] | None = None
    try:
        with watched(model, on_output) as executed:
            output = first_float_tensor(model(*args, **kwargs))
    except _LayerReached:
        return found
    if OUTPUT in wanted:
        found[OUTPUT] = channels_first(OUTPUT, output, _output_channels(output, last))
    missing = [layer for layer in layers if layer not in found]
    if missing:
        raise layer_unavailable(model, missing[0], executed)
    return found


def _output_channels(output: Tensor | None, last: tuple[int, torch.Size, int | None] | None) -> int | None:
    """Return the dimension of the channels in the model's output: as in the last layer's, if that is what it is."""
    if output is None or output.ndim < 2:
        return None
    if last is not None and last[:2] == (output.data_ptr(), output.shape):
        return last[2]
    return 1 if output.ndim == 4 else output.ndim - 1


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
