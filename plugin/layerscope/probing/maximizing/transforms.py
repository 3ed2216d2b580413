"""Small random changes of the view, which keep activation maximization from climbing on patterns of single pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_SHIFT = 1 / 16
"""Largest shift, as a share of the side of the image."""
_ZOOM = 0.1
"""Largest relative change of the scale."""
_ANGLE = math.radians(5)
"""Largest rotation."""


def transformed(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return the images shifted, scaled and rotated at random, all in the same way, by one bilinear resampling.

    Olah et al. 2017, "Feature Visualization", Distill, section "Transformation Robustness", composed into one affine
    map. Beyond the border the image is reflected.

    Args:
        images: [count, colours, height, width].
        generator: draws the map, on the CPU.
    """
    count, _, height, width = images.shape
    across, down, zoom, turn = (torch.rand(4, generator=generator) * 2 - 1).tolist()
    scale, angle = 1 + _ZOOM * zoom, _ANGLE * turn
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    # In coordinates from -1 to 1 in both directions: a shift by the whole side is 2.
    affine = [
        [cosine, -sine * height / width, 2 * _SHIFT * across],
        [sine * width / height, cosine, 2 * _SHIFT * down],
    ]
    theta = torch.tensor([affine], dtype=images.dtype, device=images.device).expand(count, 2, 3)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
