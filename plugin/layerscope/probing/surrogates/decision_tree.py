"""A decision tree: the network's behaviour as a handful of questions."""

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
from layerscope.wire import TreeNode


@dataclass(frozen=True)
class DecisionTree(SurrogateModel):
    """A binary tree of thresholds on single features.

    Breiman et al. 1984, "Classification and Regression Trees"; as an image of a network: Craven & Shavlik 1996,
    "Extracting Tree-Structured Representations of Trained Networks". Of classes it is split by Gini impurity, of
    numbers by squared error. The importances are the shares of the features in what the splits gain, and sum to 1.

    Args:
        max_depth: most questions from the root to a leaf, 1 or more; None has no limit, and hardly a reader.
        min_samples_leaf: fewest training samples in a leaf, 1 or more.
    """

    fits = (NUMBERS, CLASSES)
    max_depth: int | None = 4
    min_samples_leaf: int = 1

    def fit(self, features: Array, outputs: NDArray[Any], seed: int) -> Fitted:
        """Return the tree fitted to numbers or to classes; the seed decides between splits that gain the same."""
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        require_positive(max_depth=self.max_depth, min_samples_leaf=self.min_samples_leaf)
        kind: Any = DecisionTreeClassifier if outputs.ndim == 1 else DecisionTreeRegressor
        model: Any = kind(max_depth=self.max_depth, min_samples_leaf=self.min_samples_leaf, random_state=seed)
        model.fit(features, outputs)
        return Fitted(
            predict=lambda x: np.asarray(model.predict(x)).reshape(len(x), *outputs.shape[1:]),
            importances=np.asarray(model.feature_importances_, np.float64)[None],
            tree=_nodes(model.tree_),
        )


def _nodes(tree: Any) -> tuple[TreeNode, ...]:
    """Return the nodes of scikit-learn's tree, which stand there depth first."""
    values = tree.value.reshape(tree.node_count, -1).tolist()  # means, or shares of the classes
    samples, features, thresholds = tree.n_node_samples.tolist(), tree.feature.tolist(), tree.threshold.tolist()
    left, right = tree.children_left.tolist(), tree.children_right.tolist()
    return tuple(
        TreeNode(samples[i], tuple(values[i]))
        if left[i] < 0
        else TreeNode(samples[i], tuple(values[i]), features[i], thresholds[i], left[i], right[i])
        for i in range(tree.node_count)
    )
