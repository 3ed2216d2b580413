"""Layer integrated gradients: the path leads not through the inputs but through a layer's own output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import CheckpointError

from layerscope.containment import contained
from layerscope.errors import CaptureError
from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.baselines import Baselines
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import Path, Points, checked_count, chunked, gauss_legendre
from layerscope.probing.attributions.target import repeated, select
from layerscope.probing.calls import first_float_tensor, watched
from layerscope.probing.capture import Captured, capture
from layerscope.probing.layer_choice import Chosen
from layerscope.probing.representation import Representation


@dataclass(frozen=True)
class LayerIntegratedGradients(Method):
    """Integrated gradients of a layer's output, from what it is at the baseline to what it is.

    Sundararajan et al. 2017, eq. 1, with the output of one layer as the input; the rest of the network sees the inputs
    as they are. For each layer it takes ``n_steps`` passes of its own, so ask for those that matter: ``layers="auto"``
    or a list. Equals Captum's ``LayerIntegratedGradients``, also where that fails: operations in place and reused
    modules, of which every call has its own.

    Args:
        baselines: of the inputs, see ``baselines.Baselines``; None is zeros.
        n_steps: number of points on the path.
        internal_batch_size: the most samples in a pass; None infers it from the size of the inputs.
    """

    baselines: Baselines = None
    n_steps: int = 32
    internal_batch_size: int | None = None

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of the layers."""
        path = Path(question)
        ends = self._outputs(path, None)
        starts = self._outputs(path, path.represent(Points(torch.zeros(1), [self.baselines])))
        path.require_moved()
        layers: dict[str, Tensor] = {}
        skipped = dict(ends.skipped)
        for key, end in ends.outputs.items():
            start = starts.outputs.get(key)
            if start is None or start.shape != end.shape:
                skipped[key] = "at the baseline it is not called, or its output has another shape"
                continue
            grows = end.shape[0] == path.samples
            found = self._integrated(path.question, key, start, end, self.internal_batch_size if grows else 1)
            if found is None:
                skipped[key] = "the target does not depend on its output"
            else:
                layers[key] = found
        _require(question, layers, skipped)
        return Attribution(
            method=name,
            signed=True,
            layers=layers,
            inputs=[],
            targets=path.targets,
            probabilities=path.probabilities,
            skipped=skipped,
            channels={key: ends.layers[key].channels for key in layers},
        )

    def _outputs(self, path: Path, represent: Representation | None) -> Captured[Tensor, None]:
        question = path.question
        return capture(
            question.model,
            question.inputs,
            layers=question.layers,
            at_output=lambda layer, output: output.clone(),
            represent=None if represent is None else lambda: represent,
            batch_dim=question.batch_dim,
            once=path.once,
        )

    def _integrated(
        self, question: Question, key: str, start: Tensor, end: Tensor, internal_batch_size: int | None
    ) -> Tensor | None:
        alphas, weights = gauss_legendre(checked_count("n_steps", self.n_steps))
        total, done = torch.zeros_like(end), 0
        for points in chunked(question, alphas, [None] * len(alphas), internal_batch_size):
            at = points.alphas.to(end).reshape(-1, *[1] * end.ndim)
            leaf = (start + at * (end - start)).requires_grad_()
            gradient = _gradient(question, key, leaf, len(points))
            if gradient is None:
                return None
            part = weights[done : done + len(points)]
            done += len(points)
            total += torch.einsum("p...,p->...", gradient, part.to(gradient))
        return total * (end - start)


def _gradient(question: Question, key: str, leaf: Tensor, points: int) -> Tensor | None:
    """Return the gradient [points, batch, ...] where ``leaf`` stands for a layer's output; None if that is not used."""
    target = question.target if points == 1 else repeated(question.target, points)
    inputs = Representation(question.inputs, differentiable=False, times=points, batch_dim=question.batch_dim)
    with contained(question.model, frozen=True), inputs, _replaced(question.model, key, leaf):
        output = question.model(*inputs.arguments.args, **inputs.arguments.kwargs)
        values = select(output, target, question.batch_dim)
        if not values.requires_grad:
            return None
        try:
            (gradient,) = torch.autograd.grad(values.sum(), leaf, allow_unused=True)
        except CheckpointError as error:
            raise CaptureError(
                f"layer_integrated_gradients puts other values in place of the output of {key!r}, but that is computed "
                "again in the backward pass, by torch.utils.checkpoint. Switch checkpointing off in evaluation mode, "
                "or use layer_conductance."
            ) from error
    return gradient


@contextmanager
def _replaced(model: nn.Module, key: str, leaf: Tensor) -> Iterator[None]:
    """Let a layer return ``leaf`` [points, batch, ...] instead of its first floating-point tensor."""

    def on_output(called: str, module: nn.Module, output: Any) -> Any:
        if called != key:
            return None
        tensor = first_float_tensor(output)
        assert tensor is not None
        # A copy, since an in-place operation may follow; the samples go back to where the layer has them.
        flat = leaf.flatten(0, 1)
        batch = next(dim for dim in range(tensor.ndim) if flat.movedim(0, dim).shape == tensor.shape)
        replacement = flat.movedim(0, batch).clone(memory_format=torch.contiguous_format)
        return pytree.tree_map(lambda part: replacement if part is tensor else part, output)

    with watched(model, on_output):
        yield


def _require(question: Question, layers: dict[str, Tensor], skipped: dict[str, str]) -> None:
    """Raise if a layer that was named has no attribution."""
    named = () if isinstance(question.layers, (str, Chosen)) else question.layers
    for key in named:
        if key not in layers and key in skipped:
            raise CaptureError(f"layer {key!r} was asked for, but {skipped[key]}. Choose another layer.")
