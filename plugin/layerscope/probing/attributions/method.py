"""What an attribution method is: a small dataclass, whose fields are its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from layerscope.probing.attributions.attribution import Attribution
from layerscope.probing.attributions.target import Target
from layerscope.probing.layer_choice import Chosen


@dataclass(frozen=True)
class Question:
    """What is asked of a method."""

    model: nn.Module
    """The model, uncompiled."""
    inputs: Any
    """A tensor, a tuple (positional arguments) or a mapping (keyword arguments) for the model."""
    target: Target
    """The score that is explained."""
    layers: str | Sequence[str] | Chosen = "all"
    """Which layers, see ``layer_choice.Chosen``."""
    batch_dim: int = 0
    """Dimension of the samples in the inputs."""
    maps_only: bool = False
    """Whether of layers only the maps will be asked for, so that a method may sum the channels away at once: a large
    network's attributions take as much memory as its outputs, their maps a hundredth of it."""


class Method(ABC):
    """An attribution method: a frozen dataclass, whose fields are its options."""

    @property
    def signed(self) -> bool:
        """True: positive values support the target and negative ones oppose it. False: magnitudes."""
        return True

    @abstractmethod
    def attribute(self, name: str, question: Question) -> Attribution:
        """Return the answer; ``name`` is what the method was called when it was asked for.

        Raises:
            LayerscopeError: the method cannot answer for this model, in words that name one that can.
        """

    @staticmethod
    def together(methods: Mapping[str, Method], question: Question) -> dict[str, Attribution]:
        """Return the answers of several methods of this family: name -> answer. Families that share passes do it here.

        Args:
            methods: name -> method; all have the ``together`` of the same class.
            question: what is asked of all.
        """
        return {name: method.attribute(name, question) for name, method in methods.items()}
