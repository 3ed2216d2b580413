"""The one-pass engine: one forward and one backward reach every layer, whose tensors are reduced where they are found.

How it differs from a call per layer: forward hooks see every call of every module; the gradient of a layer's output
comes from a tensor hook on that output, which also survives an in-place operation that follows; and each pair of
activation and gradient is reduced inside that hook, so that no gradient is kept. ``torch.autograd.grad`` with respect
to the inputs leaves every ``.grad`` alone and computes no gradients of parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from layerscope.containment import contained, original
from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.calls import copied_arguments, first_float_tensor, layer_unavailable, watched
from layerscope.probing.layout import Layouts

O = TypeVar("O")  # noqa: E741
G = TypeVar("G")


class Layer(NamedTuple):
    """A layer whose output is being reduced."""

    key: str
    channels: int | None
    """The dimension of its output that is the channels, None if there is none (see ``layout.py``)."""
    module: nn.Module


@dataclass(frozen=True)
class Captured(Generic[O, G]):
    """What one pass found."""

    layers: dict[str, Layer]
    """Layer key -> layer, in order of execution; those that have a floating-point output and were asked for."""
    outputs: dict[str, O]
    """Layer key -> what ``at_output`` made of the output."""
    gradients: dict[str, G]
    """Layer key -> what ``at_gradient`` made of output and gradient."""
    inputs: list[tuple[Tensor, Tensor] | None]
    """For each input tensor (value, gradient), zeros where the objective does not depend on it; None for integers.
    Empty without a backward pass."""
    output: Any
    """What the model returned."""
    objective: Tensor | None
    """The objective for each sample [batch], detached."""
    skipped: dict[str, str]
    """Layer key -> why there is nothing for this layer, in words."""


def capture(
    model: nn.Module,
    inputs: Any,
    *,
    layers: str | Sequence[str] = "all",
    at_output: Callable[[Layer, Tensor], O] | None = None,
    at_gradient: Callable[[Layer, Tensor, Tensor], G] | None = None,
    objective: Callable[[Any], Tensor] | None = None,
) -> Captured[O, G]:
    """Run one forward pass and, if ``at_gradient`` is given, one backward pass, and reduce every layer in them.

    The model runs in evaluation mode and is left as it was found. A module that returns several tensors is seen by
    its first floating-point tensor. If a layer's output is modified in place after the layer (an in-place ReLU
    behind it), the pass is run again with copies of just these outputs.

    A gradient is that of the tensor which the layer returned, wherever that tensor is used. A layer that returns its
    input itself (``nn.Identity``, dropout in evaluation mode) therefore has the gradient of its input: if that one
    also goes around the layer, as in a shortcut, with that way's share. Captum's layer gradients agree.

    Args:
        model: the model; a compiled one is run through its original. In ``DistributedDataParallel`` or
            ``DataParallel`` every layer key begins with ``module``; give ``model.module`` for those of the model.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments). Never modified.
        layers: ``"all"`` for every module call but the model's own, or layer keys.
        at_output: called with a layer and its output, detached. It must not keep the tensor itself.
        at_gradient: called with a layer, its output and the gradient of the summed objective with respect to it. It
            may keep the output, but not the gradient.
        objective: turns what the model returned into one number for each sample [batch].

    Raises:
        InvalidArgumentError: ``layers`` is neither ``"all"`` nor a list of layer keys.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: a layer that was asked for by its key was not executed, has no floating-point output, or is not
            connected to the objective; or no layer at all is.
    """
    if isinstance(layers, str) and layers != "all":
        raise InvalidArgumentError(f'layers must be "all" or a list of layer keys, not {layers!r}; give [{layers!r}].')
    model = original(model)
    copied: set[str] = set()
    while True:
        recording = _Recording(layers, at_output, at_gradient, copied)
        captured = _run(recording, model, inputs, objective)
        if captured is not None:
            return captured
        copied |= recording.modified()


def _run(
    recording: _Recording[O, G], model: nn.Module, inputs: Any, objective: Callable[[Any], Tensor] | None
) -> Captured[O, G] | None:
    """Run one pass; None if an output that the backward pass would need was modified in place."""
    backward = recording.at_gradient is not None
    with contained(model, frozen=True), recording.cleaned():
        leaves: list[Tensor | None] | None = [] if backward else None
        arguments = copied_arguments(inputs, leaves)
        with nullcontext() if backward else torch.no_grad():
            with watched(model, recording.on_output) as executed:
                output = model(*arguments.args, **arguments.kwargs)
            values = None if objective is None else objective(output)
        recording.require(model, executed)
        if recording.modified():
            return None
        gradients: list[tuple[Tensor, Tensor] | None] = []
        if backward and values is not None:
            gradients = recording.backward(values, leaves or [])
            recording.require_gradients()
    return Captured(
        layers={key: recording.layers[key] for key in executed if key in recording.layers},
        outputs={key: recording.outputs[key] for key in executed if key in recording.outputs},
        gradients={key: recording.gradients[key] for key in executed if key in recording.gradients},
        inputs=gradients,
        output=output,
        objective=None if values is None else values.detach(),
        skipped=recording.skipped,
    )


@dataclass
class _Recording(Generic[O, G]):
    """What one forward pass has found so far."""

    asked: str | Sequence[str]
    at_output: Callable[[Layer, Tensor], O] | None
    at_gradient: Callable[[Layer, Tensor, Tensor], G] | None
    copied: set[str]
    """Keys of the layers whose output must be copied, because it is modified in place later."""
    layers: dict[str, Layer] = field(default_factory=dict)
    outputs: dict[str, O] = field(default_factory=dict)
    gradients: dict[str, G] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    _versions: dict[str, tuple[Tensor, int]] = field(default_factory=dict)
    _sources: list[Tensor] = field(default_factory=list)
    """Leaves of the autograd graph other than the inputs, one for each output that depends on no leaf before it."""
    _borrowed: list[Tensor] = field(default_factory=list)
    """Tensors of the model that require a gradient for the time of the pass."""
    _hooks: list[RemovableHandle] = field(default_factory=list[RemovableHandle])
    _layouts: Layouts = field(default_factory=Layouts)

    def on_output(self, key: str, module: nn.Module, output: Any) -> Any:
        tensor = first_float_tensor(output)
        channels = None if tensor is None else self._layouts.channel_dim(module, tensor.shape)
        if self.asked != "all" and key not in self.asked:
            return None
        if tensor is None:
            self.skipped[key] = "its output holds no floating-point tensor"
            return None
        layer = self.layers[key] = Layer(key, channels, module)
        if self.at_output is not None:
            with torch.no_grad():
                self.outputs[key] = self.at_output(layer, tensor.detach())
        if self.at_gradient is None or tensor.is_inference():  # no gradient reaches what inference mode made
            return None
        replacement = self._source(tensor, output) if tensor.is_leaf else None
        self._hook(layer, tensor if replacement is None else replacement)
        return replacement

    def _source(self, tensor: Tensor, output: Any) -> Tensor | None:
        """Make ``tensor`` require a gradient; return what to go on with instead of ``output``, if anything."""
        if tensor is not output:  # inside a structure: the tensor itself must do
            if not tensor.requires_grad:
                self._borrowed.append(tensor.requires_grad_())
            self._sources.append(tensor)
            return None
        with torch.enable_grad():  # a copy, so that an in-place operation may follow, which a leaf does not allow
            leaf = tensor.detach().requires_grad_()
            self._sources.append(leaf)
            return leaf.clone()

    def _hook(self, layer: Layer, tensor: Tensor) -> None:
        activation = tensor.detach()  # shares memory and version
        if layer.key in self.copied:
            activation = activation.clone()
        self._versions[layer.key] = activation, activation._version
        at_gradient = self.at_gradient
        assert at_gradient is not None

        def on_gradient(gradient: Tensor) -> None:
            self.gradients[layer.key] = at_gradient(layer, activation, gradient)

        self._hooks.append(tensor.register_hook(on_gradient))

    def modified(self) -> set[str]:
        """Return the keys of the layers whose output was modified in place after they returned it."""
        return {key for key, (tensor, version) in self._versions.items() if tensor._version != version}

    def backward(self, values: Tensor, leaves: Iterable[Tensor | None]) -> list[tuple[Tensor, Tensor] | None]:
        """Differentiate the summed objective; return (value, gradient) of the inputs, None for integers."""
        leaves = list(leaves)
        sources = [leaf for leaf in leaves if leaf is not None] + self._sources
        found: Sequence[Tensor | None] = [None] * len(sources)
        if values.requires_grad and sources:
            found = torch.autograd.grad(values.sum(), sources, allow_unused=True)
        gradients = iter(found)
        return [None if leaf is None else _with_gradient(leaf, next(gradients)) for leaf in leaves]

    @contextmanager
    def cleaned(self) -> Iterator[None]:
        """Take back, at the end of a block, what was set on tensors that may be the model's own and stay."""
        try:
            yield
        finally:
            for hook in self._hooks:
                hook.remove()
            for tensor in self._borrowed:
                if tensor.is_leaf:  # no longer one if the model wrote into it in place; then it is not the model's
                    tensor.requires_grad_(False)

    def require(self, model: nn.Module, executed: list[str]) -> None:
        """Raise if a layer that was asked for by its key was not executed, or nothing was found at all."""
        for key in () if self.asked == "all" else self.asked:
            if key in self.skipped:
                raise CaptureError(f"layer {key!r} was asked for, but {self.skipped[key]}. Choose another layer.")
            if key not in self.layers:
                raise layer_unavailable(model, key, executed)
        if not self.layers and self.asked == "all":
            raise CaptureError(
                "every layer was asked for, but the forward pass called no module whose output holds a floating-point "
                "tensor. A scripted or exported model hides its modules: give the original one."
            )

    def require_gradients(self) -> None:
        """Raise if a layer that was asked for by its key, or every layer, got no gradient; note those skipped."""
        missing = [key for key in self.layers if key not in self.gradients]
        for key in missing:
            self.skipped[key] = "the target does not depend on its output"
        if missing and (self.asked != "all" or not self.gradients):
            what = f"layer {missing[0]!r}" if self.asked != "all" else "every layer"
            raise CaptureError(
                f"a gradient of the target with respect to {what} was asked for, but the target does not depend on its "
                "output: the forward pass detaches it, runs it under no_grad or does not use it. Choose another layer "
                "or target, or a method without gradients."
            )


def _with_gradient(leaf: Tensor, gradient: Tensor | None) -> tuple[Tensor, Tensor]:
    value = leaf.detach()
    return value, torch.zeros_like(value) if gradient is None else gradient
