"""LIME: a linear model that imitates the model near one sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.masking import Masking
from layerscope.probing.attributions.perturbation import (
    Effects,
    Perturbation,
    all_coalitions,
    noise_floor,
    regression_errors,
    samples_for,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Lime(Perturbation):
    """Coefficients of a weighted ridge regression of the model's values on which features are there.

    Ribeiro et al. 2016, "Why should I trust you?", eq. 1 with a linear model. Each feature is there with probability
    1/2; a coalition of s of d features has the cosine distance 1 - sqrt(s / d) from the sample itself and weighs
    exp(-distance^2 / (2 kernel_width^2)). Coalitions come with their complements, which lowers the error at the same
    cost; with 2^features samples or more all of them are asked about once, and nothing is left to chance. Coefficients
    do not add up to anything (``delta`` is None); how well the linear model imitates the model, its weighted R^2, is in
    ``notes``. ``trust["noise"]`` is the standard error of the coefficients over the largest of them, from the residuals
    of the regression.

    Args:
        n_samples: how often the model is asked about each sample; None for 512, or 4 times the features if more.
        kernel_width: how near coalitions must be to count, in cosine distance; 0.25 is that of LIME's own images.
        ridge: penalty on squared coefficients, as a share of the sum of weights, so that the answer does not depend on
            the number of samples. At 0.001 coefficients shrink by about 0.4 percent.
        seed: of the coalitions that are drawn.

    The other options are those of ``Perturbation``.
    """

    n_samples: int | None = None
    kernel_width: float = 0.25
    ridge: float = 0.001
    seed: int = 0

    def explain(self, masking: Masking) -> Effects:
        """Return the coefficients."""
        if not self.kernel_width > 0 or not self.ridge >= 0:
            raise InvalidArgumentError(
                "kernel_width must be greater than 0 and ridge at least 0, but they are "
                f"{self.kernel_width} and {self.ridge}."
            )
        plans = [self._plan(count) for count in masking.features.counts]
        values = masking.values([coalitions.reshape(-1, coalitions.shape[2]) for coalitions, _ in plans])
        fits = [self._fit(coalitions, exact, v) for (coalitions, exact), v in zip(plans, values, strict=True)]
        scores = ", ".join(f"{score:.2f}" for _, _, score in fits)
        return Effects(
            effects=[effects for effects, _, _ in fits],
            noise=np.array([noise for _, noise, _ in fits]),
            notes=(f"weighted R^2 of the linear model, sample by sample: {scores}",),
        )

    def _plan(self, features: int) -> tuple[NDArray[np.bool_], bool]:
        """Return coalitions [draws, rows of each, features], and whether they are all there are."""
        samples = samples_for(self.n_samples, features, features + 2)
        if 1 << features <= samples:
            return all_coalitions(features)[:, None], True
        first = np.random.default_rng(self.seed).random((samples // 2, features)) < 0.5
        return np.stack([first, ~first], 1), False

    def _fit(self, coalitions: NDArray[np.bool_], exact: bool, values: Array) -> tuple[Array, float, float]:
        """Return coefficients [features], their noise floor and the weighted R^2."""
        draws, rows, features = coalitions.shape
        distance = 1 - np.sqrt(coalitions.mean(2))
        weights = np.exp(-(distance**2) / (2 * self.kernel_width**2))
        values = values.reshape(draws, rows)
        finite = np.isfinite(values)
        there = coalitions[finite].sum(0)
        varied = (there > 0) & (there < finite.sum())  # of a feature that is always there, or never, nothing is told
        if not varied.any():
            return np.full(features, math.nan), math.nan, math.nan
        weights, values = np.where(finite, weights, 0.0), np.where(finite, values, 0.0)
        weights /= weights.sum()
        design = np.concatenate([coalitions.astype(np.float64), np.ones((draws, rows, 1))], 2)
        penalty = np.append(np.full(features, self.ridge), 0.0)
        normal = np.einsum("drc,dr,dre->ce", design, weights, design) + np.diag(penalty)
        solution = np.linalg.pinv(normal, hermitian=True) @ np.einsum("drc,dr->c", design, weights * values)
        residuals = values - design @ solution
        mean = (weights * values).sum()
        spread = float((weights * (values - mean) ** 2).sum())
        score = 1 - float((weights * residuals**2).sum()) / spread if spread else math.nan
        effects = np.where(varied, solution[:-1], math.nan)
        if exact:
            return effects, 0.0, score
        if draws <= features + 1:  # as many unknowns as draws: the residuals say nothing
            return effects, math.nan, score
        errors = regression_errors(design, weights, residuals, np.ones(draws), penalty)[:-1]
        return effects, noise_floor(errors, effects), score
