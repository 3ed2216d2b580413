"""What the model says when only some features are there: the values of coalitions of features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from layerscope.containment import contained
from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.baselines import Baselines, background_samples, baselines_by_input, expanded
from layerscope.probing.attributions.features import Features
from layerscope.probing.attributions.method import Question
from layerscope.probing.attributions.path import checked_count
from layerscope.probing.attributions.target import describe, fixed, may_repeat, repeated, select
from layerscope.probing.calls import copied_arguments, input_tensors, watched
from layerscope.probing.layer_choice import Chosen

Coalitions = NDArray[np.bool_]
"""[coalitions, features] True where a feature is there."""

Values = NDArray[np.float64]
"""[coalitions] what the model says about each."""

BLUR = "blur"
"""Baseline of an image: itself, so blurred that nothing can be told (a Gaussian, whose deviation is a tenth of the
larger side)."""

_ELEMENTS_PER_PASS = 1 << 21
_FEATURES_OF_A_TOKEN = 768


class Masking:
    """The game of the features of each sample: a coalition's value is the target with the others at the baseline.

    Args:
        question: what is asked. A target that cannot be repeated has one coalition in each pass.
        features: of each sample.
        baselines: see ``Perturbation``.
        background: see ``Perturbation``.
        padding_id: stands for missing tokens where ``baselines`` says nothing; 0 if None.
        internal_batch_size: the most samples in a pass; None infers it: about two million elements of the inputs.

    Raises:
        InvalidArgumentError: the baselines do not fit the inputs.
        LayerNotFoundError: the model has no layer of a key that was asked for, though nothing is told of layers.
        CaptureError: a layer that was asked for by its key is not called.
    """

    def __init__(
        self,
        question: Question,
        features: Features,
        baselines: Baselines = None,
        background: Baselines = None,
        padding_id: int | None = None,
        internal_batch_size: int | None = None,
    ) -> None:
        self._question = question
        self.features = features
        self._inputs = [tensor.detach().clone() for tensor in input_tensors(question.inputs)]
        with contained(question.model, frozen=True), torch.no_grad():
            with watched(question.model, lambda *_: None) as executed:
                output = self._run([tensor.clone() for tensor in self._inputs])
            if question.layers != "auto":
                Chosen.of(question.layers, question.model, question.inputs).require_called(question.model, executed)
            self.question = replace(question, target=fixed(output, question.target))
            """The question with the predicted classes held fixed."""
            full = select(output, self.question.target, question.batch_dim)
            self.targets, self.probabilities = describe(output, self.question.target, len(full), question.batch_dim)
        self.full: Values = full.double().cpu().numpy()
        """[batch] what the model says when all features are there."""
        self.notes: tuple[str, ...] = ()
        """What to know of the values that the model gave, in words."""
        if len(full) != len(features.counts):
            raise InvalidArgumentError(
                f"the target must be one number for each of the {len(features.counts)} samples, but it has {len(full)}."
            )
        if baselines is not None and background is not None:
            raise InvalidArgumentError("what is missing is told by baselines or by background, but both were given.")
        samples = [baselines] if background is None else background_samples("background", background, question)
        self._backgrounds = [self._missing(sample, padding_id) for sample in samples]
        self._limit = internal_batch_size
        if internal_batch_size is not None:
            checked_count("internal_batch_size", internal_batch_size)

    def values(self, coalitions: Sequence[Coalitions]) -> list[Values]:
        """Return the values of the coalitions of each sample; over several background samples, their mean.

        Those that are not finite are NaN: fits leave them out, or one would spoil all; ``notes`` tells of them.
        """
        longest = max(len(asked) for asked in coalitions)
        widest = max(self.features.counts)
        present = np.ones((len(coalitions), longest, widest + 1), bool)  # the last column is what belongs to no feature
        for sample, asked in enumerate(coalitions):
            present[sample, : len(asked), : asked.shape[1]] = asked
        masks = torch.from_numpy(present)
        found = np.zeros((len(coalitions), longest))
        with contained(self.question.model, frozen=True), torch.no_grad():
            for missing in self._backgrounds:
                passes = math.ceil(longest / self._points_per_pass()) if longest else 0
                for part in np.array_split(np.arange(longest), passes) if passes else ():
                    found[:, part] += self._pass(masks[:, part], missing)
        values = [row[: len(asked)] / len(self._backgrounds) for row, asked in zip(found, coalitions, strict=True)]
        return self._finite(values)

    def _finite(self, values: list[Values]) -> list[Values]:
        """Return the values with NaN for infinities, and note how many are no finite numbers, why, and what to do."""
        left_out = [int((~np.isfinite(own)).sum()) for own in values]
        if any(left_out):
            self.notes = (
                f"The model gave no finite number for {sum(left_out)} of {sum(map(len, values))} inputs with missing "
                f"features, of {sum(map(bool, left_out))} of {len(values)} samples; they were left out. So it is, "
                "e.g., where all tokens are missing and padding stands for them. Say what else stands for what is "
                "missing: e.g. baselines=the integer of a token that is no padding.",
            )
        return [np.where(np.isfinite(own), own, np.nan) for own in values]

    def _points_per_pass(self) -> int:
        if not may_repeat(self.question.target):
            return 1
        if self._limit is not None:
            return max(1, self._limit // len(self.full))
        elements = sum(t.numel() * (1 if t.is_floating_point() else _FEATURES_OF_A_TOKEN) for t in self._inputs)
        return max(1, _ELEMENTS_PER_PASS // max(elements, 1))

    def _pass(self, masks: Tensor, missing: list[Tensor]) -> NDArray[np.float64]:
        """Return [batch, points] of masks [batch, points, features + 1], in one forward pass."""
        batch, points, _ = masks.shape
        dim = self.question.batch_dim
        arguments: list[Tensor] = []
        for tensor, baseline, numbers in zip(self._inputs, missing, self.features.numbers, strict=True):
            if numbers is None:
                samples = tensor.ndim > dim and tensor.shape[dim] == batch
                arguments.append(torch.cat([tensor] * points, dim) if samples else tensor.clone())
                continue
            flat = numbers.reshape(len(numbers), -1)
            cells = flat.where(flat >= 0, masks.shape[2] - 1)
            kept = masks.gather(2, cells[:, None].expand(-1, points, -1)).transpose(0, 1)
            kept = kept.reshape(points, *numbers.shape).to(tensor.device)
            chosen = torch.where(kept, tensor.movedim(dim, 0), baseline.movedim(dim, 0))
            arguments.append(chosen.flatten(0, 1).movedim(0, dim).contiguous())
        values = select(
            self._run(arguments), repeated(self.question.target, points) if points > 1 else self.question.target, dim
        )
        if values.shape != (points * batch,):
            raise InvalidArgumentError(
                f"the target must be one number for each of the {points * batch} samples of a pass, but it has "
                f"{list(values.shape)}. If the model takes batches of one size only, give internal_batch_size={batch}."
            )
        return values.double().reshape(points, batch).T.cpu().numpy()

    def _run(self, tensors: list[Tensor]) -> Any:
        remaining = iter(tensors)
        arguments = copied_arguments(self._question.inputs, lambda _: next(remaining))
        return self._question.model(*arguments.args, **arguments.kwargs)

    def _missing(self, baselines: Baselines, padding_id: int | None) -> list[Tensor]:
        """Return for each input what stands for its missing features, of its shape."""
        given: list[Any]
        if isinstance(baselines, str):
            images = [tensor.ndim == 4 for tensor in self._inputs]
            given = [baselines if image or not any(images) else None for image in images]
        else:
            given = baselines_by_input(baselines, self._question.inputs)
        found: list[Tensor] = []
        for tensor, baseline in zip(self._inputs, given, strict=True):
            if isinstance(baseline, str):
                found.append(_blurred(tensor, baseline, self._question.batch_dim))
            elif tensor.is_floating_point() or baseline is not None:
                value = expanded(tensor, baseline)
                assert value is not None
                found.append(value)
            else:
                found.append(torch.full_like(tensor, padding_id or 0))
        return found


def _blurred(tensor: Tensor, word: str, batch_dim: int) -> Tensor:
    if word != BLUR or tensor.ndim != 4 or not tensor.is_floating_point():
        raise InvalidArgumentError(
            f"a baseline is a number, a tensor, or {BLUR!r} for images [batch, colours, height, width], but {word!r} "
            f"was given for an input {tensor.dtype} {list(tensor.shape)}."
        )
    images = tensor.movedim(batch_dim, 0)
    deviation = max(images.shape[2:]) / 10
    for dim in (2, 3):
        size = images.shape[dim]
        places = torch.arange(size, dtype=images.dtype, device=images.device)
        kernel = torch.exp(-((places[:, None] - places) ** 2) / (2 * deviation**2))
        kernel = kernel / kernel.sum(1, keepdim=True)  # at the border what lies outside has no weight
        images = functional.linear(images.transpose(dim, 3), kernel).transpose(dim, 3)
    return images.movedim(0, batch_dim)
