"""Methods from outside: any function that attributes, e.g. an object of Captum."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from layerscope.containment import contained
from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.target import describe, select
from layerscope.probing.calls import copied_arguments, input_tensors, watched
from layerscope.probing.layer_choice import Chosen
from layerscope.probing.representation import batch_size

Attributing = Callable[[nn.Module, Any, Any], "Tensor | Mapping[str, Tensor]"]
"""(model, inputs, target) -> the attribution of the (first) input, or layer key -> attribution."""


@dataclass(frozen=True)
class Foreign(Method):
    """A function that was not made for Layerscope.

    It runs in evaluation mode, with modes, flags, gradients and buffers of the model and all random numbers put back
    afterwards; weights into which it writes in place stay as it leaves them. It gets the model, the inputs and the
    target as they were given.

    Args:
        function: takes (model, inputs, target) and returns a tensor of the shape of the first input, or a mapping layer
            key -> tensor, batch first.
        positive: it gives magnitudes, which have no sign.
    """

    function: Attributing
    positive: bool = False

    @property
    def signed(self) -> bool:
        """True unless ``positive``."""
        return not self.positive

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return what the function says.

        Raises:
            InvalidArgumentError: it returned neither a tensor nor a mapping of tensors, or of another batch.
            LayerNotFoundError: the model has no layer of a key that was asked for.
            CaptureError: a layer that was asked for by its key is not called.
        """
        model, target = question.model, question.target
        chosen = Chosen.of(question.layers, model, question.inputs)
        with contained(model):
            arguments = copied_arguments(question.inputs)
            with torch.no_grad(), watched(model, lambda *_: None) as executed:
                output = model(*arguments.args, **arguments.kwargs)
                targets, probabilities = describe(
                    output, target, len(select(output, target, question.batch_dim)), question.batch_dim
                )
            found: object = self.function(model, question.inputs, target)
        layers, inputs = self._sorted(name, found, question)
        chosen.require_called(model, [*executed, *layers])  # it may tell of things that are no module
        return Attribution(
            method=name,
            signed=self.signed,
            layers={key: tensor for key, tensor in layers.items() if key in chosen},
            inputs=inputs,
            targets=targets,
            probabilities=probabilities,
        )

    @staticmethod
    def _sorted(name: str, found: object, question: Question) -> tuple[dict[str, Tensor], list[Tensor]]:
        samples = batch_size(question.inputs, question.batch_dim)
        if isinstance(found, Tensor):
            first, *others = input_tensors(question.inputs)
            if found.shape != first.shape:
                raise InvalidArgumentError(
                    f"{name} must return a tensor of the shape of the first input, {list(first.shape)}, or a dict from "
                    f"layer keys to tensors, but it returned a tensor {list(found.shape)}."
                )
            unknown = [torch.full_like(other, torch.nan, dtype=torch.float32) for other in others]
            return {}, [found.detach().movedim(question.batch_dim, 0), *unknown]
        layers = cast("Mapping[object, object]", found) if isinstance(found, Mapping) else None
        if layers is None or not all(
            isinstance(key, str) and isinstance(tensor, Tensor) and tensor.shape[:1] == (samples,)
            for key, tensor in layers.items()
        ):
            raise InvalidArgumentError(
                f"{name} must return a tensor of the shape of the first input, or a dict from layer keys to tensors "
                f"[{samples}, ...], but it returned {type(found).__name__}."
            )
        return {cast(str, key): cast(Tensor, tensor).detach() for key, tensor in layers.items()}, []
