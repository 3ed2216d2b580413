"""Writes pictures: what units respond to, and what layers make of samples. What a scope does with them."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from layerscope import wire
from layerscope.errors import CaptureError, InvalidArgumentError, LayerscopeError
from layerscope.guarding import failing_last
from layerscope.probing.calls import input_tensors
from layerscope.probing.channels import LayerChannels
from layerscope.probing.describing import describe_inputs
from layerscope.probing.embeddings import Embedding
from layerscope.probing.maximizing import Maximization, maximize
from layerscope.probing.maximizing.arguments import goal_of
from layerscope.probing.maximizing.choosing import Probed
from layerscope.probing.maximizing.top_samples import top_samples
from layerscope.probing.weights import Weight
from layerscope.writing import MessageWriter
from layerscope.writing.message_writer import compact

_SHARE_OF_TOPS = 0.3
"""Of the time, for the real samples that excite units most."""


class Maximizer:
    """Finds what units respond to, step by step of the training, each time from what it found before.

    Args:
        model: the model.
        writer: where it goes.
    """

    def __init__(self, model: nn.Module, writer: MessageWriter) -> None:
        self._model = model
        self._writer = writer
        self._found: dict[Hashable, Maximization] = {}
        """By what was asked of which layer: what was found the last time."""
        self._of_one_size: set[str | None] = set()
        """Layers that were reached with images of the model's own size only."""

    def record(
        self,
        layers: Sequence[str | None],
        channels: Sequence[int] | int,
        *,
        step: int,
        seconds: float | None,
        probed: Probed,
        options: Mapping[str, Any],
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Write what units of some layers respond to, and the samples on which they are strongest.

        Args:
            layers: layer keys; None is the model's output.
            channels: as in ``maximize``.
            step: training step.
            seconds: for all of it; each layer has an equal share of what those before it left.
            probed: what is known of the samples.
            options: of ``maximize``; what is missing of them, ``probed`` tells.
            class_names: of the model's scores.

        Raises:
            Exception: what kept one of the layers from being recorded; the others are.
        """
        of_tops = _SHARE_OF_TOPS if probed.inputs is not None else 0.0
        began = time.monotonic()
        until = None if seconds is None else began + (1 - of_tops) * seconds
        results: list[Maximization] = []
        with failing_last() as attempt:
            for done, layer in enumerate(layers):
                with attempt():
                    left = None if until is None else max(0.0, until - time.monotonic())
                    share = None if left is None else left / (len(layers) - done)
                    results.append(self._of_layer(layer, channels, share, probed, options))
            tops: dict[str, tuple[tuple[wire.TopSample, ...], ...]] = {}
            with attempt():
                left = None if seconds is None else max(0.0, began + seconds - time.monotonic())
                self._add_tops(tops, results, probed, options, left)
            for modality in dict.fromkeys(result.modality for result in results):
                with attempt():
                    name = ""
                    if probed.inputs is not None:
                        shown = describe_inputs(probed.inputs) if probed.description is None else probed.description
                        shown = replace(shown, class_names=tuple(class_names or ()))
                        name = record_samples(
                            self._writer, probed.inputs, probed.samples, step=step, description=shown, named=False
                        )
                    alike = [result for result in results if result.modality == modality]
                    units = [
                        unit for result in alike for unit in _units(result, tops.get(result.layer), probed, options)
                    ]
                    self._writer.maximization(units, step=step, modality=modality, samples=name)

    def _of_layer(
        self,
        layer: str | None,
        channels: Sequence[int] | int,
        seconds: float | None,
        probed: Probed,
        options: Mapping[str, Any],
    ) -> Maximization:
        which = layer, *_asked(options), channels if isinstance(channels, int) else tuple(channels)
        told: dict[str, Any] = {"inputs": probed.tokens} if probed.tokens is not None else dict(probed.options)
        asked: dict[str, Any] = {**told, "start": self._found.get(which), **options}
        asked.update(layer=layer, channels=channels, seconds=seconds)
        smaller = (
            None
            if probed.tokens is not None or "input_shape" in options or layer in self._of_one_size
            else probed.smaller
        )
        if smaller is not None:
            try:
                reduced: dict[str, Any] = {**asked, "input_shape": smaller}
                self._found[which] = maximize(self._model, **reduced)
            except (LayerscopeError, RuntimeError, AssertionError, ValueError):
                self._found[which] = maximize(self._model, **asked)
                self._of_one_size.add(layer)  # it is the size that it failed for
        else:
            self._found[which] = maximize(self._model, **asked)
        return self._found[which]

    def _add_tops(
        self,
        found: dict[str, tuple[tuple[wire.TopSample, ...], ...]],
        results: Sequence[Maximization],
        probed: Probed,
        options: Mapping[str, Any],
        seconds: float | None,
    ) -> None:
        """Add to ``found`` the samples that excite the units most, layer by layer where one of the layers has none."""
        if probed.inputs is None or not results:
            return
        name, position = _asked(options)
        goal = goal_of(name, position, options.get("directions"))
        units = {result.layer: result.channels for result in results}
        try:
            found |= top_samples(self._model, probed.inputs, units, objective=goal, seconds=seconds)
        except CaptureError:
            with failing_last() as attempt:
                for layer, numbers in units.items():
                    with attempt():
                        one = {layer: numbers}
                        found |= top_samples(self._model, probed.inputs, one, objective=goal, seconds=seconds)


def _units(
    result: Maximization,
    tops: Sequence[tuple[wire.TopSample, ...]] | None,
    probed: Probed,
    options: Mapping[str, Any],
) -> list[wire.MaximizedUnit]:
    """Return what was found for the units of one layer, as it is written."""
    low, high = (probed.options | dict(options)).get("value_range", (0.0, 1.0))
    images = result.images if result.modality == "image" else low + (high - low) * result.images
    taken = np.isfinite(result.objective).sum(1)
    return [
        wire.MaximizedUnit(
            wire.Unit(result.layer, channel, *_asked(options)),
            float(result.reached[i]),
            side_by_side(images[i]) if result.modality == "image" else images[i],
            () if result.tokens is None else probed.words(result.tokens[i].tolist()),
            tops[i] if tops else (),
            int(taken[i]),
        )
        for i, channel in enumerate(result.channels)
    ]


def _asked(options: Mapping[str, Any]) -> tuple[str, tuple[int, ...] | None]:
    """Return objective and position that options of ``maximize`` name."""
    position = options.get("position")
    return str(options.get("objective", "channel")), None if position is None else tuple(map(int, position))


def side_by_side(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image [height, width, colours] as one that can be shown: neither 1 nor 3 colours stand side by side."""
    if image.shape[2] in (1, 3):
        return image
    return np.concatenate(np.split(image, image.shape[2], 2), 1)


def record_samples(
    writer: MessageWriter,
    inputs: Any,
    name: str,
    *,
    step: int,
    description: wire.SamplesBlob | None = None,
    named: bool | None = None,
) -> str:
    """Write the inputs of a probe set if they are new; return the name under which they are.

    Args:
        writer: where they go.
        inputs: arguments of the model.
        name: of the probe set.
        step: training step.
        description: how to show them; None tells it from their form.
        named: whether the same inputs with another description are others; None says so if ``description`` is given.
    """
    arrays = [array_of(tensor) for tensor in input_tensors(inputs)]
    described = describe_inputs(inputs) if description is None else description
    return writer.samples(
        name, arrays, step=step, description=described, named=description is not None if named is None else named
    )


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
    norms = {} if shown.norms is None else {"norms": shown.norms}
    return {"values": shown.values, "shape": np.array(shown.shape, np.int32), "filters": filters, **norms}


def attention_arrays(weights: torch.Tensor, samples: int) -> dict[str, NDArray[Any]]:
    """Return the attention weights of one layer for some samples as they are written, see ``wire.LAYER_ARRAYS``."""
    each = len(weights) // samples if samples and len(weights) % samples == 0 else 1
    return {"values": weights.numpy(), "each": np.array([each], np.int32)}


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
