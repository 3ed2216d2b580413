"""What an attribution method is: a small dataclass, whose fields are its options."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from layerscope.probing.capture import Layer


class Method(ABC):
    """A method that needs, of each layer, its output and perhaps the gradient of the target: one pass serves all."""

    needs_gradient: ClassVar[bool] = True
    attributes_inputs: ClassVar[bool] = False
    """Whether the method defines an attribution of the inputs; it must need the gradient then."""

    @property
    def signed(self) -> bool:
        """True: positive values support the target and negative ones oppose it. False: magnitudes."""
        return True

    @abstractmethod
    def attribute(self, layer: Layer, output: Tensor, gradient: Tensor | None) -> Tensor:
        """Return the attribution of a layer, batch first; a tensor of its own.

        Args:
            layer: the layer, which says which dimension of its output is the channels.
            output: what the layer returned; not to be modified or kept.
            gradient: of the target with respect to it; None unless ``needs_gradient``. Not to be modified or kept.
        """

    def attribute_input(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Return the attribution of an input, of its shape. Called only if ``attributes_inputs``."""
        raise NotImplementedError
