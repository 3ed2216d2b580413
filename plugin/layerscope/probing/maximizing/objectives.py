"""What is maximized: a number for each picture, of the output of a layer [pictures, channels, ...].

Olah et al. 2017, "Feature Visualization", Distill, section "Optimization Objectives".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from layerscope.errors import InvalidArgumentError


class Objective(ABC):
    """What is maximized; an instance holds its options."""

    @abstractmethod
    def available(self, output: Tensor) -> int:
        """Return how many units there are to choose among; units have the numbers 0 to one less."""

    @abstractmethod
    def each(self, output: Tensor) -> Tensor:
        """Return the objective of every unit, [pictures, units], of an output [pictures, channels, ...]."""

    def of(self, output: Tensor, units: Tensor) -> Tensor:
        """Return the objective of one unit for each picture, [pictures]; ``units`` int64 [pictures]."""
        return self.each(output).gather(1, units[:, None])[:, 0]


@dataclass(frozen=True)
class Channel(Objective):
    """The mean of a channel over its positions."""

    def available(self, output: Tensor) -> int:
        """Return the number of channels."""
        return output.shape[1]

    def each(self, output: Tensor) -> Tensor:
        """Return the mean of every channel."""
        return output.flatten(2).mean(2) if output.ndim > 2 else output


@dataclass(frozen=True)
class Neuron(Objective):
    """A channel at one position.

    Args:
        position: the position, an index for each dimension behind the channels; None is the one in the middle.
    """

    position: Sequence[int] | None = None

    def available(self, output: Tensor) -> int:
        """Return the number of channels."""
        return output.shape[1]

    def each(self, output: Tensor) -> Tensor:
        """Return every channel at the position.

        Raises:
            InvalidArgumentError: there is no such position.
        """
        sizes = tuple(output.shape[2:])
        chosen = tuple(size // 2 for size in sizes) if self.position is None else tuple(self.position)
        if len(chosen) != len(sizes) or any(not -size <= at < size for at, size in zip(chosen, sizes, strict=True)):
            raise InvalidArgumentError(
                f"position must be {len(sizes)} indices into the positions {list(sizes)} of the layer, not {chosen}."
            )
        return output[(slice(None), slice(None), *chosen)]


@dataclass(frozen=True)
class Direction(Objective):
    """The mean over positions of the product with a direction among the channels: a concept rather than a channel.

    Args:
        directions: [directions, channels]; each is scaled to length 1.
    """

    directions: Tensor

    def available(self, output: Tensor) -> int:
        """Return the number of directions.

        Raises:
            InvalidArgumentError: they have another number of channels than the layer.
        """
        given = tuple(self.directions.shape)
        if len(given) != 2 or given[1] != output.shape[1]:
            raise InvalidArgumentError(
                f"directions must be [directions, {output.shape[1]}], since the layer has {output.shape[1]} channels, "
                f"but they are {list(given)}."
            )
        return given[0]

    def each(self, output: Tensor) -> Tensor:
        """Return the mean product with every direction."""
        directions = torch.nn.functional.normalize(self.directions.detach().to(output.device, output.dtype), dim=1)
        return Channel().each(output) @ directions.T


@dataclass(frozen=True)
class WholeLayer(Objective):
    """The mean square of the whole output: what excites the layer however it can.

    Mordvintsev et al. 2015, "Inceptionism" (DeepDream).
    """

    def available(self, output: Tensor) -> int:
        """Return 1: there is only one."""
        return 1

    def each(self, output: Tensor) -> Tensor:
        """Return the mean square."""
        return output.square().flatten(1).mean(1, keepdim=True)


OBJECTIVES: dict[str, type[Objective]] = {
    "channel": Channel,
    "logit": Channel,
    "neuron": Neuron,
    "direction": Direction,
    "layer": WholeLayer,
}
"""Name -> class; ``logit`` is the channel of the model's own output."""


def likeness(output: Tensor, groups: Tensor) -> Tensor:
    """Return how alike the pictures of one unit are to the layer: for each the sum over the others of its group.

    The cosine of the Gram matrices of the channels: Olah et al. 2017, section "Diversity".

    Args:
        output: [pictures, channels, ...].
        groups: int64 [pictures]; pictures of one number belong together.
    """
    features = output.reshape(*output.shape[:2], -1)
    gram = torch.nn.functional.normalize((features @ features.mT).flatten(1), dim=1)
    together = (groups[:, None] == groups[None, :]).to(gram.dtype)
    together.fill_diagonal_(0)
    return ((gram @ gram.T) * together).sum(1)
