"""What every parameterization is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from layerscope.probing.maximizing.views import Views

Shape = tuple[int, int, int]
"""(colours, height, width) of a picture; of a signal (variables, 1, time), of a row of a table (features, 1, 1)."""


class Parameterization(ABC):
    """Coordinates of pictures, and how steps are taken in them.

    Args:
        shape: of a picture.
        device: where the pictures are made.
    """

    learning_rate: float
    """What the optimizer takes where nobody chose."""
    views: Views
    """How the model is shown the pictures while they climb, where nobody chose."""

    def __init__(self, shape: Shape, device: torch.device) -> None:
        self.shape = shape
        self.device = device

    @abstractmethod
    def start(self, generator: torch.Generator) -> Tensor:
        """Return the coordinates at which one picture starts, float32 on the CPU, drawn from ``generator``."""

    @abstractmethod
    def render(self, coordinates: Tensor) -> Tensor:
        """Return the pictures [pictures, *shape], float32 in 0 to 1, of coordinates that are stacked likewise."""

    def optimizer(self, coordinates: Tensor, learning_rate: float) -> torch.optim.Optimizer:
        """Return what takes the steps: NAdam (Dozat 2016), which reaches more in as many steps than Adam."""
        return torch.optim.NAdam([coordinates], lr=learning_rate)
