"""Tells which dimension of a layer's output is the channels: PyTorch does not say, so the kind of module must."""

from __future__ import annotations

from torch import nn


def _numbered(*names: str) -> list[type[nn.Module]]:
    return [getattr(nn, f"{name}{dimensions}d") for name in names for dimensions in (1, 2, 3)]


_CHANNELS_FIRST: tuple[type[nn.Module], ...] = (
    *_numbered("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm"),
    *_numbered("MaxPool", "AvgPool", "AdaptiveMaxPool", "AdaptiveAvgPool"),
    nn.SyncBatchNorm,
    nn.GroupNorm,
    nn.Upsample,
)
_CHANNELS_LAST: tuple[type[nn.Module], ...] = (
    nn.Linear,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.Embedding,
    nn.RNNBase,
    nn.MultiheadAttention,
)


class Layouts:
    """Tells the channel dimension of the outputs of one forward pass, asked in the order of execution.

    Convolutions, pooling, batch, instance and group norms have the channels in dimension 1; linear, embedding,
    recurrent and attention layers and layer norms in the last. Any other module goes by the latest of these whose
    output had as many dimensions; where there was none, and for a module with submodules and four dimensions or more,
    [batch, tokens, features] and [batch, channels, height, width] are assumed.
    """

    def __init__(self) -> None:
        self._latest: dict[int, int] = {}

    def channel_dim(self, module: nn.Module, ndim: int) -> int | None:
        """Return the channel dimension of an output of ``ndim`` dimensions; None if it has the batch alone."""
        if ndim < 2:
            return None
        first, last = 1, ndim - 1
        if isinstance(module, (*_CHANNELS_FIRST, *_CHANNELS_LAST)):
            self._latest[ndim] = first if isinstance(module, _CHANNELS_FIRST) else last
            return self._latest[ndim]
        assumed = last if ndim == 3 else first
        if ndim > 3 and next(module.children(), None) is not None:
            return assumed
        return self._latest.get(ndim, assumed)
