"""Gradients at many points between a baseline and the inputs, several points in one pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.attributions.baselines import Baselines, baselines_by_input, expanded
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.one_pass import input_attribution
from layerscope.probing.attributions.target import Target, describe, fixed, may_repeat, repeated, select
from layerscope.probing.calls import input_tensors
from layerscope.probing.capture import Captured, Layer, capture
from layerscope.probing.representation import Embed, Representation, batch_size
from layerscope.probing.sample_dims import Seen

_ELEMENTS_PER_PASS = 1 << 21
_FEATURES_OF_A_NUMBER = 768
"""What an integer counts in ``_ELEMENTS_PER_PASS``: about the size of its embedding."""


@dataclass(frozen=True)
class Points:
    """Some points on the way from baselines to the inputs, run in one batch."""

    alphas: Tensor
    """[points], 0 at the baseline and 1 at the input."""
    baselines: list[Baselines]
    """For each point where it comes from."""

    def __len__(self) -> int:
        return len(self.alphas)


def gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Return points and weights of the quadrature with ``n`` points between 0 and 1, float64 [n] each."""
    points, weights = np.polynomial.legendre.leggauss(n)
    return torch.from_numpy((points + 1) / 2), torch.from_numpy(weights / 2)


def chunked(question: Question, alphas: Tensor, baselines: list[Baselines], limit: int | None) -> Iterator[Points]:
    """Yield the points in as few passes as memory is given for.

    Args:
        question: what is asked; a target that cannot be repeated has one point in each pass.
        alphas: of all points.
        baselines: of all points.
        limit: how many samples a pass may have; None infers it from the size of the inputs: about two million elements.
    """
    samples = batch_size(question.inputs, question.batch_dim)
    tensors = input_tensors(question.inputs)
    elements = sum(t.numel() * (1 if t.is_floating_point() else _FEATURES_OF_A_NUMBER) for t in tensors)
    size = _ELEMENTS_PER_PASS // max(elements, 1) if limit is None else limit // max(samples, 1)
    size = max(1, size) if may_repeat(question.target) else 1
    passes = math.ceil(len(alphas) / size)
    for part in torch.arange(len(alphas)).tensor_split(passes):  # even ones
        yield Points(alphas[part], [baselines[i] for i in part.tolist()])


def checked_count(option: str, count: int) -> int:
    """Return ``count``.

    Raises:
        InvalidArgumentError: it is not at least 1.
    """
    if count < 1:
        raise InvalidArgumentError(f"{option} must be at least 1, but it is {count}.")
    return count


def added(sums: list[list[Tensor]], found: list[list[Tensor]]) -> list[list[Tensor]]:
    """Return the sums of what two chunks gave; ``sums`` is empty at first."""
    if not sums:
        return found
    return [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(sums, found, strict=True)]


class Path:
    """The passes along a path, for one question.

    Args:
        question: what is asked. Its predicted classes stay those of the inputs themselves.
    """

    def __init__(self, question: Question) -> None:
        self._executed: tuple[str, ...] = ()
        self._moved = False
        self.skipped: dict[str, str] = {}
        """Layer key -> why there is nothing for this layer, in words."""
        self.samples = batch_size(question.inputs, question.batch_dim)
        self.question = question
        self.once: Seen | None = None
        """What a pass of the batch by itself shows of the layers."""
        plain = Representation(question.inputs, differentiable=False, batch_dim=question.batch_dim)
        captured = self._capture(plain, question.target, None, layers=True)
        self.once = captured.seen
        assert captured.objective is not None
        self.value = captured.objective
        """The target of the inputs themselves [batch]."""
        self.targets, self.probabilities = describe(
            captured.output, question.target, len(captured.objective), question.batch_dim
        )
        self.question = replace(question, target=fixed(captured.output, question.target))

    @property
    def has_probabilities(self) -> bool:
        """Whether the target is a class among several."""
        return not bool(self.probabilities.isnan().any())

    def values(
        self,
        points: Points,
        at_output: Callable[[Layer, Tensor], None] | None = None,
        *,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> Tensor:
        """Return the target at points, [points, batch].

        Args:
            points: where.
            at_output: called with each layer that was asked for and its output there, [points x batch, ...].
            around: makes what is entered around the pass.
        """
        target, layers = self._target(points), at_output is not None
        captured = self._capture(
            lambda: self.represent(points), target, None, layers=layers, at_output=at_output, around=around
        )
        assert captured.objective is not None
        return captured.objective.unflatten(0, (len(points), -1))

    def gradients(
        self,
        points: Points,
        at_gradient: Callable[[Layer, Tensor, Tensor], None] | None = None,
        *,
        away: Callable[[int, Tensor], Tensor] | None = None,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> list[list[tuple[Tensor, Tensor]]]:
        """Run a forward and a backward pass at points.

        Args:
            points: where.
            around: makes what is entered around both passes, e.g. to change gradients of operations.
            away: (position of the input, what stands for it, all points in one) -> how far to go from there; None
                goes along the path. The differences that are returned are these, then.
            at_gradient: called with each layer that was asked for, its output and the gradient there, both [points,
                batch, ...]; [1, ...] of one that all points share, as what is looked up for positions.

        Returns:
            For each input, of what stands for it: (its difference from the baseline, the gradient), both [points, ...].
        """
        places: list[list[Tensor]] = [[] for _ in input_tensors(self.question.inputs)]
        count = len(points)

        def at_layer(layer: Layer, output: Tensor, gradient: Tensor) -> None:
            if at_gradient is None:
                return
            points_of_it = 1 if output.ndim == 0 or output.shape[0] % (count * self.samples) else count
            shape = (points_of_it, *output.shape) if points_of_it == 1 else (count, -1, *output.shape[1:])
            at_gradient(layer, output.reshape(shape), gradient.reshape(shape))

        def represent() -> Representation:
            for differences in places:
                differences.clear()
            return self._at(points, differences=places, away=away)

        captured = self._capture(
            represent, self._target(points), at_layer, layers=at_gradient is not None, around=around
        )
        self.require_moved()
        self._executed = tuple(captured.layers)
        self.skipped = captured.skipped
        return [
            [
                (self._by_point(difference, count), self._by_point(gradient, count))
                for difference, (_, gradient) in zip(differences, held, strict=True)
            ]
            for differences, held in zip(places, captured.inputs, strict=True)
        ]

    def masked(
        self, points: Points, keep: Mapping[int, Tensor], objective: Callable[[Any, Target, int], Tensor]
    ) -> Tensor:
        """Return an objective [points, batch] where elements of the inputs are what they are at the baselines.

        Args:
            points: their baselines.
            keep: position of an input -> [points, batch, cells...], 1 for what stays and 0 for what goes; a cell is an
                element, all colours of a pixel, or the whole embedding of a token. Other inputs stay.
            objective: (what the model returned, target, batch_dim) -> [points * batch].
        """
        represent = self._at(points, differentiable=False, keep=keep)
        captured = self._capture(represent, self._target(points), None, objective=objective)
        assert captured.objective is not None
        return captured.objective.unflatten(0, (len(points), -1)).detach().cpu()

    def require_moved(self) -> None:
        """Raise if passes at points were not: all that they tell would be of the inputs themselves.

        Raises:
            CaptureError: nothing of the inputs could be moved.
        """
        if not self._moved:
            raise CaptureError(
                "the inputs were to be changed little by little, but they are integers, and no embedding looks them up "
                "in a way that is seen (torch.nn.functional.embedding). Use kernel_shap, lime or occlusion, which take "
                "integers as they are."
            )

    def represent(self, points: Points) -> Representation:
        """Return the arguments at points, without gradients."""
        return self._at(points, differentiable=False)

    def inputs(self, parts: list[list[Tensor]]) -> list[Tensor]:
        """Return the attributions of the inputs, made of those of what stands for them."""
        tensors = input_tensors(self.question.inputs)
        return [
            input_attribution(tensor, found, self.question.batch_dim)
            for tensor, found in zip(tensors, parts, strict=True)
        ]

    def in_order(self, layers: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return layer key -> tensor in order of execution."""
        return {key: layers[key] for key in self._executed if key in layers}

    def _target(self, points: Points) -> Target:
        target = self.question.target
        return target if len(points) == 1 else repeated(target, len(points))

    def per_sample(self, value: Tensor, points: int, reduce: Callable[[Tensor], Tensor]) -> Tensor:
        """Return what ``reduce`` makes of each sample of each point, [samples, elements] -> [samples], to broadcast."""
        dim = self._dim_of_points(value, points) or 0
        samples = points * self.samples
        rows = value.movedim(dim, 0).reshape(samples, -1)
        shape = [1] * value.ndim
        shape[dim] = -1
        return reduce(rows).repeat_interleave(value.shape[dim] // samples).reshape(shape)

    def from_points(self, numbers: Tensor, value: Tensor) -> Tensor:
        """Return [points, elements of a point] in the shape of ``value``, which holds all points."""
        points = len(numbers)
        dim = self._dim_of_points(value, points)
        if dim is None:
            return numbers.reshape(value.shape)
        shape = value.unflatten(dim, (points, -1)).movedim(dim, 0).shape
        return numbers.reshape(shape).movedim(0, dim).reshape(value.shape)

    def _at(
        self,
        points: Points,
        *,
        differentiable: bool = True,
        differences: list[list[Tensor]] | None = None,
        away: Callable[[int, Tensor], Tensor] | None = None,
        keep: Mapping[int, Tensor] | None = None,
    ) -> Representation:
        tensors = input_tensors(self.question.inputs)
        by_input = [baselines_by_input(baselines, self.question.inputs) for baselines in points.baselines]

        def move(place: int, value: Tensor, embed: Embed) -> Tensor:
            self._moved = True
            if away is not None:
                difference = away(place, value)
                if differences is not None:
                    differences[place].append(difference)
                return value + difference
            if keep is not None and place not in keep:
                return value
            start = self._started(value, embed, tensors[place], [baselines[place] for baselines in by_input])
            difference = value - start
            if differences is not None:
                differences[place].append(difference)
            if keep is not None:
                return start + self._for_cells(keep[place].to(value), value) * difference
            return start + self._for_points(points.alphas.to(value), value) * difference

        return Representation(
            self.question.inputs,
            differentiable=differentiable,
            move=move,
            times=len(points),
            batch_dim=self.question.batch_dim,
        )

    def _started(self, value: Tensor, embed: Embed, tensor: Tensor, baselines: list[Any]) -> Tensor:
        """Return where the points of one input start, of the shape of ``value``."""
        if all(baseline is None for baseline in baselines):
            return torch.zeros_like(value)
        raw = [expanded(tensor, baseline) for baseline in baselines]
        if any(start is None for start in raw):
            raise InvalidArgumentError("baselines must be given for all points or for none.")
        start = torch.cat(cast("list[Tensor]", raw), self.question.batch_dim) if tensor.ndim else raw[0]
        assert start is not None
        return embed(start).to(value).reshape(value.shape)

    def _for_points(self, numbers: Tensor, value: Tensor) -> Tensor:
        """Return one number for each point [points] so that it broadcasts with ``value``."""
        dim = self._dim_of_points(value, len(numbers))
        if dim is None:
            return numbers[0]
        shape = [1] * value.ndim
        shape[dim] = -1
        return numbers.repeat_interleave(value.shape[dim] // len(numbers)).reshape(shape)

    def _for_cells(self, cells: Tensor, value: Tensor) -> Tensor:
        """Return [points, batch, cells...] so that it broadcasts with ``value``, which holds all points."""
        dim = self.question.batch_dim
        cells = cells.flatten(0, 1).movedim(0, dim)
        if cells.shape == value.shape:
            return cells
        if value.ndim == 4 and cells.ndim == 3:  # all colours of a pixel
            return cells.unsqueeze(1)
        return cells.reshape(*value.shape[:-1], 1)  # an embedding's features

    def _by_point(self, tensor: Tensor, points: int) -> Tensor:
        """Return a tensor of all points as [points, ...]."""
        dim = self._dim_of_points(tensor, points)
        return tensor[None] if dim is None else tensor.unflatten(dim, (points, -1)).movedim(dim, 0)

    def _dim_of_points(self, tensor: Tensor, points: int) -> int | None:
        """Return along which dimension the points lie one behind the other; None where they all share the tensor.

        A tensor whose batch and other dimensions were flattened has them in dimension 0, as long as the batch is there.
        """
        dim = self.question.batch_dim
        if tensor.ndim > dim and tensor.shape[dim] == points * self.samples:
            return dim
        if points == 1:
            return None
        if dim == 0 and tensor.ndim and tensor.shape[0] % (points * self.samples) == 0:
            return 0
        raise InvalidArgumentError(
            f"a path is run several points at once, but of {points} x {self.samples} samples an input or its embedding "
            f"became {list(tensor.shape)}. Give internal_batch_size={self.samples}: one point at once."
        )

    def _capture(
        self,
        represent: Representation | Callable[[], Representation],
        target: Target,
        at_gradient: Callable[[Layer, Tensor, Tensor], None] | None,
        *,
        layers: bool = False,
        at_output: Callable[[Layer, Tensor], None] | None = None,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        objective: Callable[[Any, Target, int], Tensor] = select,
    ) -> Captured[Any, Any]:
        question = self.question
        return capture(
            question.model,
            question.inputs,
            layers=question.layers if layers else (),
            at_output=at_output,
            at_gradient=at_gradient,
            objective=lambda output: objective(output, target, question.batch_dim),
            represent=(lambda: represent) if isinstance(represent, Representation) else represent,
            around=around,
            batch_dim=question.batch_dim,
            once=self.once,
        )
