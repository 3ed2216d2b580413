"""Pictures of which only the phases climb: their magnitudes are those of photographs."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from layerscope.probing.maximizing.parameterizations.colours import correlated, decorrelated
from layerscope.probing.maximizing.parameterizations.parameterization import Parameterization, Shape
from layerscope.probing.maximizing.views import CROPPED

_CYCLES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
"""Per picture; at which the magnitudes below were measured."""

# Mean magnitude of the Fourier coefficients (divided by the number of pixels) of six photographs of 256 x 256 pixels:
# astronaut, coffee, chelsea and rocket of scikit-image, china and flower of scikit-learn, as logits of the brightness
# 0.02 to 0.98; of their three decorrelated colours, and of grey. tests/probing/maximizing/ measures them again.
# fmt: off
_MAGNITUDES = (
    (.50096, .18232, .17157, .08259, .06168, .03876, .02543, .01774, .00911, .00577, .00305, .00197, .00094, .00053),
    (.69156, .27082, .18597, .10909, .07309, .04563, .02778, .01735, .00961, .00665, .00367, .00235, .00109, .00066),
    (.48097, .15767, .13406, .07581, .05233, .03178, .01951, .01352, .00804, .00597, .00340, .00247, .00129, .00085),
)
_GREY = (
    .27442, .09634, .09083, .04504, .03467, .02099, .01378, .00944, .00484, .00303, .00160, .00103, .00050, .00029,
)
# fmt: on


class Maco(Parameterization):
    """Pictures with the magnitude spectrum of photographs, whose phases climb.

    Fel et al. 2023, "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained Optimization"
    (arXiv:2306.06805), equation 3, with their random crops and noise.

    Args:
        shape: of a picture.
        device: where the pictures are made.
        photographs: pictures [photographs, colours, height, width] in 0 to 1 from which the magnitudes are taken; None
            takes those of six photographs.
    """

    learning_rate = 0.3
    views = CROPPED

    def __init__(self, shape: Shape, device: torch.device, photographs: Tensor | None = None) -> None:
        super().__init__(shape, device)
        magnitudes = shipped_magnitudes(shape) if photographs is None else magnitudes_of(photographs, shape)
        self._magnitudes = magnitudes.to(device)

    def start(self, generator: torch.Generator) -> Tensor:
        """Return phases [colours, height, width // 2 + 1], uniform between -pi and pi."""
        colours, height, width = self.shape
        return (2 * torch.rand(colours, height, width // 2 + 1, generator=generator) - 1) * math.pi

    def render(self, coordinates: Tensor) -> Tensor:
        """Return the pictures of phases."""
        phases = _of_real_pictures(coordinates, self.shape[2])
        spectrum = torch.polar(self._magnitudes.expand_as(coordinates), phases)
        return correlated(torch.fft.irfft2(spectrum, s=self.shape[1:], norm="forward")).sigmoid()


def _of_real_pictures(phases: Tensor, width: int) -> Tensor:
    """Return phases that are odd where the half of the spectrum that is held holds a frequency and its opposite.

    Without that, the two would partly cancel out, and the magnitudes be smaller than those of photographs.
    """
    both = phases[..., [0, width // 2] if width % 2 == 0 else [0]]
    odd = (both - both.flip(-2).roll(1, -2)) / 2
    return torch.cat([odd[..., :1], phases[..., 1 : (width + 1) // 2], odd[..., 1:]], -1)


def shipped_magnitudes(shape: Shape) -> Tensor:
    """Return the magnitudes of six photographs, float32 [colours, height, width // 2 + 1], alike in all directions."""
    colours, height, width = shape
    side = min(height, width) if height > 1 else width  # a signal has one side
    cycles = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]) * side
    rows = _MAGNITUDES if colours == 3 else (_GREY,) * colours
    with np.errstate(divide="ignore"):
        # Between what was measured, and beyond it, powers of the frequency.
        logs = [_extended(np.log(cycles), np.log(_CYCLES), np.log(row)) for row in rows]
    magnitudes = np.exp(np.stack(logs))
    magnitudes[:, 0, 0] = 0  # the mean of a picture stays grey
    return torch.from_numpy(magnitudes).float()


def _extended(x: np.ndarray, known: np.ndarray, values: np.ndarray) -> np.ndarray:
    slope = (values[-1] - values[-4]) / (known[-1] - known[-4])
    return np.interp(x, known, values) + np.clip(x - known[-1], 0, None) * slope


def magnitudes_of(photographs: Tensor, shape: Shape) -> Tensor:
    """Return the mean magnitudes of pictures, float32 [colours, height, width // 2 + 1], on the CPU."""
    pictures = torch.nn.functional.interpolate(
        photographs.float().cpu(), shape[1:], mode="bilinear", antialias=True, align_corners=False
    )
    logits = decorrelated(torch.logit(pictures.clamp(0.02, 0.98)))
    magnitudes = torch.fft.rfft2(logits, norm="forward").abs().mean(0)
    magnitudes[:, 0, 0] = 0
    return magnitudes
