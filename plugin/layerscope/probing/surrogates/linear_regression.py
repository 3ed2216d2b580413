"""Linear regression: how much each feature moves each output, everything else being equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.errors import InvalidArgumentError
from layerscope.probing.surrogates.surrogate_model import NUMBERS, Array, Fitted, SurrogateModel

_PENALTIES = np.logspace(-4, 5, 10)


@dataclass(frozen=True)
class LinearRegression(SurrogateModel):
    """A weighted sum of the features, each brought to mean 0 and standard deviation 1, with an L2 penalty on weights.

    Hoerl & Kennard 1970, "Ridge regression": minimizes |y - Xw|² + penalty |w|². Without a penalty a regression of as
    many pixels as samples is ill-posed: it fits all and imitates nothing.

    Args:
        penalty: 0 or more; None chooses among the powers of ten from 1e-4 to 1e5, one for all outputs, that with the
            least error on training samples left out one by one.
    """

    fits = (NUMBERS,)
    penalty: float | None = None

    def fit(self, features: Array, outputs: NDArray[Any], seed: int) -> Fitted:
        """Return the regression fitted to numbers, with its coefficients; nothing is random."""
        from sklearn.linear_model import Ridge, RidgeCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        if self.penalty is not None and not self.penalty >= 0:
            raise InvalidArgumentError(f"penalty must be 0 or more, or None to choose one, but it is {self.penalty}.")
        model: Any = RidgeCV(_PENALTIES) if self.penalty is None else Ridge(self.penalty, solver="svd")
        pipeline: Any = make_pipeline(StandardScaler(), model).fit(features, outputs)
        return Fitted(
            predict=lambda x: np.asarray(pipeline.predict(x), np.float64).reshape(len(x), -1),
            importances=np.asarray(model.coef_, np.float64).reshape(outputs.shape[1], features.shape[1]),
        )
