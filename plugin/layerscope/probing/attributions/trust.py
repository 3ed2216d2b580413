"""How far to trust attributions of the inputs: scores of ``wire.TRUST`` beside those of a random map and of the input.

A map can look right and say nothing (Adebayo et al. 2018, "Sanity Checks for Saliency Maps"). Removing what is said to
matter must change what the model says, more than removing anything at random (Samek et al. 2017, "Evaluating the
Visualization of What a Deep Neural Network Has Learned"; Petsiuk et al. 2018, "RISE", section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from layerscope.containment import contained
from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.features import padding_of
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import Path, chunked
from layerscope.probing.attributions.target import describe, select
from layerscope.probing.calls import input_tensors

SCORES = ("completeness", "deletion", "insertion", "randomization")
"""What may be asked for."""

STEPS = 8
"""In how many equal parts the features of a sample are removed."""

CHEAP = ("completeness", "deletion", "insertion")
"""What is scored by default. Deletion and insertion take 14 forward passes of the batch for each method (28 for images,
whose random maps are their own), 14 for the input, and 14 for the random order of other kinds of inputs."""

_SEED = 0


def score(
    question: Question,
    methods: Mapping[str, Method],
    attributions: Mapping[str, Attribution],
    which: Sequence[str] = CHEAP,
) -> dict[str, Attribution]:
    """Return the attributions with scores in ``trust``; those that say nothing of the inputs are as they were.

    Args:
        question: what was asked.
        methods: name -> method; needed for ``randomization``, which asks them again.
        attributions: name -> answer.
        which: ``completeness``, ``deletion``, ``insertion`` (each beside the random map and the input), and
            ``randomization``.
    """
    of_inputs = {name: found for name, found in attributions.items() if _cells(found, question.batch_dim)}
    scores: dict[str, dict[str, Tensor]] = {name: dict(found.trust) for name, found in attributions.items()}
    for name, found in of_inputs.items():
        if "completeness" in which and found.delta is not None:
            scores[name]["completeness"] = _relative_gap(found)
    if of_inputs and ("deletion" in which or "insertion" in which):
        for name, found in _removals(question, of_inputs, which).items():
            scores[name] |= found
    if of_inputs and "randomization" in which:
        for name, found in _randomized(question, {name: methods[name] for name in of_inputs}).items():
            scores[name]["randomization"] = _likeness(of_inputs[name], found, question)
    return {name: replace(found, trust=scores[name]) for name, found in attributions.items()}


def _cells(found: Attribution, batch_dim: int) -> list[tuple[int, Tensor]]:
    """Return (position of the input, [batch, cells...]) of what is attributed; the colours of an image are one cell."""
    known = [(i, tensor) for i, tensor in enumerate(found.inputs) if tensor.ndim > 1 and not tensor.isnan().all()]
    return [(i, tensor.sum(1) if tensor.ndim == 4 else tensor) for i, tensor in known]


def _relative_gap(found: Attribution) -> Tensor:
    assert found.delta is not None
    batch = len(found.delta)
    known = [t.nan_to_num(0.0).reshape(batch, -1).sum(1) for t in found.inputs if t.ndim and len(t) == batch]
    change = torch.stack(known).sum(0) - found.delta
    return found.delta.abs() / change.abs()


def _removals(
    question: Question, attributions: Mapping[str, Attribution], which: Sequence[str]
) -> dict[str, dict[str, Tensor]]:
    """Return name -> scores of removing and of bringing back."""
    removal = _Removal(question)
    areas: dict[str, dict[str, Tensor]] = {}
    shared: dict[tuple[int, ...], dict[str, Tensor]] = {}
    for name, found in attributions.items():
        cells = _cells(found, question.batch_dim)
        magnitude = [(i, tensor if found.signed else tensor.abs()) for i, tensor in cells]
        areas[name] = removal.areas(magnitude, which)
        places = tuple(i for i, _ in cells)
        images = any(tensor.ndim == 3 for _, tensor in cells)
        if places not in shared:
            shared[places] = removal.of_input(cells, which)
            if not images:
                random = _random([(i, torch.ones_like(tensor)) for i, tensor in cells])
                shared[places] |= removal.areas(random, which, "_random")
        areas[name] |= shared[places]
        if images:
            areas[name] |= removal.areas(_random(magnitude), which, "_random")
    return areas


def _random(cells: list[tuple[int, Tensor]]) -> list[tuple[int, Tensor]]:
    """Return maps that say nothing: [batch, cells] in random order, [batch, height, width] moved elsewhere.

    Pixels taken away at random are noise, to which networks react more than to losing any region; it would make every
    map of regions (superpixels, Grad-CAM) look worse than chance, and every map of single pixels better.
    """
    generator = torch.Generator().manual_seed(_SEED)
    return [
        (i, _moved(tensor, generator) if tensor.ndim == 3 else torch.rand(tensor.shape, generator=generator))
        for i, tensor in cells
    ]


def _moved(maps: Tensor, generator: torch.Generator) -> Tensor:
    """Return each map moved, round the edges, by a quarter to three quarters of its height and of its width."""
    moved: list[Tensor] = []
    for one in maps:
        shifts = [side // 4 + int(torch.randint(side // 2 + 1, (), generator=generator)) for side in one.shape]
        moved.append(one.roll(shifts, (0, 1)))
    return torch.stack(moved)


class _Removal:
    """Runs the model on inputs of which features are missing."""

    def __init__(self, question: Question) -> None:
        self._path = Path(replace(question, layers=()))
        self._tensors = input_tensors(question.inputs)
        count = len(self._path.value)
        self._full = self._values([], torch.ones(1, count, 0))[0]

    def areas(self, cells: list[tuple[int, Tensor]], which: Sequence[str], suffix: str = "") -> dict[str, Tensor]:
        """Return the scores of taking ``cells`` away, the largest first."""
        flat = torch.cat([tensor.flatten(1) for _, tensor in cells], 1).nan_to_num(-torch.inf)
        padding = self._padding(cells)
        ranks = torch.sort(-flat.masked_fill(padding, -torch.inf), dim=1, stable=True).indices.argsort(1)
        size = (~padding).sum(1)
        parts = torch.arange(1, STEPS)[:, None] / STEPS
        removed = (size * parts).round()[:, :, None]
        empty = self._values(cells, padding[None].float())[0]
        found: dict[str, Tensor] = {}
        if "deletion" in which:
            values = self._values(cells, ((ranks >= removed) | padding).float())
            found[f"deletion{suffix}"] = self._area(self._full, values, empty, empty)
        if "insertion" in which:
            values = self._values(cells, ((ranks < removed) | padding).float())
            found[f"insertion{suffix}"] = self._area(empty, values, self._full, empty)
        return found

    def _padding(self, cells: list[tuple[int, Tensor]]) -> Tensor:
        """Return [batch, cells]: which are padding, neither to be taken away nor ranked; none where all would be.

        What says nothing to the model, because it is masked or padded, can be taken away without any effect, so that a
        map that points there would seem to say much, and one that does not would beat chance by that alone.
        """
        absent = padding_of(self._path.question)
        parts: list[Tensor] = []
        for i, tensor in cells:
            padded = absent[i]
            parts.append(torch.zeros(tensor.flatten(1).shape).bool() if padded is None else padded.flatten(1))
        found = torch.cat(parts, 1)
        return found & ~found.all(1, keepdim=True)

    def of_input(self, cells: list[tuple[int, Tensor]], which: Sequence[str]) -> dict[str, Tensor]:
        """Return the same scores of the order of the input's own magnitude; none of integers."""
        if not all(self._tensors[i].is_floating_point() for i, _ in cells):
            return {}
        dim = self._path.question.batch_dim
        inputs = [(i, self._tensors[i].detach().movedim(dim, 0).abs().cpu()) for i, _ in cells]
        raw = [(i, tensor.sum(1) if tensor.ndim == 4 else tensor) for i, tensor in inputs]
        return self.areas(raw, which, "_input")

    def _area(self, first: Tensor, values: Tensor, last: Tensor, empty: Tensor) -> Tensor:
        """Return the mean over the way [batch], by trapezia; scores are brought to 0 (nothing there) and 1 (all)."""
        way = torch.cat([first[None], values, last[None]])
        if not self._path.has_probabilities:
            way = (way - empty) / (self._full - empty)
        return ((way[1:] + way[:-1]) / 2).mean(0)

    def _values(self, cells: list[tuple[int, Tensor]], keep: Tensor) -> Tensor:
        """Return what the model says [points, batch] where ``keep`` [points, batch, cells] tells what stays."""
        shapes = [tensor.shape[1:] for _, tensor in cells]
        parts = keep.split([shape.numel() for shape in shapes], 2) if shapes else ()
        kept = {i: part.unflatten(2, shape) for (i, _), part, shape in zip(cells, parts, shapes, strict=True)}
        values: list[Tensor] = []
        done = 0
        for points in chunked(self._path.question, torch.zeros(len(keep)), [None] * len(keep), None):
            chosen = {i: tensor[done : done + len(points)] for i, tensor in kept.items()}
            done += len(points)
            values.append(self._path.masked(points, chosen, _probability))
        return torch.cat(values)


def _probability(output: Any, target: Any, batch_dim: int) -> Tensor:
    """Return the probability of the target, or the score where there is none."""
    values = select(output, target, batch_dim)
    _, probabilities = describe(output, target, len(values), batch_dim)
    return values if probabilities.isnan().any() else probabilities


def _randomized(question: Question, methods: Mapping[str, Method]) -> dict[str, Attribution]:
    """Return the answers of the same network, with the elements of each weight in another order."""
    path = Path(replace(question, layers=()))
    fixed = replace(path.question, layers=())
    generator = torch.Generator().manual_seed(_SEED)
    with contained(question.model):
        for parameter in question.model.parameters():
            if parameter.ndim > 1 and not parameter.is_meta:
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.data = parameter.detach().flatten()[order].reshape(parameter.shape)
        return {name: method.attribute(name, fixed) for name, method in methods.items()}


def _likeness(found: Attribution, other: Attribution, question: Question) -> Tensor:
    """Return the magnitude of Spearman's rank correlation of two attributions [batch]."""
    pairs = [
        (a.flatten(1), b.flatten(1))
        for (_, a), (_, b) in zip(_cells(found, question.batch_dim), _cells(other, question.batch_dim), strict=True)
    ]
    ours, theirs = (torch.cat(parts, 1) for parts in zip(*pairs, strict=True))
    return torch.stack([_rank_correlation(a, b) for a, b in zip(ours, theirs, strict=True)])


def _rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    informative = (a != 0) | (b != 0)  # what both leave out, as the empty border of a digit, proves nothing
    if informative.sum() < 2:
        return torch.tensor(torch.nan)
    ranks = torch.stack([_ranks(a[informative]), _ranks(b[informative])])
    return torch.corrcoef(ranks)[0, 1].abs().float()


def _ranks(values: Tensor) -> Tensor:
    """Return the rank of each value, equal ones sharing the mean of theirs."""
    _, places, counts = torch.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum(0).double()
    return (last - (counts - 1) / 2)[places]
