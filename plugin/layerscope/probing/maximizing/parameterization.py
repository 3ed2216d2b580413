"""Images as spectra: the coordinates in which activation maximization climbs."""

from __future__ import annotations

import torch
from torch import Tensor

# Square root of the covariance of colours in ImageNet's photographs, largest column norm 1: Olah et al. 2017 and the
# library Lucid (Apache-2.0), lucid/optvis/param/color.py. Columns are the decorrelated colours.
_COLOUR_ROOT = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
_COLOURS = _COLOUR_ROOT / _COLOUR_ROOT.norm(dim=0).max()

_START_DEVIATION = 0.01
"""Standard deviation of the spectrum at the start: an almost grey image."""


class FourierImages:
    """A batch of images given by their spectra, every frequency scaled as in natural images.

    Olah et al. 2017, "Feature Visualization", Distill, section "Preconditioning and Parameterization": gradient ascent
    on the spectrum, scaled by 1/frequency, and on decorrelated colours if there are three, then a sigmoid. All images
    start from the same spectrum, so what becomes of one does not depend on the others.

    Args:
        count: number of images.
        shape: (colours, height, width).
        generator: draws the start, on the CPU.
        device: where the images are made.
    """

    def __init__(self, count: int, shape: tuple[int, int, int], generator: torch.Generator, device: torch.device):
        colours, height, width = shape
        self._size = (height, width)
        frequency = torch.fft.fftfreq(height)[:, None].hypot(torch.fft.rfftfreq(width)[None, :])
        self._scale = (1 / frequency.clamp_min(1 / max(height, width)))[..., None].to(device)
        self._colours = _COLOURS.to(device) if colours == 3 else None
        start = torch.randn(1, colours, height, width // 2 + 1, 2, generator=generator) * _START_DEVIATION
        self.spectrum = start.to(device).repeat(count, 1, 1, 1, 1).requires_grad_()
        """float32 [count, colours, height, width // 2 + 1, 2]: real and imaginary parts; what is optimized."""

    def render(self) -> Tensor:
        """Return the images, float32 [count, colours, height, width] in 0 to 1."""
        scaled = torch.view_as_complex(self.spectrum * self._scale)
        images = (
            torch.fft.irfft2(scaled, s=self._size, norm="ortho") / 4
        )  # Lucid's factor: colours neither dull nor flat
        if self._colours is not None:
            images = torch.einsum("rc,nchw->nrhw", self._colours, images)
        return images.sigmoid()
