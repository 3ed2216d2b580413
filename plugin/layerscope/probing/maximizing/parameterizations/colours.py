"""Colours that vary apart from one another in photographs."""

from __future__ import annotations

import torch
from torch import Tensor

# Square root of the covariance of colours in ImageNet's photographs, largest column norm 1: Olah et al. 2017 and the
# library Lucid (Apache-2.0), lucid/optvis/param/color.py. Columns are the decorrelated colours.
_ROOT = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
_COLOURS = _ROOT / _ROOT.norm(dim=0).max()


def correlated(pictures: Tensor) -> Tensor:
    """Return red, green and blue for decorrelated colours [pictures, 3, height, width]; other numbers as they are."""
    if pictures.shape[1] != 3:
        return pictures
    return torch.einsum("rc,nchw->nrhw", _COLOURS.to(pictures.device), pictures)


def decorrelated(pictures: Tensor) -> Tensor:
    """Return what ``correlated`` makes ``pictures`` of."""
    if pictures.shape[1] != 3:
        return pictures
    return torch.einsum("cr,nrhw->nchw", torch.linalg.inv(_COLOURS).to(pictures.device), pictures)
