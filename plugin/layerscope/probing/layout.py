"""Tells which dimension of a layer's output is the channels: PyTorch does not say, so the kind of module must."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

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
_NORMS = (nn.LayerNorm, nn.RMSNorm)
_CHANNELS_LAST: tuple[type[nn.Module], ...] = (nn.Linear, nn.Embedding, nn.RNNBase, nn.MultiheadAttention)


class Layouts:
    """Tells the channel dimension of the outputs of one forward pass, asked in the order in which modules return.

    Convolutions, pooling, batch, instance and group norms have the channels in dimension 1; linear, embedding,
    recurrent and attention layers in the last; layer norms over one dimension in that one. Any other module, with
    submodules or without, goes by the latest of these whose output had as many dimensions, for a container the last
    one inside; and if its output has that one's shape with the channels moved from the last dimension to dimension 1
    or back (as a ConvNeXt block permutes them), by where they moved. Where there was none, [batch, tokens, features]
    and [batch, channels, height, width] are assumed.
    """

    def __init__(self) -> None:
        self._latest: dict[int, tuple[int, tuple[int, ...]]] = {}
        """Number of dimensions -> (channel dimension, shape) of the latest output whose module told."""

    def channel_dim(self, module: nn.Module, shape: Sequence[int]) -> int | None:
        """Return the channel dimension of an output of ``shape``; None if it has the batch alone."""
        ndim, shape = len(shape), tuple(shape)
        if ndim < 2:
            return None
        told = _told(module, shape)
        if told is not None:
            self._latest[ndim] = told, shape
            return told
        if ndim not in self._latest:
            return ndim - 1 if ndim == 3 else 1
        dim, latest = self._latest[ndim]
        other = ndim - 1 if dim == 1 else 1
        return other if shape != latest and shape == _moved(latest, dim, other) else dim


def _told(module: nn.Module, shape: tuple[int, ...]) -> int | None:
    """Return the channel dimension that the kind of ``module`` tells, or None."""
    kind = _kind(type(module))
    if kind is _NORMS and isinstance(module, _NORMS):
        if len(module.normalized_shape) > 1:
            return None  # over (channels, height, width) or (height, width, channels)
        # Those that permute inside (LayerNorm2d of torchvision and timm) give the channels back where they were.
        return len(shape) - 1 if shape[-1:] == tuple(module.normalized_shape) else 1
    if kind is _CHANNELS_FIRST:
        return 1
    return len(shape) - 1 if kind is _CHANNELS_LAST else None


@lru_cache(maxsize=1024)
def _kind(module: type[nn.Module]) -> tuple[type[nn.Module], ...] | None:
    """Return to which of the three a class of modules belongs."""
    return next((kind for kind in (_CHANNELS_FIRST, _NORMS, _CHANNELS_LAST) if issubclass(module, kind)), None)


def _moved(shape: tuple[int, ...], source: int, target: int) -> tuple[int, ...]:
    sizes = list(shape)
    sizes.insert(target, sizes.pop(source))
    return tuple(sizes)
