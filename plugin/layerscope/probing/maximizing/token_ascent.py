"""Gradient ascent over real tokens, for models that look their input up in an embedding."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.calls import Arguments, copied_arguments, input_tensors
from layerscope.probing.maximizing.ascent import repeats
from layerscope.probing.maximizing.objectives import Objective
from layerscope.probing.maximizing.reaching import Rows, layer_output
from layerscope.probing.representation import batch_size

_LEARNING_RATE = 1.0
"""How far each position moves in a step, in lengths of an embedding."""

_DISTANCES = 1 << 22
"""How many distances are computed at once, to bound memory."""


class TokenAscent:
    """Finds real tokens that a unit responds to.

    Wen et al. 2023, "Hard Prompts Made Easy: Gradient-Based Discrete Optimization for Prompt Tuning and Discovery"
    (arXiv:2302.03668), algorithm 1: embeddings climb, but the model is given the real tokens nearest to them, whose
    gradient moves them. Of all tokens on the way those that reach most are kept. Positions that hold padding in the
    sample stay as they are. Unlike there each position moves equally far, straight along its gradient: Adam, which
    makes all components of a gradient equally large, misses the best tokens even of a linear unit.

    Args:
        layer: layer key, or "" for the model's output.
        objective: what is maximized.
        inputs: arguments of the model, whose first tensor of integers [samples, length] that it looks up in an
            embedding is tokens.
        steps: steps of ascent.
        seed: of the tokens to start from.
        learning_rate: how far each position moves in a step, in root mean square lengths of the embeddings; None
            takes 1.

    Raises:
        InvalidArgumentError: there are no integers in ``inputs``.
    """

    def __init__(
        self, layer: str, objective: Objective, inputs: Any, steps: int, seed: int, learning_rate: float | None
    ) -> None:
        self._layer, self._objective = layer, objective
        self._inputs, self._steps, self._seed = inputs, steps, seed
        self._rate = _LEARNING_RATE if learning_rate is None else learning_rate
        tokens = [t for t in input_tensors(inputs) if t.ndim == 2 and not (t.is_floating_point() or t.is_complex())]
        if not tokens or not tokens[0].numel():
            raise InvalidArgumentError(
                "inputs are for models of tokens and must hold integers [samples, length], but they hold "
                f"{[f'{t.dtype} {list(t.shape)}' for t in input_tensors(inputs)] or 'no tensor'}. For images, signals "
                "and tables give input_shape instead."
            )
        self._candidates = [tensor[:1] for tensor in tokens]
        self._sample = self._candidates[0]
        self._samples = batch_size(inputs)
        self._rows = Rows()

    def available_units(self, model: nn.Module) -> int:
        """Return how many units there are.

        Raises:
            CaptureError: the layer's output does not depend on the tokens' embeddings.
        """
        looked_up = self._look_up(model, self._candidates[0])
        for candidate in self._candidates[1:]:
            if not looked_up.found:  # it may be a mask
                looked_up = self._look_up(model, candidate)
        table, self._sample = looked_up.table(), looked_up.numbers
        looked_up.given = given = table[self._sample].clone().requires_grad_()
        output = self._output(model, looked_up)
        if not output.requires_grad:
            raise CaptureError(
                f"activation maximization of layer {self._layer!r} was asked for, but its output does not depend on "
                "the embeddings of the tokens. Choose another layer."
            )
        if len(output) > 1:
            looked_up = self._look_up(model, self._sample.repeat(2, 1))
            looked_up.given = torch.cat([given.detach(), torch.zeros_like(given)])
            with torch.no_grad():
                self._rows = Rows.of(self._layer, output, self._output(model, looked_up))
        return self._objective.available(self._rows.by_sample(self._layer, output, 1))

    @property
    def length(self) -> int:
        """How many tokens there are."""
        return self._sample.shape[1]

    def climb(
        self, model: nn.Module, units: Sequence[int], begun: Sequence[Tensor | None], until: float
    ) -> ClimbedTokens:
        """Take the steps, as many as there is time for, but one at least.

        Args:
            model: the model, contained by the caller.
            units: their numbers; one that comes again starts from other tokens.
            begun: for each unit int64 [length]: the tokens from which it goes on, or None to draw some.
            until: when to stop, of ``time.monotonic``.
        """
        count, numbers = len(units), self._sample.repeat(len(units), 1)
        looked_up = self._look_up(model, numbers)
        table, padding = looked_up.table().detach(), looked_up.padding
        kept = numbers == padding if padding is not None else torch.zeros_like(numbers, dtype=torch.bool)
        drawn = [self._drawn(len(table), repeat) for repeat in repeats(units)]
        first = [draw if earlier is None else earlier for draw, earlier in zip(drawn, begun, strict=True)]
        climbing = table[torch.stack(first).to(table.device)].float()
        stride = self._rate * table.float().square().sum(1).mean().sqrt()
        which = torch.tensor(units, device=table.device)
        best, reached = numbers.clone(), torch.full((count,), -torch.inf, device=table.device)
        objective: list[Tensor] = []
        while len(objective) < self._steps and (not objective or time.monotonic() < until):
            tokens = torch.where(kept, numbers, nearest(climbing, table, without=padding))
            looked_up.given = table[tokens].clone().requires_grad_()
            output = self._rows.by_sample(self._layer, self._output(model, looked_up), count)
            values = self._objective.of(output, which)
            better = values.detach() > reached
            best[better], reached[better] = tokens[better], values.detach().to(reached.dtype)[better]
            objective.append(values.detach().float().cpu())
            (gradient,) = torch.autograd.grad(values.sum(), looked_up.given)
            climbing += stride * _directions(gradient.float())
        if not torch.isfinite(reached).all():
            raise CaptureError(
                f"tokens for layer {self._layer!r} were asked for, but with them it gave infinities or NaN. Look at "
                "the model's parameters: training may have diverged."
            )
        return ClimbedTokens(best.cpu(), torch.stack(objective, 1), reached.float().cpu())

    def _output(self, model: nn.Module, looked_up: _LookUp) -> Tensor:
        """Return what the layer gives, [rows, channels, ...], where the model sees what ``looked_up`` gives it."""
        with looked_up:
            return layer_output(model, self._layer, *self._arguments(len(looked_up.numbers)))

    def _look_up(self, model: nn.Module, numbers: Tensor) -> _LookUp:
        """Return the look-up of ``numbers`` [samples, length] in a forward pass of as many copies of the sample."""
        looked_up = _LookUp(numbers)
        with torch.no_grad():
            self._output(model, looked_up)
        return looked_up

    def _drawn(self, rows: int, repeat: int) -> Tensor:
        generator = torch.Generator().manual_seed(self._seed + repeat)
        return torch.randint(rows, (self.length,), generator=generator)

    def _arguments(self, count: int) -> Arguments:
        """Return the first sample's arguments ``count`` times over."""

        def repeated(tensor: Tensor) -> Tensor:
            if tensor.ndim and tensor.shape[0] == self._samples:
                return tensor[:1].detach().repeat(count, *[1] * (tensor.ndim - 1))
            return tensor.detach().clone()

        return copied_arguments(self._inputs, repeated)


@dataclass(frozen=True)
class ClimbedTokens:
    """What came of it, on the CPU."""

    tokens: Tensor
    """int64 [units, length]."""
    objective: Tensor
    """[units, steps taken]."""
    reached: Tensor
    """[units]: the largest of them."""


def _directions(gradient: Tensor) -> Tensor:
    """Return vectors of length 1 along the last dimension; of 0 they are 0."""
    length = gradient.norm(dim=-1, keepdim=True)
    return gradient / length.clamp_min(torch.finfo(length.dtype).tiny)


def nearest(points: Tensor, table: Tensor, *, without: int | None) -> Tensor:
    """Return the rows of ``table`` [rows, features] nearest to ``points`` [..., features], int64 [...].

    Args:
        points: points.
        table: where the rows are.
        without: a row that does not count, or None.
    """
    rows = table.to(points.dtype)
    lengths = rows.square().sum(1)
    if without is not None:
        lengths[without] = torch.inf
    flat = points.reshape(-1, points.shape[-1])
    parts = flat.split(max(1, _DISTANCES // len(rows)))
    found = [(lengths - 2 * part @ rows.T).argmin(1) for part in parts]  # but for the square of the point itself
    return torch.cat(found).reshape(points.shape[:-1])


class _LookUp(TorchFunctionMode):
    """Finds the look-up of given numbers in an embedding, and gives the model what it shall see instead."""

    def __init__(self, numbers: Tensor) -> None:
        super().__init__()
        self.numbers = numbers
        self._table: Tensor | None = None
        self.padding: int | None = None
        """The row that stands for padding."""
        self.given: Tensor | None = None
        """What the model shall see; None leaves what was looked up."""

    @property
    def found(self) -> bool:
        """Whether they were looked up."""
        return self._table is not None

    def table(self) -> Tensor:
        """Return the rows among which was looked up, float [rows, features].

        Raises:
            CaptureError: nothing was looked up.
        """
        if self._table is None:
            raise CaptureError(
                "tokens that a unit responds to were asked for, but the forward pass looks none of the integers in "
                "inputs up in an embedding (torch.nn.functional.embedding)."
            )
        return self._table

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is not nn.functional.embedding or not self._is_ours(args[0] if args else kwargs["input"]):
            return result
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        padding = args[2] if len(args) > 2 else kwargs.get("padding_idx")
        self._table, self.padding = weight, None if padding is None else int(padding) % len(weight)
        if self.given is None:
            return result
        return self.given.to(result.dtype).reshape(result.shape).clone()  # which the model may change in place

    def _is_ours(self, numbers: Tensor) -> bool:
        ours = self.numbers
        return numbers.numel() == ours.numel() and bool((numbers.reshape(-1) == ours.reshape(-1)).all())
