"""Logistic regression: which features speak for which class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InvalidArgumentError
from layerscope.probing.surrogates.surrogate_model import CLASSES, Array, Fitted, SurrogateModel

_MOST_STEPS = 1000


@dataclass(frozen=True)
class LogisticRegression(SurrogateModel):
    """The softmax of weighted sums of the features, each brought to mean 0 and standard deviation 1.

    Cox 1958, "The regression analysis of binary sequences": minimizes the summed cross-entropy + penalty/2 |w|². The
    importances are the weights, a row for each class: the difference of two rows is what a standard deviation more of
    a feature adds to the log odds of the one class against the other.

    Args:
        penalty: more than 0. What a network says holds no noise, so little is needed.
    """

    fits = (CLASSES,)
    penalty: float = 0.01

    def fit(self, features: Array, outputs: NDArray[Any], seed: int) -> Fitted:
        """Return the regression fitted to classes, with its coefficients; nothing is random."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression as Regression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if not self.penalty > 0:
            raise InvalidArgumentError(f"penalty must be more than 0, but it is {self.penalty}.")
        model: Any = Regression(C=1 / self.penalty, max_iter=_MOST_STEPS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # how well it imitates is measured anyway
            pipeline: Any = make_pipeline(StandardScaler(), model).fit(features, outputs)
        weights = np.asarray(model.coef_, np.float64)
        if len(weights) == 1:  # of two classes only the difference is kept: share it, as the softmax would
            weights = np.concatenate([-weights / 2, weights / 2])
        return Fitted(predict=lambda x: np.asarray(pipeline.predict(x), np.int64), importances=weights)
