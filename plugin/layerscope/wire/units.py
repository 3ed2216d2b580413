"""What units respond to, and what layers hold: maximization, and the arrays of layers that are shown as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Unit:
    """What was maximized."""

    layer: str
    """Layer key; "" for the model's own output."""
    channel: int
    """Number of the channel (of the direction, where the objective is ``direction``)."""
    objective: str = "channel"
    """``channel``, ``neuron``, ``logit``, ``direction`` or ``layer``, see ``layerscope.maximize``."""
    position: tuple[int, ...] | None = None
    """Of a ``neuron`` the position in the layer that was asked for, an index for each dimension; None: the middle."""


@dataclass(frozen=True)
class TopSample:
    """A real sample on which a unit's objective is among the largest."""

    sample: int
    """Its number in the probe set."""
    objective: float
    """What the unit's objective is there."""
    box: tuple[float, float, float, float] | None = None
    """Of an image the part that the unit saw where it was strongest: top, bottom, left and right as shares of the
    image's sides, 0 to 1. None: the whole sample."""


@dataclass(frozen=True)
class MaximizationStep:
    """What changes with the step beside the images."""

    objectives: tuple[float, ...]
    """The objective that each unit's image reached, as it is."""
    top_samples: tuple[tuple[TopSample, ...], ...] = ()
    """For each unit the probe samples on which its objective is largest, the largest first; empty: not known."""
    tokens: tuple[tuple[str, ...], ...] = ()
    """Of models of tokens, for each unit what it responds to, token by token."""
    ascent_steps: tuple[int, ...] = ()
    """How many steps of ascent were taken for each unit, those of earlier steps of training on which it went on not
    among them."""


@dataclass(frozen=True)
class MaximizedUnit:
    """What was found for one unit, as it is written."""

    unit: Unit
    objective: float
    image: NDArray[np.float32]
    """[height, width, colours] in 0 to 1; of a signal [time, variables], of a table [features], as the model is given
    them; of tokens empty."""
    tokens: tuple[str, ...] = ()
    top_samples: tuple[TopSample, ...] = ()
    ascent_steps: int = 0


@dataclass(frozen=True)
class MaximizationImages:
    """What activation maximization found at one step; all lists are in the order of ``units``."""

    units: tuple[Unit, ...] = ()
    images: tuple[bytes | NDArray[np.float32], ...] = ()
    """PNG files; of a signal an array [time, variables], of a table [features], of tokens an empty one."""
    objectives: tuple[float, ...] = ()
    """What each reached."""
    top_samples: tuple[tuple[TopSample, ...], ...] = ()
    """The probe samples on which each unit's objective is largest; empty where none were given."""
    tokens: tuple[tuple[str, ...], ...] = ()
    """Of models of tokens what each unit responds to; else empty."""


LAYER_ARRAYS: dict[str, str] = {
    "activation": "What each layer makes of some probe samples. ``values`` float16 or float32 [samples, channels, "
    "height, width], [samples, channels, positions] or [samples, channels], the strongest channels first; ``channels`` "
    "int32 [channels] their numbers; ``strength`` float32 [channels] the root mean square of each; ``size`` int32, "
    "the number of channels and positions before anything was left out or reduced.",
    "weight": "Parameters: ``values`` float16 or float32, reduced where large; ``shape`` int32, the parameter's own; "
    "``filters`` uint8 [1], whether it is a kernel whose filters make pictures; ``norms`` float32, of a matrix of "
    "up to 4,096 rows the Euclidean norm of each row, before anything was reduced.",
    "attention": "Attention weights of some probe samples: ``values`` float16 or float32 [entries, heads, queries, "
    "keys]; ``each`` int32 [1], how many entries a sample has, one behind the other: the windows in which it attends.",
    "embedding": "Principal components of what each layer makes of the probe samples: ``values`` float32 [samples, "
    "components], whose axes are turned to match the points of the step before; ``explained`` float32 [components], "
    "shares of the variance along the axes as they are after that, so that a later one may have more than the first; "
    "and, of no layer, ``labels`` int32 [samples], where they were given.",
}
"""Kind of summary -> the arrays that it holds of each layer, named ``<array>:<layer>`` in its safetensors."""
