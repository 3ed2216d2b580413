"""How the model is shown a picture that climbs: moved a little, cropped, with noise, anew in each step.

Without that, activation maximization climbs on patterns of single pixels: Olah et al. 2017, "Feature Visualization",
Distill, section "Transformation Robustness". All changes are composed into one affine map and one resampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Views:
    """Bounds of the random changes."""

    shift: float = 0.0
    """Largest shift, as a share of the side."""
    shown: tuple[float, float] = (1.0, 1.0)
    """Least and largest share of the side that is shown; less than 1 magnifies."""
    angle: float = 0.0
    """Largest rotation in radians."""
    inside: bool = False
    """Shift as far as what is shown stays inside of the picture, instead of by ``shift``."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise, of a range of 1."""

    def show(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return the pictures [pictures, colours, height, width] changed at random, all of them alike.

        Beyond the border a picture is reflected.

        Args:
            pictures: what climbs.
            generator: draws the changes, on the CPU; the same numbers whatever pictures there are.
        """
        if self == STILL:
            return pictures
        count, colours, height, width = pictures.shape
        across, down, size, turn = (torch.rand(4, generator=generator) * 2 - 1).tolist()
        least, largest = self.shown
        scale, angle = (least + largest) / 2 + (largest - least) / 2 * size, self.angle * turn
        cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
        reach = max(0.0, 1 - scale) if self.inside else 2 * self.shift
        # In coordinates from -1 to 1 in both directions: a shift by the whole side is 2.
        affine = [
            [cosine, -sine * height / width, reach * across],
            [sine * width / height, cosine, reach * down if height > 1 else 0.0],
        ]
        theta = torch.tensor([affine], dtype=pictures.dtype, device=pictures.device).expand(count, 2, 3)
        grid = functional.affine_grid(theta, list(pictures.shape), align_corners=False)
        seen = functional.grid_sample(pictures, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        if self.noise:
            noise = torch.randn(1, colours, height, width, generator=generator) * self.noise
            seen = seen + noise.to(seen.device)
        return seen


STILL = Views()
"""The picture itself."""
MOVED = Views(shift=1 / 16, shown=(0.9, 1.1), angle=math.radians(5))
"""As Lucid moves pictures, in one resampling."""
CROPPED = Views(shown=(0.6, 1.0), inside=True, noise=0.1)
"""Crops with noise, as in MACO."""
SHIFTED = Views(shift=1 / 16, shown=(0.9, 1.1))
"""Signals: moved and stretched along time."""
