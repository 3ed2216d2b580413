"""What explains a model's output: probe inputs, attribution maps and how far to trust them, surrogates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODALITIES: dict[str, str] = {
    "image": "[samples, colours, height, width], shown as pictures with the attribution laid over them.",
    "text": "[samples, tokens] of token numbers, shown as the tokens themselves.",
    "table": "[samples, features], shown as named bars.",
    "time_series": "[samples, time] or [samples, time, features], shown as curves.",
    "tensor": "Anything else, shown as cells.",
}
"""Kind of input -> its form, and how it is shown."""


@dataclass(frozen=True)
class ProbeInput:
    """What people need to read one input of a probe set."""

    name: str
    """The name of the argument, or its position."""
    modality: str
    """A key of ``MODALITIES``."""
    feature_names: tuple[str, ...] = ()
    """Names along the last dimension: the columns of a table, the variables of a time series. Empty: unnamed."""
    tokens: tuple[tuple[str, ...], ...] = ()
    """Of a text the token at each position of each sample; "" where a position holds none (padding)."""


@dataclass(frozen=True)
class SamplesBlob:
    """The second blob of kind ``samples``: how to show the inputs, and what the classes are called."""

    inputs: tuple[ProbeInput, ...]
    class_names: tuple[str, ...] = ()
    """Names of the classes in the order of the scores. Empty: unnamed."""


@dataclass(frozen=True)
class TrustScore:
    """One number per sample that tells how far to trust an attribution of the inputs."""

    name: str
    label: str
    """For people, a few words."""
    better: str
    """``lower`` or ``higher``."""
    help: str
    """One sentence for people: what the number is."""


_RANDOM = "The same for a random order; of images, for the same map moved elsewhere."

TRUST: dict[str, TrustScore] = {
    s.name: s
    for s in (
        TrustScore(
            "completeness",
            "completeness gap",
            "lower",
            "What the attributions fail to add up to, over the change of the target that they should explain.",
        ),
        TrustScore(
            "deletion",
            "deletion",
            "lower",
            "Mean probability of the target (of a score without one its share, 1 with everything there and 0 with "
            "nothing) while the features said to matter most are removed first.",
        ),
        TrustScore(
            "insertion",
            "insertion",
            "higher",
            "The same while the features said to matter most come back first.",
        ),
        TrustScore("deletion_random", "deletion, random order", "lower", _RANDOM),
        TrustScore("insertion_random", "insertion, random order", "higher", _RANDOM),
        TrustScore("deletion_input", "deletion, by input", "lower", "The same in order of the input's magnitude."),
        TrustScore("insertion_input", "insertion, by input", "higher", "The same in order of the input's magnitude."),
        TrustScore(
            "randomization",
            "weight randomization",
            "lower",
            "Rank correlation (0 to 1) with the attribution of the same network with random weights.",
        ),
        TrustScore(
            "noise",
            "noise floor",
            "lower",
            "Standard error of a sampled attribution, over its largest magnitude: smaller differences mean nothing.",
        ),
    )
}
"""The scores, by name. An attribution has those that its method defines and that were asked for."""


@dataclass(frozen=True)
class AttributionMaps:
    """Attributions of one method at one step."""

    method: str
    signed: bool
    layers: dict[str, NDArray[np.float16 | np.float32]]
    """Layer key -> [samples, ...] at the layer's own resolution, channels summed away; float16, or float32 where
    float16 would lose digits."""
    targets: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    delta: NDArray[np.float32] | None = None
    """Completeness gap [samples], in units of the target; None if the method promises no completeness."""
    inputs: dict[int, NDArray[np.float16 | np.float32]] = field(default_factory=dict)
    """Position of the input -> [samples, ...] of the input's resolution: colours of an image and features of an
    embedding summed away. Only of inputs that the method attributes."""
    trust: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    """Name in ``TRUST`` -> [samples]."""
    notes: tuple[str, ...] = ()
    """What to know before trusting it, in words of one line each: operations without a rule, patches in place of
    superpixels."""


@dataclass(frozen=True)
class TreeNode:
    """A node of a decision tree."""

    samples: int
    """How many training samples came here."""
    value: tuple[float, ...]
    """What the tree says here, for each output: the mean, or the share of each class."""
    feature: int = -1
    """Which feature is asked for; -1 in a leaf."""
    threshold: float = 0.0
    """Samples whose feature is at most this go to ``left``, the others to ``right``."""
    left: int = -1
    right: int = -1


@dataclass(frozen=True)
class Surrogate:
    """A simple model that imitates the network, and how well it does."""

    surrogate: str
    """``linear_regression``, ``logistic_regression``, ``decision_tree`` or ``random_forest``."""
    of: str
    """What it sees: ``inputs``, or the key of the layer whose output it sees."""
    feature_names: tuple[str, ...]
    output_names: tuple[str, ...]
    score: float
    """How well it imitates the network on samples that it was not fitted to."""
    training_score: float
    """The same on those that it was fitted to."""
    score_name: str
    """``r2`` (share of the variance, at most 1) or ``agreement`` (share of the samples with the same class)."""
    training_samples: int
    held_out_samples: int
    importances: tuple[tuple[float, ...], ...]
    """[outputs, features] signed coefficients in standard deviations of the features, or [1, features] importances."""
    tree: tuple[TreeNode, ...] = ()
    """Of a decision tree its nodes, the root first."""

    def to_dot(self) -> str:
        """Return the tree as Graphviz DOT.

        Raises:
            InvalidArgumentError: the surrogate holds no tree.
        """
        from layerscope.structure.tree_dot import tree_to_dot  # graphviz is not needed to read or write messages

        return tree_to_dot(self)
