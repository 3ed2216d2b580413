"""What an input is made of while it climbs: the coordinates in which activation maximization takes its steps."""

from __future__ import annotations

from layerscope.probing.maximizing.parameterizations.fourier import Fourier
from layerscope.probing.maximizing.parameterizations.maco import Maco
from layerscope.probing.maximizing.parameterizations.parameterization import Parameterization
from layerscope.probing.maximizing.parameterizations.pixel import Pixel

__all__ = ["PARAMETERIZATIONS", "Parameterization"]

PARAMETERIZATIONS: dict[str, type[Parameterization]] = {
    "fourier": Fourier,
    "maco": Maco,
    "pixel": Pixel,
}
"""Name -> class."""
