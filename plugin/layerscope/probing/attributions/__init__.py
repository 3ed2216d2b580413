"""Attributions: what each element of every layer contributes to what the model says about a batch.

One method, one file: a dataclass whose fields are its options, and one row in ``METHODS``. All methods asked for
together share one forward and one backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.activation import Activation
from layerscope.probing.attributions.grad_cam import GradCam
from layerscope.probing.attributions.gradient_x_activation import GradientXActivation
from layerscope.probing.attributions.method import Method
from layerscope.probing.attributions.target import Target, describe, select
from layerscope.probing.calls import input_tensors
from layerscope.probing.capture import Captured, Layer, capture

__all__ = ["METHODS", "Attribution", "Method", "Target", "attribute", "attribute_all"]

METHODS: dict[str, type[Method]] = {
    "activation": Activation,
    "gradient_x_activation": GradientXActivation,
    "grad_cam": GradCam,
}
"""Method name -> its class."""


@dataclass(frozen=True)
class Attribution:
    """What one method says about every layer, for one batch."""

    method: str
    """Name in ``METHODS``."""
    signed: bool
    """True: positive values support the target and negative ones oppose it. False: magnitudes."""
    layers: dict[str, Tensor]
    """Layer key -> attribution at the layer's own resolution, batch first, in order of execution."""
    inputs: list[Tensor]
    """Attributions of the input tensors, of their shapes; NaN for inputs of integers, which have no gradient. Empty
    if the method defines none."""
    targets: Tensor
    """The classes that are explained, int64 [batch]; -1 where the target is a function."""
    probabilities: Tensor
    """Softmax of the target over the classes, float32 [batch], 0 to 1; NaN where there are no classes."""
    delta: Tensor | None = None
    """Completeness gap of each sample [batch]; None if the method promises no completeness."""
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    """Layer key -> why this layer has no attribution, in words."""
    channels: dict[str, int | None] = field(default_factory=dict[str, "int | None"])
    """Layer key -> the dimension of its attribution that is the channels, None if there is none."""

    def maps(self) -> dict[str, NDArray[np.float16 | np.float32]]:
        """Return layer key -> float16 or float32 [samples, ...] with the channels summed away.

        [batch, channels, height, width] becomes [batch, height, width], [batch, tokens, features] becomes [batch,
        tokens], [batch, channels, length] of a 1-D convolution [batch, length]; [batch, features] stays. A map is
        float16 unless its largest finite magnitude is beyond 65504 or below 2^-4 = 0.0625 (early layers of a large
        network are far below), where float16 overflows or loses digits; so the error of an element is at most 2^-11
        of its own magnitude or 2^-21 of the largest. NaN and infinities stay.
        """
        return {key: _as_map(tensor, self.channels.get(key)) for key, tensor in self.layers.items()}


def attribute(
    model: nn.Module,
    inputs: Any,
    target: Target = None,
    *,
    method: str,
    layers: str | Sequence[str] = "all",
    **options: Any,
) -> Attribution:
    """Return what ``method`` says about every layer, from one forward and one backward pass in evaluation mode.

    Args:
        model: the model; it is left as it was found, and a compiled one is run through its original.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model.
        target: which score is explained: a class, a class for each sample (list or tensor [batch]), None for the
            predicted class of each sample, or a function that takes what the model returned and returns one number
            for each sample [batch]. Scores are ``logits`` of what the model returned if it has them, else its first
            floating-point tensor, [batch, classes]; of [batch] or [batch, 1] the one score is explained.
        method: name in ``METHODS``: ``activation``, ``gradient_x_activation`` or ``grad_cam``.
        layers: ``"all"`` for every module call but the model's own, or layer keys. Of all layers those without a
            floating-point output, or on which the target does not depend, are left out and noted in ``skipped``.
        options: of the method, see its class: ``relu`` for ``grad_cam``.

    Raises:
        InvalidArgumentError: no such method or option, or the target does not fit what the model returned.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed, has no floating-point output, or the
            target does not depend on it; or on no layer at all.
    """
    return _attribute({method: _make(method, options)}, model, inputs, target, layers)[method]


def attribute_all(
    model: nn.Module,
    inputs: Any,
    target: Target = None,
    *,
    methods: Sequence[str],
    layers: str | Sequence[str] = "all",
) -> dict[str, Attribution]:
    """Return method -> what it says about every layer; all methods share one forward and one backward pass.

    Args:
        model: as in ``attribute``.
        inputs: as in ``attribute``.
        target: as in ``attribute``.
        methods: names in ``METHODS``, each with its default options.
        layers: as in ``attribute``.

    Raises:
        InvalidArgumentError: as in ``attribute``, or ``methods`` is a single name or empty.
        LayerNotFoundError: as in ``attribute``.
        CaptureError: as in ``attribute``.
    """
    if isinstance(methods, str) or not methods:
        raise InvalidArgumentError(f"methods must be a list of one or more of {_known()}, not {methods!r}.")
    return _attribute({name: _make(name, {}) for name in methods}, model, inputs, target, layers)


def _make(name: str, options: dict[str, Any]) -> Method:
    if name not in METHODS:
        raise InvalidArgumentError(f"method {name!r} was asked for, but the methods are {_known()}.")
    known = [f.name for f in fields(METHODS[name])]  # pyright: ignore[reportArgumentType]  # every one is a dataclass
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InvalidArgumentError(
            f"option {unknown[0]!r} was given, but the options of {name!r} are: {', '.join(known) or 'none'}."
        )
    return METHODS[name](**options)


def _known() -> str:
    return ", ".join(map(repr, METHODS))


def _attribute(
    methods: dict[str, Method], model: nn.Module, inputs: Any, target: Target, layers: str | Sequence[str]
) -> dict[str, Attribution]:
    by_output = {name: method for name, method in methods.items() if not method.needs_gradient}
    by_gradient = {name: method for name, method in methods.items() if method.needs_gradient}

    def at_output(layer: Layer, output: Tensor) -> dict[str, Tensor]:
        return {name: method.attribute(layer, output, None) for name, method in by_output.items()}

    def at_gradient(layer: Layer, output: Tensor, gradient: Tensor) -> dict[str, Tensor]:
        return {name: method.attribute(layer, output, gradient) for name, method in by_gradient.items()}

    captured = capture(
        model,
        inputs,
        layers=layers,
        at_output=at_output if by_output else None,
        at_gradient=at_gradient if by_gradient else None,
        objective=lambda output: select(output, target),
    )
    assert captured.objective is not None
    targets, probabilities = describe(captured.output, target, len(captured.objective))
    attributions: dict[str, Attribution] = {}
    for name, method in methods.items():
        found = captured.gradients if method.needs_gradient else captured.outputs
        attributions[name] = Attribution(
            method=name,
            signed=method.signed,
            layers={key: by_method[name] for key, by_method in found.items()},
            inputs=_of_inputs(method, captured, inputs),
            targets=targets,
            probabilities=probabilities,
            skipped={key: reason for key, reason in captured.skipped.items() if key not in found},
            channels={key: captured.layers[key].channels for key in found},
        )
    return attributions


def _of_inputs(method: Method, captured: Captured[Any, Any], inputs: Any) -> list[Tensor]:
    if not method.attributes_inputs:
        return []
    return [
        torch.full_like(tensor, torch.nan, dtype=torch.float32) if found is None else method.attribute_input(*found)
        for tensor, found in zip(input_tensors(inputs), captured.inputs, strict=True)
    ]


_LEAST_IN_HALF = 2.0**-4
"""Largest magnitude of a map from which on float16, whose steps never get finer than 2^-24, is fine enough."""


def _as_map(tensor: Tensor, channels: int | None) -> NDArray[np.float16 | np.float32]:
    values = tensor.detach().double()
    if tensor.ndim > 2 and channels is not None:
        values = values.sum(channels)
    finite = values.isfinite()
    largest = values.abs().where(finite, 0).max().item() if values.numel() else 0.0
    in_half = largest == 0 or _LEAST_IN_HALF <= largest <= torch.finfo(torch.float16).max
    dtype = torch.float16 if in_half else torch.float32
    limit = torch.finfo(dtype).max  # doubles beyond float32 stay finite
    return values.clamp(-limit, limit).where(finite, values).to(dtype).cpu().numpy()
