"""Writes pictures: what units respond to, and what layers make of samples. What a scope does with them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerscope import wire
from layerscope.errors import InvalidArgumentError
from layerscope.guarding import failing_last
from layerscope.probing.calls import input_tensors
from layerscope.probing.channels import LayerChannels
from layerscope.probing.describing import describe_inputs
from layerscope.probing.embeddings import Embedding
from layerscope.probing.maximizing import Maximization, maximize
from layerscope.probing.maximizing.choosing import Probed
from layerscope.probing.maximizing.top_samples import top_samples
from layerscope.probing.weights import Weight
from layerscope.writing import MessageWriter
from layerscope.writing.message_writer import compact


class Maximizer:
    """Finds what units respond to, step by step of the training, each time from what it found before.

    Args:
        model: the model.
        writer: where it goes.
    """

    def __init__(self, model: nn.Module, writer: MessageWriter) -> None:
        self._model = model
        self._writer = writer
        self._found: dict[tuple[str | None, str], Maximization] = {}

    def record(
        self,
        layers: Sequence[str | None],
        channels: Sequence[int] | int,
        *,
        step: int,
        seconds: float | None,
        probed: Probed,
        options: Mapping[str, Any],
    ) -> None:
        """Write what units of some layers respond to, and the samples on which they are strongest.

        Args:
            layers: layer keys; None is the model's output.
            channels: as in ``maximize``.
            step: training step.
            seconds: for all of it; each layer has an equal share of what those before it left.
            probed: what is known of the samples.
            options: of ``maximize``.

        Raises:
            Exception: what kept one of the layers from being recorded; the others are.
        """
        until = None if seconds is None else time.monotonic() + seconds
        found: dict[str, list[wire.MaximizedUnit]] = {}
        with failing_last() as attempt:
            for done, layer in enumerate(layers):
                with attempt():
                    share = None if until is None else (until - time.monotonic()) / (len(layers) - done)
                    modality, units = self._of_layer(layer, channels, share, probed, options)
                    found.setdefault(modality, []).extend(units)
            for modality, units in found.items():
                with attempt():
                    name = ""
                    if probed.inputs is not None:
                        name = record_samples(self._writer, probed.inputs, probed.samples, step=step)
                    self._writer.maximization(units, step=step, modality=modality, samples=name)

    def _of_layer(
        self,
        layer: str | None,
        channels: Sequence[int] | int,
        seconds: float | None,
        probed: Probed,
        options: Mapping[str, Any],
    ) -> tuple[str, list[wire.MaximizedUnit]]:
        objective = str(options.get("objective", "channel"))
        before = self._found.get((layer, objective))
        asked: dict[str, Any] = {"start": before, **options}
        if probed.of_tokens:
            asked = {"inputs": probed.inputs, **asked}
        result = maximize(self._model, layer=layer, channels=channels, seconds=seconds, **asked)
        self._found[layer, objective] = result
        tops: tuple[tuple[wire.TopSample, ...], ...] = ()
        if probed.inputs is not None and objective in ("channel", "logit"):
            tops = top_samples(self._model, probed.inputs, {result.layer: result.channels})[result.layer]
        low, high = options.get("value_range", (0.0, 1.0))
        images = result.images if result.modality == "image" else low + (high - low) * result.images
        taken = np.isfinite(result.objective).sum(1)
        return result.modality, [
            wire.MaximizedUnit(
                wire.Unit(result.layer, channel, objective),
                float(result.reached[i]),
                side_by_side(images[i]) if result.modality == "image" else images[i],
                () if result.tokens is None else probed.words(result.tokens[i].tolist()),
                tops[i] if tops else (),
                int(taken[i]),
            )
            for i, channel in enumerate(result.channels)
        ]


def side_by_side(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image [height, width, colours] as one that can be shown: neither 1 nor 3 colours stand side by side."""
    if image.shape[2] in (1, 3):
        return image
    return np.concatenate(np.split(image, image.shape[2], 2), 1)


def record_samples(
    writer: MessageWriter, inputs: Any, name: str, *, step: int, description: wire.SamplesBlob | None = None
) -> str:
    """Write the inputs of a probe set if they are new; return the name under which they are."""
    arrays = [array_of(tensor) for tensor in input_tensors(inputs)]
    described = describe_inputs(inputs) if description is None else description
    return writer.samples(name, arrays, step=step, description=described, named=description is not None)


def array_of(tensor: torch.Tensor) -> NDArray[Any]:
    """Return a tensor as an array, bfloat16 as float32."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def channel_arrays(shown: LayerChannels) -> dict[str, NDArray[Any]]:
    """Return the channels of one layer as they are written, see ``wire.LAYER_ARRAYS``."""
    size = np.array(shown.size, np.int32)
    return {"values": shown.values, "channels": shown.channels, "strength": shown.strength, "size": size}


def weight_arrays(shown: Weight) -> dict[str, NDArray[Any]]:
    """Return a parameter as it is written, see ``wire.LAYER_ARRAYS``."""
    filters = np.array([shown.filters], np.uint8)
    return {"values": shown.values, "shape": np.array(shown.shape, np.int32), "filters": filters}


def embedding_arrays(shown: Embedding) -> dict[str, NDArray[Any]]:
    """Return the points of one layer as they are written, see ``wire.LAYER_ARRAYS``."""
    return {"values": shown.points, "explained": shown.explained}


def checked_labels(labels: Any, samples: int) -> NDArray[np.int32] | None:
    """Return the class of each sample, or None where there are none.

    Raises:
        InvalidArgumentError: they are no integers, or not one for each sample.
    """
    if labels is None:
        return None
    array = array_of(labels) if isinstance(labels, torch.Tensor) else np.asarray(labels)
    if array.shape != (samples,) or array.dtype.kind not in "iu":
        raise InvalidArgumentError(
            f"labels must be {samples} integers, one for each sample, but they are {array.dtype} {list(array.shape)}."
        )
    return array.astype(np.int32)


def record_layer_arrays(
    writer: MessageWriter,
    kind: str,
    found: Mapping[str, Mapping[str, NDArray[Any]]],
    *,
    name: str,
    step: int,
    samples: str = "",
    owners: Sequence[str] | None = None,
    shared: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write arrays of some layers at one step, and arrays of all; values as float16 where that holds them."""
    arrays = {
        layer: {what: compact(array) if what == "values" else array for what, array in held.items()}
        for layer, held in found.items()
    }
    writer.layer_arrays(
        kind, arrays, name=name, step=step, samples=samples, shared=shared, owners=tuple(owners or arrays)
    )
