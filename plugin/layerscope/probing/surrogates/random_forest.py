"""A random forest: how much of the network a surrogate can catch at all, and with which features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope.probing.surrogates.surrogate_model import (
    CLASSES,
    NUMBERS,
    Array,
    Fitted,
    SurrogateModel,
    require_positive,
)


@dataclass(frozen=True)
class RandomForest(SurrogateModel):
    """The mean of many deep trees, each fitted to a bootstrap sample and choosing each split among a few features.

    Breiman 2001, "Random Forests". Tried at a split is a third of the features for numbers, the square root of their
    number for classes. The importances are the shares of the features in what the splits gain, and sum to 1.

    Args:
        trees: how many, 1 or more.
        max_depth: most questions from a root to a leaf, 1 or more; None has no limit.
        min_samples_leaf: fewest training samples in a leaf, 1 or more.
    """

    fits = (NUMBERS, CLASSES)
    trees: int = 100
    max_depth: int | None = None
    min_samples_leaf: int = 1

    def fit(self, features: Array, outputs: NDArray[Any], seed: int) -> Fitted:
        """Return the forest fitted to numbers or to classes; the seed draws samples and features."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        require_positive(trees=self.trees, max_depth=self.max_depth, min_samples_leaf=self.min_samples_leaf)
        classes = outputs.ndim == 1
        kind: Any = RandomForestClassifier if classes else RandomForestRegressor
        model: Any = kind(
            self.trees,
            max_depth=self.max_depth,
            min_samples_leaf=self.min_samples_leaf,
            max_features="sqrt" if classes else 1 / 3,
            random_state=seed,
        )
        model.fit(features, outputs if classes or outputs.shape[1] > 1 else outputs[:, 0])
        return Fitted(
            predict=lambda x: np.asarray(model.predict(x)).reshape(len(x), *outputs.shape[1:]),
            importances=np.asarray(model.feature_importances_, np.float64)[None],
        )
