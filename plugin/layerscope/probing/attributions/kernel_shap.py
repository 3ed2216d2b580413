"""KernelSHAP: Shapley values by a weighted regression on coalitions."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.probing.attributions.masking import Masking
from layerscope.probing.attributions.perturbation import (
    Effects,
    Perturbation,
    noise_floor,
    regression_errors,
    samples_for,
)

Array = NDArray[np.float64]

_ENUMERABLE = 50_000


@dataclass(frozen=True)
class KernelShap(Perturbation):
    """Shapley values of the features: the additive game that fits the model's values of coalitions best.

    Lundberg & Lee 2017, "A unified approach to interpreting model predictions", eq. 8 (Charnes et al. 1988): a
    regression in which a coalition of s of d features weighs (d - 1) / (C(d, s) s (d - s)), constrained to the values
    of the empty and the full coalition, which are solved for exactly; so effects add up to the change of the target
    from its baseline, and ``delta`` is rounding. Coalitions come with their complements (Covert & Lee 2021, "Improving
    KernelSHAP", section 4.2), are spread over sizes evenly and never drawn twice; a size of which there are few is
    taken whole. With 2^features samples or more the values are exact. ``trust["noise"]`` is the standard error of the
    effects over the largest of them, from the residuals of the regression.

    Args:
        n_samples: how often the model is asked about each sample; None for 512, or 4 times the features if more.
        seed: of the coalitions that are drawn.

    The other options are those of ``Perturbation``.
    """

    n_samples: int | None = None
    seed: int = 0

    def explain(self, masking: Masking) -> Effects:
        """Return the Shapley values, exact or estimated."""
        plans = [self._plan(count) for count in masking.features.counts]
        values = masking.values([plan.coalitions for plan in plans])
        solved = [plan.solved(v, full) for plan, v, full in zip(plans, values, masking.full, strict=True)]
        change = [full - v[0] for full, v in zip(masking.full, values, strict=True)]
        return Effects(
            effects=[effects for effects, _ in solved],
            noise=np.array([noise for _, noise in solved]),
            delta=np.array([e.sum() - c for (e, _), c in zip(solved, change, strict=True)]),
        )

    def _plan(self, features: int) -> Pairs:
        samples = samples_for(self.n_samples, features, 2 * features)
        pairs = (min(samples, 1 << features) - 2) // 2
        return Pairs.drawn(features, pairs, np.random.default_rng(self.seed))


@dataclass(frozen=True)
class Pairs:
    """Coalitions, each with its complement."""

    first: NDArray[np.bool_]
    """[pairs, features] the smaller one of each."""
    weights: Array
    """[pairs] what each stands for in the regression."""
    chance: Array
    """[pairs] 1 less the share of all pairs of that size that are here."""

    @staticmethod
    def drawn(features: int, pairs: int, generator: np.random.Generator) -> Pairs:
        """Return ``pairs`` pairs, or all there are, that stand for all sizes but the empty and the full coalition."""
        sizes = range(1, features // 2 + 1)
        totals = {s: math.comb(features, s) // (2 if 2 * s == features else 1) for s in sizes}
        kernel = {s: (1 if 2 * s == features else 2) / (s * (features - s)) for s in sizes}
        first, weights, chance = [np.zeros((0, features), bool)], [np.zeros(0)], [np.zeros(0)]
        for size, count in _allocated(totals, features, pairs, generator).items():
            if count:
                first.append(_subsets(features, size, count, totals[size], generator))
                weights.append(np.full(count, kernel[size] / count))
                chance.append(np.full(count, 1 - count / totals[size]))
        return Pairs(np.concatenate(first), np.concatenate(weights), np.concatenate(chance))

    @property
    def coalitions(self) -> NDArray[np.bool_]:
        """The coalitions to ask about: the empty one, then the first of each pair, then the complements."""
        empty = np.zeros((1, self.first.shape[1]), bool)
        return np.concatenate([empty, self.first, ~self.first])

    def solved(self, values: Array, full: float) -> tuple[Array, float]:
        """Return the Shapley values and their noise floor, of the values of ``coalitions``.

        The even part of a pair's values tells nothing of an additive game with given ends: v(z) - v(complement) =
        2 (z - 1/2) . effects. Of the effects that have the right sum, the rest is orthogonal to a vector of ones.
        Pairs of which a value is NaN are left out; where that of an end is, the effects are not bound to a sum, and
        where too little is left to tell them apart, they are NaN.
        """
        pairs, features = self.first.shape
        odd = (values[1 : 1 + pairs] - values[1 + pairs :]) / 2
        kept, bound = np.isfinite(odd), bool(np.isfinite(full - values[0]))
        mean = (full - values[0]) / features if bound else 0.0
        if features == 1:
            return np.array([mean if bound else math.nan]), 0.0
        weights, chance = self.weights[kept], self.chance[kept]
        signs = self.first[kept].astype(np.float64) - 0.5
        target = odd[kept] - mean * signs.sum(1)
        design = signs - bound * signs.mean(1, keepdims=True)
        root = np.sqrt(weights)
        rest, _, rank, _ = np.linalg.lstsq(design * root[:, None], target * root, rcond=None)
        if not (bound and kept.all()) and rank < features - bound:
            return np.full(features, math.nan), math.nan
        effects = mean + rest
        if not chance.any():
            return effects, 0.0
        if len(target) < features:  # one pair for each unknown: nothing is left over to tell the noise from
            return effects, math.nan
        residuals = target - design @ rest
        errors = regression_errors(design[:, None], weights[:, None], residuals[:, None], chance)
        return effects, noise_floor(errors, effects)


def _allocated(totals: dict[int, int], features: int, pairs: int, generator: np.random.Generator) -> dict[int, int]:
    """Return size -> how many pairs of it are taken: all of those of which there are few, of the others even shares."""
    open_sizes = dict(totals)
    taken: dict[int, int] = {}
    while open_sizes:
        share = {s: _share(s, features) for s in open_sizes}
        whole = sum(share.values())
        few = [s for s in open_sizes if open_sizes[s] <= pairs * share[s] / whole]
        if not few:
            break
        for size in few:
            taken[size] = open_sizes.pop(size)
            pairs -= taken[size]
    if open_sizes:
        bounds = np.cumsum([_share(s, features) for s in open_sizes])
        places = np.floor(bounds / bounds[-1] * pairs + generator.random())  # systematic: each gets its share, rounded
        places[-1] = pairs
        taken |= dict(zip(open_sizes, np.diff(places, prepend=0).astype(int).tolist(), strict=True))
    return taken


def _share(size: int, features: int) -> float:
    return 0.5 if 2 * size == features else 1.0


def _subsets(features: int, size: int, count: int, total: int, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Return ``count`` different coalitions of a size, [count, features]; of half the size those with feature 0."""
    half = 2 * size == features
    chosen: set[tuple[int, ...]] = set()
    if total <= _ENUMERABLE:
        known = list(itertools.islice(itertools.combinations(range(features), size), total))
        chosen = {known[i] for i in generator.choice(total, count, replace=False)}
    while len(chosen) < count:
        drawn = generator.permutation(features - half)[: size - half] + half
        chosen.add((0, *sorted(drawn.tolist())) if half else tuple(sorted(drawn.tolist())))
    found = np.zeros((count, features), bool)
    np.put_along_axis(found, np.array(sorted(chosen)), True, 1)
    return found
