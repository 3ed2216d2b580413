"""The family of perturbation: methods that only ask the model, again and again, with features missing."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.baselines import Baselines
from layerscope.probing.attributions.features import FeatureChoice, Features, features_of
from layerscope.probing.attributions.masking import Masking
from layerscope.probing.attributions.method import Method, Question
from layerscope.probing.attributions.path import checked_count
from layerscope.probing.calls import input_tensors

FEWEST_SAMPLES = 512
"""How often the model is asked about each sample where nothing else is said; four times the features if these are
more than 128."""


@dataclass(frozen=True)
class Effects:
    """What a method finds about the features of each sample."""

    effects: list[NDArray[np.float64]]
    """For each sample [features]; NaN of those of which the values that are finite tell nothing."""
    noise: NDArray[np.float64] | None = None
    """[batch] standard error of the effects (root of its mean square over features), over their largest magnitude: 0
    where nothing was drawn, NaN where too little was drawn to tell. None of a method that draws nothing."""
    delta: NDArray[np.float64] | None = None
    """[batch] completeness gap; NaN where it is not known what the effects should add up to."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Perturbation(Method):
    """What the methods of the family share: features, what stands for missing ones, and how the model is asked.

    The inputs alone are attributed. The effect of a feature is shared evenly among its elements, so that the elements
    of an input add up to the effects; elements that belong to no feature have 0. No gradient is needed. Where the model
    gives no finite number for some coalitions, they are left out, which a note says.

    Args:
        features: what the features are, see ``features.WORDS``: of images superpixels (SLIC; regular patches where
            scikit-image, extra ``images``, is not installed, which a note says), of integers tokens, of tables columns,
            of series time steps; or a tensor of integers that numbers them. Those of several inputs form one game.
        n_features: about how many superpixels or patches an image has.
        baselines: what stands for missing elements: None for zeros (of integers: ``padding_id``, or 0), a number, a
            tensor that broadcasts to the input, ``"blur"`` for images, or one of these for each input tensor in a
            sequence or mapping.
        background: instead of it background samples, a tensor [samples, ...] like the input (or one for each input
            tensor): values are means over them, at as many times the cost.
        padding_id: the integer of tokens that are no features.
        internal_batch_size: the most samples in a pass; None infers it from the size of the inputs.
    """

    features: FeatureChoice = "auto"
    n_features: int = 50
    baselines: Baselines = None
    background: Baselines = None
    padding_id: int | None = None
    internal_batch_size: int | None = None

    @abstractmethod
    def explain(self, masking: Masking) -> Effects:
        """Return the effects of the features."""

    def partition(self, question: Question) -> Features:
        """Return the features of the inputs."""
        checked_count("n_features", self.n_features)
        return features_of(question, self.features, self.n_features, self.padding_id)

    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the attributions of the inputs."""
        features = self.partition(question)
        masking = Masking(
            question, features, self.baselines, self.background, self.padding_id, self.internal_batch_size
        )
        found = self.explain(masking)
        return Attribution(
            method=name,
            signed=self.signed,
            layers={},
            inputs=spread(found.effects, features, question),
            targets=masking.targets,
            probabilities=masking.probabilities,
            delta=None if found.delta is None or np.isnan(found.delta).all() else torch.from_numpy(found.delta).float(),
            trust={} if found.noise is None else {"noise": torch.from_numpy(found.noise).float()},
            notes=(*features.notes, *masking.notes, *found.notes),
        )


def spread(effects: list[NDArray[np.float64]], features: Features, question: Question) -> list[Tensor]:
    """Return the effects of features as attributions of the inputs, float32, batch first; NaN of inputs without any."""
    tensors = input_tensors(question.inputs)
    sizes = [features.sizes(sample, tensors, question.batch_dim) for sample in range(len(effects))]
    shares = [torch.from_numpy(np.append(e / n, 0.0)).float() for e, n in zip(effects, sizes, strict=True)]
    found: list[Tensor] = []
    for tensor, numbers in zip(tensors, features.numbers, strict=True):
        if numbers is None:
            shape = tensor.movedim(question.batch_dim, 0).shape if tensor.ndim > question.batch_dim else tensor.shape
            found.append(torch.full(shape, torch.nan))
            continue
        parts = torch.stack([share[own] for share, own in zip(shares, numbers, strict=True)])  # -1 is the 0 at the end
        found.append(parts.expand(tensor.movedim(question.batch_dim, 0).shape).clone())
    return found


def samples_for(n_samples: int | None, features: int, fewest: int) -> int:
    """Return how often the model is asked about a sample.

    Raises:
        InvalidArgumentError: ``n_samples`` is less than ``fewest``, so that nothing can be told.
    """
    if n_samples is None:
        return max(FEWEST_SAMPLES, 4 * features, fewest)
    if n_samples < fewest:
        raise InvalidArgumentError(
            f"n_samples must be at least {fewest} for {features} features, but it is {n_samples}. "
            "Ask for more samples or for fewer features."
        )
    return n_samples


def all_coalitions(features: int) -> NDArray[np.bool_]:
    """Return every coalition, [2^features, features]: feature i is there where bit i of the row's number is 1."""
    return (np.arange(1 << features)[:, None] >> np.arange(features) & 1).astype(bool)


def finite_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first dimension of what is finite there; NaN where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(0)
    return np.where(count > 0, np.where(finite, values, 0.0).sum(0) / np.maximum(count, 1), np.nan)


def noise_floor(errors: NDArray[np.float64], effects: NDArray[np.float64]) -> float:
    """Return the root mean square of standard errors [features] over the largest magnitude of the effects."""
    largest = float(np.abs(effects).max())
    error = float(np.sqrt(np.mean(np.square(errors))))
    return error / largest if largest else (0.0 if error == 0 else float("nan"))


def regression_errors(
    design: NDArray[np.float64],
    weights: NDArray[np.float64],
    residuals: NDArray[np.float64],
    drawn: NDArray[np.float64],
    penalty: NDArray[np.float64] | float = 0.0,
) -> NDArray[np.float64]:
    """Return standard errors of the coefficients of a weighted regression, from what was drawn by chance.

    The sandwich of White 1980 with residuals over 1 - leverage (HC3, MacKinnon & White 1985), which is the jackknife in
    closed form; rows that were drawn together (a coalition and its complement) count as one.

    Args:
        design: [draws, rows, coefficients].
        weights: [draws, rows].
        residuals: [draws, rows].
        drawn: [draws] share of each draw's variance that is chance: 0 for what is always there, 1 for a draw from very
            many.
        penalty: of the ridge, [coefficients] or a number.
    """
    normal = np.einsum("drc,dr,dre->ce", design, weights, design) + np.diag(np.broadcast_to(penalty, design.shape[2]))
    inverse = np.linalg.pinv(normal, hermitian=True)
    leverage = np.einsum("drc,ce,dre,dr->dr", design, inverse, design, weights)
    scores = np.einsum("drc,dr->dc", design, weights * residuals / np.clip(1 - leverage, 0.05, None))
    moved = scores @ inverse * np.sqrt(drawn)[:, None]
    return np.sqrt(np.square(moved).sum(0))
