"""Pictures as spectra, every frequency scaled as in photographs."""

from __future__ import annotations

import torch
from torch import Tensor

from layerscope.probing.maximizing.parameterizations.colours import correlated
from layerscope.probing.maximizing.parameterizations.parameterization import Parameterization, Shape
from layerscope.probing.maximizing.views import MOVED

_START_DEVIATION = 0.01
"""Standard deviation of the spectrum at the start: an almost grey picture."""


class Fourier(Parameterization):
    """Pictures that are given by their spectra, every frequency scaled as in natural images.

    Olah et al. 2017, "Feature Visualization", Distill, section "Preconditioning and Parameterization": gradient ascent
    on the spectrum, scaled by 1/frequency, and on decorrelated colours if there are three, then a sigmoid.
    """

    learning_rate = 0.1
    views = MOVED

    def __init__(self, shape: Shape, device: torch.device) -> None:
        super().__init__(shape, device)
        _, height, width = shape
        frequency = torch.fft.fftfreq(height)[:, None].hypot(torch.fft.rfftfreq(width)[None, :])
        self._scale = (1 / frequency.clamp_min(1 / max(height, width)))[..., None].to(device)

    def start(self, generator: torch.Generator) -> Tensor:
        """Return a spectrum [colours, height, width // 2 + 1, 2]: real and imaginary parts."""
        colours, height, width = self.shape
        return torch.randn(colours, height, width // 2 + 1, 2, generator=generator) * _START_DEVIATION

    def render(self, coordinates: Tensor) -> Tensor:
        """Return the pictures of spectra."""
        spectrum = torch.view_as_complex(coordinates * self._scale)
        # Lucid's factor: colours neither dull nor flat.
        pictures = torch.fft.irfft2(spectrum, s=self.shape[1:], norm="ortho") / 4
        return correlated(pictures).sigmoid()
