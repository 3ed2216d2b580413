"""Shapley value sampling: what a feature adds, over random orders in which features come."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.probing.attributions.masking import Masking
from layerscope.probing.attributions.perturbation import (
    Effects,
    Perturbation,
    all_coalitions,
    finite_mean,
    noise_floor,
    samples_for,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ShapleySampling(Perturbation):
    """Shapley values of the features: the mean of what each adds to those before it, over orders.

    Castro et al. 2009, "Polynomial calculation of the Shapley value based on sampling", algorithm 1, with each random
    order taken backwards too (antithetic; Mitchell et al. 2022, "Sampling permutations for Shapley value estimation").
    Each order adds up to the change of the target from its baseline, so the mean does; ``delta`` is rounding. With
    2^features samples or more all coalitions are asked about, and the values are exact. ``trust["noise"]`` is the
    standard error of the effects over the largest of them, from how the orders differ; NaN of a single pair of orders.

    Args:
        n_samples: how often the model is asked about each sample: 2 (features - 1) for an order and its reverse, and 2
            for the ends; None for 512, or 4 times the features if more.
        seed: of the orders.

    The other options are those of ``Perturbation``.
    """

    n_samples: int | None = None
    seed: int = 0

    def explain(self, masking: Masking) -> Effects:
        """Return the Shapley values, exact or estimated."""
        plans = [self._orders(count) for count in masking.features.counts]
        asked = [
            all_coalitions(count) if orders is None else _coalitions(orders)
            for count, orders in zip(masking.features.counts, plans, strict=True)
        ]
        values = masking.values(asked)
        effects: list[Array] = []
        noise: list[float] = []
        for orders, found, full in zip(plans, values, masking.full, strict=True):
            own, error = (exact_shapley_values(found), 0.0) if orders is None else _means(orders, found, float(full))
            effects.append(own)
            noise.append(error)
        change = [full - found[0] for full, found in zip(masking.full, values, strict=True)]
        delta = np.array([own.sum() - c for own, c in zip(effects, change, strict=True)])
        return Effects(effects, np.array(noise), delta)

    def _orders(self, features: int) -> NDArray[np.int64] | None:
        """Return random orders [orders, features], or None if all coalitions can be asked about."""
        samples = samples_for(self.n_samples, features, 2 * features)
        if 1 << features <= samples:
            return None
        generator = np.random.default_rng(self.seed)
        return np.stack([generator.permutation(features) for _ in range((samples - 2) // (2 * features - 2))])


def exact_shapley_values(values: Array) -> Array:
    """Return the Shapley values [features] of a game, from the values of all coalitions.

    Shapley 1953: the mean of what a feature adds, over the coalitions of each size, over sizes. Of what it adds to or
    from coalitions whose value is NaN nothing is known, and the others count the more.

    Args:
        values: [2^features], in the order of ``all_coalitions``.
    """
    features = len(values).bit_length() - 1
    numbers = np.arange(len(values))
    sizes = all_coalitions(features).sum(1)
    weights = np.array([1 / (features * math.comb(features - 1, size)) for size in range(features)])
    effects = np.zeros(features)
    for feature in range(features):
        without = numbers[numbers >> feature & 1 == 0]
        added, share = values[without | 1 << feature] - values[without], weights[sizes[without]]
        known = np.isfinite(added)
        if known.all():
            effects[feature] = share @ added
        else:
            effects[feature] = share[known] @ added[known] / share[known].sum() if known.any() else math.nan
    return effects


def _coalitions(orders: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the coalitions along orders: the empty one, then each order's, then those of the orders backwards.

    Those of an order backwards are the complements, of each order from the largest to the smallest.
    """
    features = orders.shape[1]
    rank = np.argsort(orders, 1)
    forwards = (rank[:, None] < np.arange(1, features)[:, None]).reshape(-1, features)
    return np.concatenate([np.zeros((1, features), bool), forwards, ~forwards])


def _means(orders: NDArray[np.int64], values: Array, full: float) -> tuple[Array, float]:
    """Return the mean of what each feature adds [features], and the noise floor."""
    count, features = orders.shape
    forwards, complements = values[1:].reshape(2, count, features - 1)
    empty, whole = np.full((count, 1), values[0]), np.full((count, 1), full)
    added = np.diff(np.concatenate([empty, forwards, whole], 1))  # [orders, place]
    backwards = np.diff(np.concatenate([whole, complements, empty], 1)) * -1  # the same feature, with those behind it
    pairs = np.zeros((count, features))
    np.put_along_axis(pairs, orders, finite_mean(np.stack([added, backwards])), 1)
    effects = finite_mean(pairs)
    known = np.isfinite(pairs).sum(0)
    if known.min() < 2:
        return effects, math.nan
    variances = finite_mean(np.square(pairs - effects)) / (known - 1)
    return effects, noise_floor(np.sqrt(variances), effects)
