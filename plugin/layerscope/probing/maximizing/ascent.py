"""Gradient ascent on a batch of images, one channel each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from layerscope.errors import CaptureError
from layerscope.probing.maximizing.objective import channel_means
from layerscope.probing.maximizing.parameterization import FourierImages
from layerscope.probing.maximizing.transforms import transformed


@dataclass(frozen=True)
class Ascent:
    """How the images climb."""

    layer: str
    shape: tuple[int, int, int]
    """(colours, height, width) of the images."""
    value_range: tuple[float, float]
    """What the model is given for 0 and for 1 of an image."""
    steps: int
    seed: int
    learning_rate: float
    """Of Adam (Kingma and Ba 2015), on the spectrum."""
    transforms: bool

    def climb(self, model: nn.Module, channels: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return images [channels, colours, height, width] in 0 to 1 and the objective [channels, steps]."""
        generator = torch.Generator().manual_seed(self.seed)
        reference = reference_tensor(model)
        images = FourierImages(len(channels), self.shape, generator, reference.device)
        optimizer = torch.optim.Adam([images.spectrum], lr=self.learning_rate)
        rows = torch.arange(len(channels), device=reference.device)
        columns = torch.tensor(channels, device=reference.device)
        objective = torch.empty(len(channels), self.steps)
        for step in range(self.steps):
            view = transformed(images.render(), generator) if self.transforms else images.render()
            reached = channel_means(model, self.layer, self.model_input(view, reference))[rows, columns]
            objective[:, step] = reached.detach()
            (images.spectrum.grad,) = torch.autograd.grad(-reached.sum(), images.spectrum)
            optimizer.step()
        return images.render().detach(), objective

    def available_channels(self, model: nn.Module) -> int:
        """Return how many channels the layer has, from a forward pass of one grey image.

        Raises:
            CaptureError: the layer's output does not depend on the image.
        """
        reference = reference_tensor(model)
        grey = torch.full((1, *self.shape), 0.5, device=reference.device, requires_grad=True)
        means = channel_means(model, self.layer, self.model_input(grey, reference))
        if not means.requires_grad:
            raise CaptureError(
                f"images for the channels of layer {self.layer!r} were asked for, but its output does not depend on "
                "the image: the forward pass detaches it or runs it under no_grad. Choose another layer."
            )
        return means.shape[1]

    def model_input(self, images: Tensor, reference: Tensor) -> Tensor:
        """Map 0 to 1 onto the range of the model's inputs, in the model's floating-point type."""
        low, high = self.value_range
        return (low + (high - low) * images).to(reference.dtype)


def reference_tensor(model: nn.Module) -> Tensor:
    """Return a floating-point tensor on the device and of the type of the model: its first parameter or buffer."""
    tensors = [*model.parameters(), *model.buffers()]
    return next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
