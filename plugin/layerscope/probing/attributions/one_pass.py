"""Methods that need, of each layer, its output and the gradient there: one forward and one backward serve them all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from layerscope.probing.attributions.attribution import Attribution, without_channels
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.target import Target, describe, select
from layerscope.probing.calls import input_tensors
from layerscope.probing.capture import Captured, Layer, capture


class OnePassMethod(Method):
    """A method that reduces each layer's output and gradient, which are not kept."""

    needs_gradient: ClassVar[bool] = True
    attributes_inputs: ClassVar[bool] = True
    """Whether it tells about the inputs; it must need the gradient then."""
    attributes_layers: ClassVar[bool] = True
    """Whether it tells about layers."""

    @staticmethod
    def objective(output: Any, target: Target, batch_dim: int) -> Tensor:
        """Return what is differentiated, for each sample [batch]: the target, unless the method says otherwise."""
        return select(output, target, batch_dim)

    @staticmethod
    def around() -> AbstractContextManager[Any]:
        """Return what is entered around the passes, e.g. to change gradients of operations."""
        return nullcontext()

    @abstractmethod
    def at_layer(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the attribution of a layer, batch first; a tensor of its own.

        Args:
            layer: the layer, which says which dimension of its output is the channels.
            output: what the layer returned; not to be modified or kept.
            gradient: of the objective with respect to it; None unless ``needs_gradient``. Not to be modified or kept.
        """

    def at_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the attribution of an input, or of the embedding that stands for it, of its shape."""
        raise NotImplementedError(f"{type(self).__name__} says nothing of inputs")

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the answer, from passes of its own."""
        return self.together({name: self}, question)[name]

    @staticmethod
    def together(methods: Mapping[str, Method], question: Question) -> dict[str, Attribution]:
        """Return the answers; methods that differentiate the same in the same way share the passes."""
        groups: dict[Any, dict[str, OnePassMethod]] = {}
        for name, method in cast("Mapping[str, OnePassMethod]", methods).items():
            key = (method.objective, method.around) if method.needs_gradient else None
            groups.setdefault(key, {})[name] = method
        outputs = groups.pop(None, {})
        if not groups:
            return _pass(outputs, question)
        found: dict[str, Attribution] = {}
        for group in groups.values():
            found |= _pass(outputs | group, question)
            outputs = {}
        return found


def _pass(methods: dict[str, OnePassMethod], question: Question) -> dict[str, Attribution]:
    asking = {name: method for name, method in methods.items() if method.attributes_layers}
    by_output = {name: method for name, method in asking.items() if not method.needs_gradient}
    by_gradient = {name: method for name, method in asking.items() if method.needs_gradient}
    backward = next((method for method in methods.values() if method.needs_gradient), None)

    def kept(found: Tensor, layer: Layer) -> Tensor:
        return without_channels(found, layer.channels) if question.maps_only else found

    def at_output(layer: Layer, output: Tensor) -> dict[str, Tensor]:
        return {name: kept(method.at_layer(layer, output, None), layer) for name, method in by_output.items()}

    def at_gradient(layer: Layer, output: Tensor, gradient: Tensor) -> dict[str, Tensor]:
        return {name: kept(method.at_layer(layer, output, gradient), layer) for name, method in by_gradient.items()}

    asked = backward if backward is not None else next(iter(methods.values()))
    captured = capture(
        question.model,
        question.inputs,
        layers=question.layers if asking else (),
        at_output=at_output if by_output else None,
        at_gradient=None if backward is None else at_gradient,
        objective=lambda output: asked.objective(output, question.target, question.batch_dim),
        around=asked.around,
        batch_dim=question.batch_dim,
        shared=True,
    )
    assert captured.objective is not None
    targets, probabilities = describe(captured.output, question.target, len(captured.objective), question.batch_dim)
    attributions: dict[str, Attribution] = {}
    for name, method in methods.items():
        found = captured.gradients if method.needs_gradient else captured.outputs
        found = found if method.attributes_layers else {}
        attributions[name] = Attribution(
            method=name,
            signed=method.signed,
            layers={key: by_method[name] for key, by_method in found.items()},
            inputs=_of_inputs(method, captured, question),
            targets=targets,
            probabilities=probabilities,
            skipped={key: reason for key, reason in captured.skipped.items() if key not in found},
            channels={key: None if question.maps_only else captured.layers[key].channels for key in found},
        )
    return attributions


def _of_inputs(method: OnePassMethod, captured: Captured[Any, Any], question: Question) -> list[Tensor]:
    if not method.attributes_inputs:
        return []
    reduce: Callable[[Tensor, Tensor], Tensor] = method.at_input
    return [
        input_attribution(tensor, [reduce(value, gradient) for value, gradient in held], question.batch_dim)
        for tensor, held in zip(input_tensors(question.inputs), captured.inputs, strict=True)
    ]


def input_attribution(tensor: Tensor, parts: list[Tensor], batch_dim: int = 0) -> Tensor:
    """Return the attribution of an input of its shape, batch first.

    Args:
        tensor: the input.
        parts: the attributions of what stands for it: of its own shape, or of those of embeddings, whose features are
            summed away. None: NaN is returned.
        batch_dim: dimension of the samples in the input.
    """
    if not parts:
        found = torch.full_like(tensor, torch.nan, dtype=torch.float32)
    else:
        found = torch.stack([part if part.shape == tensor.shape else _summed(part, tensor) for part in parts]).sum(0)
    return found.movedim(batch_dim, 0) if batch_dim < found.ndim else found


def _summed(part: Tensor, tensor: Tensor) -> Tensor:
    """Return the attribution of an embedding [*, features], summed over the features, in the shape of the numbers."""
    return part.sum(-1).reshape(tensor.shape)
