"""Gradient ascent on a batch of pictures, one unit each."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from layerscope.errors import CaptureError
from layerscope.probing.maximizing.forms import Form
from layerscope.probing.maximizing.objectives import Objective, likeness
from layerscope.probing.maximizing.parameterizations import Parameterization
from layerscope.probing.maximizing.reaching import Rows, layer_output
from layerscope.probing.maximizing.views import Views

_LEAST_RATE = 0.05
"""To which share of the learning rate the steps shrink towards the end, along half a wave of the cosine."""


@dataclass(frozen=True)
class Ascent:
    """How pictures climb."""

    layer: str
    objective: Objective
    form: Form
    parameterization: Parameterization
    views: Views
    steps: int
    seed: int
    learning_rate: float
    diversity: float
    channels_last: bool
    rows: Rows

    def climb(self, model: nn.Module, units: Sequence[int], begun: Sequence[Tensor | None], until: float) -> Climbed:
        """Take the steps, as many as there is time for, but one at least.

        Args:
            model: the model, contained by the caller.
            units: one number for each picture; of a number that comes again the pictures start elsewhere.
            begun: coordinates from which a picture goes on, or None to start anew.
            until: when to stop, of ``time.monotonic``.
        """
        reference = reference_tensor(model)
        starts = [self._start(repeat) for repeat in repeats(units)]
        given = [start if earlier is None else earlier for start, earlier in zip(starts, begun, strict=True)]
        coordinates = torch.stack(given).to(reference.device).requires_grad_()
        optimizer = self.parameterization.optimizer(coordinates, self.learning_rate)
        generator = torch.Generator().manual_seed(self.seed)
        which = torch.tensor(units, device=reference.device)
        objective: list[Tensor] = []
        began = now = time.monotonic()
        longest = 0.0
        # A step is not begun that would end too late; the last look at what was found takes a third of one.
        while len(objective) < self.steps and (not objective or now + 1.4 * longest < until):
            spent = (now - began) / max(until - began, 1e-9) if math.isfinite(until) else 0.0
            _slow_down(optimizer, self.learning_rate, max(len(objective) / self.steps, min(spent, 1.0)))
            view = self.views.show(self.parameterization.render(coordinates), generator)
            output = self.reached(model, view, reference)
            values = self.objective.of(output, which)
            objective.append(values.detach().float().cpu())
            loss = -values.sum()
            if self.diversity:
                loss = loss + self.diversity * (values.detach().abs() * likeness(output, which)).sum()
            (coordinates.grad,) = torch.autograd.grad(loss, coordinates)
            optimizer.step()
            before, now = now, time.monotonic()
            longest = max(longest, now - before)
        with torch.no_grad():
            pictures = self.parameterization.render(coordinates)
            reached = self.objective.of(self.reached(model, pictures, reference), which)
        return Climbed(pictures, torch.stack(objective, 1), reached.float().cpu(), coordinates.detach().cpu())

    def reached(self, model: nn.Module, pictures: Tensor, reference: Tensor) -> Tensor:
        """Return the output of the layer for pictures, [pictures, channels, ...]."""
        return self.rows.by_sample(self.layer, self._given(model, pictures, reference), len(pictures))

    def _given(self, model: nn.Module, pictures: Tensor, reference: Tensor) -> Tensor:
        """Return the output of the layer as it is, [rows, channels, ...]."""
        given = self.form.model_input(pictures, reference, channels_last=self.channels_last)
        return layer_output(model, self.layer, (given,), {})

    def of_grey(self, model: nn.Module) -> tuple[Tensor, Rows]:
        """Return the output of the layer for one grey picture [1, channels, ...], and where the samples are in it.

        Raises:
            CaptureError: the layer's output does not depend on the picture, or has no row for each.
        """
        reference = reference_tensor(model)
        grey = torch.full((1, *self.form.shape), 0.5, device=reference.device, requires_grad=True)
        output = self._given(model, grey, reference)
        if not output.requires_grad:
            raise CaptureError(
                f"activation maximization of layer {self.layer!r} was asked for, but its output does not depend on the "
                "input: the forward pass detaches it or runs it under no_grad. Choose another layer."
            )
        if len(output) == 1:
            return output, Rows()
        with torch.no_grad():
            two = self._given(model, torch.cat([grey, grey / 2]), reference)
        rows = Rows.of(self.layer, output, two)
        return rows.by_sample(self.layer, output, 1), rows

    def _start(self, repeat: int) -> Tensor:
        # All units start alike, so what becomes of one does not depend on which others there are.
        return self.parameterization.start(torch.Generator().manual_seed(self.seed + repeat))


@dataclass(frozen=True)
class Climbed:
    """What came of it."""

    pictures: Tensor
    """[pictures, colours, height, width] in 0 to 1."""
    objective: Tensor
    """[pictures, steps taken], on the CPU."""
    reached: Tensor
    """[pictures]: the objective of the pictures as they are, on the CPU."""
    coordinates: Tensor
    """Where they are, on the CPU."""


def reference_tensor(model: nn.Module) -> Tensor:
    """Return a floating-point tensor on the device and of the type of the model: its first parameter or buffer."""
    tensors = [*model.parameters(), *model.buffers()]
    return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))


def _slow_down(optimizer: torch.optim.Optimizer, rate: float, done: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * (_LEAST_RATE + (1 - _LEAST_RATE) * (1 + math.cos(math.pi * done)) / 2)


def repeats(units: Sequence[int]) -> list[int]:
    """Return for each unit how often it came before."""
    seen: Counter[int] = Counter()
    counts: list[int] = []
    for unit in units:
        counts.append(seen[unit])
        seen[unit] += 1
    return counts
