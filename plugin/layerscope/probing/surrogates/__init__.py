"""Surrogates: something simple that people can read, fitted to what a network says, and how well it imitates it.

One kind, one file: a dataclass whose fields are its options, and one row in ``SURROGATES``. ``features.py`` is what a
surrogate sees, ``imitated.py`` what it imitates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from layerscope import wire
from layerscope.containment import random_states_preserved
from layerscope.errors import InvalidArgumentError
from layerscope.given_names import nearest
from layerscope.probing.calls import input_tensors
from layerscope.probing.held_out import agreement, r2, split
from layerscope.probing.pooling import pooled
from layerscope.probing.surrogates.decision_tree import DecisionTree
from layerscope.probing.surrogates.features import checked, of_array, of_inputs, of_layer
from layerscope.probing.surrogates.imitated import Imitated, Outputs, imitated, read
from layerscope.probing.surrogates.linear_regression import LinearRegression
from layerscope.probing.surrogates.logistic_regression import LogisticRegression
from layerscope.probing.surrogates.random_forest import RandomForest
from layerscope.probing.surrogates.surrogate_model import Fitted, SurrogateModel, needing_scikit_learn

__all__ = ["SURROGATES", "surrogate"]

SURROGATES: dict[str, type[SurrogateModel]] = {
    "linear_regression": LinearRegression,
    "logistic_regression": LogisticRegression,
    "decision_tree": DecisionTree,
    "random_forest": RandomForest,
}
"""Name -> its class, a dataclass whose fields are the options."""

_MOST_NUMBERS = 1_000_000
"""Most importances, and most numbers in the nodes of a tree: more do not fit into a message that is read."""


@random_states_preserved()
def surrogate(
    model: nn.Module,
    inputs: Any,
    *,
    surrogate: str = "decision_tree",
    of: str = "inputs",
    features: NDArray[Any] | Tensor | None = None,
    target: Imitated = None,
    feature_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    held_out: float = 0.25,
    seed: int = 0,
    batch_dim: int = 0,
    samples_at_once: int = 256,
    **options: Any,
) -> wire.Surrogate:
    """Return a simple model that imitates the network on a batch, fitted to what the network says, not to labels.

    It explains the network only as far as it imitates it, which ``score`` tells on samples that were held out: for
    numbers R², the share of the variance of all outputs together; for classes the share of samples on which the two
    agree (the fidelity of Craven & Shavlik 1996). A tree is given as its nodes and by ``to_dot()``.

    Args:
        model: the model; it runs in evaluation mode and is left as it was found.
        inputs: a tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model. Give some
            hundreds of samples or more.
        surrogate: ``"linear_regression"`` (numbers), ``"logistic_regression"`` (classes), ``"decision_tree"`` or
            ``"random_forest"`` (either).
        of: what it sees: ``"inputs"``, flattened, or the key of a layer, whose output is averaged over its positions
            to channels.
        features: numbers [samples, features] that it sees instead of the flattened inputs.
        target: what it imitates. ``"classes"``: the predicted class, or of a model with one score for each sample
            whether that is more than 0. ``"probabilities"``: of all classes, the softmax of the scores (or the scores
            themselves where they are probabilities already). ``"scores"``: as the model returned them. A class: its
            probability. A function: takes what the model returned and gives floating-point numbers [samples] or
            [samples, outputs], or classes, integers or truth values [samples]. None: for a logistic regression the
            classes, for the others the probabilities, or the score if there is but one. Nothing tells scores of
            classes from other numbers: of a network that predicts several quantities give ``"scores"``.
        feature_names: a name for each feature; None names them after their place, ``input[3]`` or ``fc1[3]``.
        output_names: a name for each score of the model, or for the two classes of a model with one score (or for
            what the function gives); None numbers them. Classes that are never predicted are left out.
        held_out: share of the samples that it is judged on and not fitted to; of each class the same share.
        seed: of the draw of those samples, and of what is random in trees.
        batch_dim: dimension of the samples in the inputs.
        samples_at_once: most samples of one forward pass.
        options: of the kind of surrogate, see its class: ``max_depth=6``.

    Raises:
        MissingExtraError: scikit-learn is not installed (extra ``surrogates``).
        InvalidArgumentError: no such surrogate or option, an argument does not fit the batch or the model, the model
            says the same for every sample, or there is more to tell than can be read.
        LayerNotFoundError: the model has no layer of that key.
        CaptureError: the layer has no output that can be seen, or infinities or NaN were found.
    """
    needing_scikit_learn("layerscope.surrogate")
    simple = _made(surrogate, options)
    if of == "inputs" and features is None:
        _require_quantities(model, inputs)
    if features is not None and of != "inputs":
        raise InvalidArgumentError(f"features were given, and of={of!r}, but a surrogate sees one of them. Drop one.")
    found = pooled(
        model,
        inputs,
        layers=[] if of == "inputs" else [of],
        at_end=lambda output: read(output, target),
        samples_at_once=samples_at_once,
        batch_dim=batch_dim,
    )
    outputs = imitated(found.output, target, simple.fits, output_names)
    samples = len(outputs.values)
    if features is not None:
        seen = of_array(features, samples)
    else:
        seen = of_inputs(inputs, batch_dim) if of == "inputs" else of_layer(of, _one(found.layers, of))
    values, names = checked(seen, feature_names)
    if len(values) != samples:
        raise InvalidArgumentError(
            f"a surrogate sees and imitates sample by sample, but there are {len(values)} samples in what it sees and "
            f"{samples} in what the model returned. Give batch_dim, or a function as target that returns one for each."
        )
    training, judging, outputs = _parts(outputs, held_out, seed)
    fitted = simple.fit(values[training], outputs.values[training], seed)
    _require_small(fitted)
    measure, measure_name = (agreement, "agreement") if outputs.values.ndim == 1 else (r2, "r2")

    def score(part: NDArray[np.intp]) -> float:
        return measure(outputs.values[part], fitted.predict(values[part]))

    return wire.Surrogate(
        surrogate=surrogate,
        of=of,
        feature_names=names,
        output_names=outputs.names,
        score=score(judging),
        training_score=score(training),
        score_name=measure_name,
        training_samples=len(training),
        held_out_samples=len(judging),
        importances=tuple(map(tuple, fitted.importances.tolist())),
        tree=fitted.tree,
    )


def _made(name: str, options: Mapping[str, Any]) -> SurrogateModel:
    """Return the kind of surrogate of a name, with its options."""
    if name not in SURROGATES:
        raise InvalidArgumentError(
            f"surrogate {name!r} was asked for, but there are {', '.join(map(repr, SURROGATES))}."
            f"{nearest(name, SURROGATES)}"
        )
    known = [f.name for f in fields(cast(Any, SURROGATES[name]))]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise InvalidArgumentError(
            f"option {unknown[0]!r} was given, but the options of {name!r} are: {', '.join(known)}."
        )
    return SURROGATES[name](**options)


def _require_quantities(model: nn.Module, inputs: Any) -> None:
    """Raise if the inputs are tokens: their numbers have no order, so that a rule like token 3 <= 12.5 says nothing."""
    tensors = input_tensors(inputs)
    words = any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in model.modules())
    if words and tensors and not any(tensor.is_floating_point() for tensor in tensors):
        raise InvalidArgumentError(
            "a surrogate must see numbers that are quantities, but the inputs are integers that the model looks up as "
            "tokens. Give of=the key of a layer, whose features it then sees, or features=counts of words."
        )


def _one(layers: Mapping[str, NDArray[np.float32]], key: str) -> NDArray[np.float32]:
    if key not in layers:
        raise InvalidArgumentError(
            f"of must be 'inputs' or the key of one layer, but {key!r} is a pattern, of {len(layers)}: "
            f"{', '.join(map(repr, layers))}. Choose one."
        )
    return layers[key]


def _parts(outputs: Outputs, held_out: float, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Outputs]:
    """Return the samples to fit to, those held out, and the outputs; of classes those that the former have."""
    classes = outputs.values if outputs.values.ndim == 1 else np.zeros(len(outputs.values), np.int64)
    training, judging = split(classes, held_out, seed)
    varied = [bool((outputs.values[part] != outputs.values[part][0]).any()) for part in (training, judging)]
    if outputs.values.ndim > 1 and all(varied):
        return training, judging, outputs
    if outputs.values.ndim > 1 or not varied[0]:
        raise InvalidArgumentError(
            "a surrogate imitates how what the model says changes from sample to sample, but of all samples "
            f"that are {'held out' if varied[0] else 'fitted to'} it says the same. Give more or other "
            "samples or another target, or train the model first."
        )
    present = np.unique(outputs.values[training])
    place = {int(known): i for i, known in enumerate(present)}  # a class that only held-out samples have is never met
    numbered = np.array([place.get(int(known), -1) for known in outputs.values], np.int64)
    return training, judging, Outputs(numbered, tuple(outputs.names[int(known)] for known in present))


def _require_small(fitted: Fitted) -> None:
    size = max(fitted.importances.size, sum(len(node.value) for node in fitted.tree))
    if size > _MOST_NUMBERS:
        raise InvalidArgumentError(
            f"a surrogate tells at most {_MOST_NUMBERS} numbers, but this one has {size}: outputs times features, or "
            "outputs times nodes of its tree. Imitate one class (target=3), let it see fewer features, "
            "or limit max_depth."
        )
