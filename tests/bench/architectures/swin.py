"""Swin Transformer (Liu et al. 2021, arXiv:2103.14030), its modules named as torchvision names them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


class Permute(nn.Module):
    """Permutes the dimensions."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.permute(x, self.dims)


class StochasticDepth(nn.Module):
    """In training drops a whole residual branch of a sample with probability ``p``."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        keep = torch.empty(x.shape[0], *[1] * (x.ndim - 1), dtype=x.dtype, device=x.device).bernoulli_(1.0 - self.p)
        return x * keep.div_(1.0 - self.p)


class MLP(nn.Sequential):
    """Linear, GELU, Linear, with dropout."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(0.0), nn.Linear(hidden, width), nn.Dropout(0.0)
        )


class PatchMerging(nn.Module):
    """Four neighbouring patches become one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)
        self.norm = nn.LayerNorm(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        height, width, _ = x.shape[-3:]
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        x0, x1 = x[..., 0::2, 0::2, :], x[..., 1::2, 0::2, :]
        x2, x3 = x[..., 0::2, 1::2, :], x[..., 1::2, 1::2, :]
        return self.reduction(self.norm(torch.cat([x0, x1, x2, x3], -1)))


def _relative_position_index(window: int) -> Tensor:
    """Return, for each pair of patches in a window, the row of the bias table that stands for their distance."""
    axis = torch.arange(window)
    coordinates = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
    distance = (coordinates[:, :, None] - coordinates[:, None, :]).permute(1, 2, 0) + window - 1
    return (distance[:, :, 0] * (2 * window - 1) + distance[:, :, 1]).flatten()


class ShiftedWindowAttention(nn.Module):
    """Attention within windows, which every second block shifts by half; calls none of its submodules."""

    def __init__(self, width: int, window: int, shift: int, heads: int) -> None:
        super().__init__()
        self.window_size, self.shift_size, self.num_heads = window, shift, heads
        self.qkv = nn.Linear(width, width * 3)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", _relative_position_index(window))

    def get_relative_position_bias(self) -> Tensor:
        n = self.window_size**2
        bias = self.relative_position_bias_table[self.relative_position_index].view(n, n, -1)
        return bias.permute(2, 0, 1).contiguous().unsqueeze(0)

    def forward(self, x: Tensor) -> Tensor:
        return shifted_window_attention(
            x,
            (self.qkv.weight, self.qkv.bias),
            (self.proj.weight, self.proj.bias),
            self.get_relative_position_bias(),
            self.window_size,
            self.num_heads,
            self.shift_size,
        )


def shifted_window_attention(
    x: Tensor,
    qkv: tuple[Tensor, Tensor],
    proj: tuple[Tensor, Tensor],
    bias: Tensor,
    window: int,
    heads: int,
    shift: int,
) -> Tensor:
    """Return the attention of ``x`` [batch, height, width, channels] within windows that are shifted cyclically."""
    batch, height, width, channels = x.shape
    x = F.pad(x, (0, 0, 0, -width % window, 0, -height % window))
    _, padded_height, padded_width, _ = x.shape
    if window >= padded_height:  # one window is all there is
        shift = 0
    if shift:
        x = torch.roll(x, shifts=(-shift, -shift), dims=(1, 2))
    rows, columns = padded_height // window, padded_width // window
    x = x.view(batch, rows, window, columns, window, channels).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch * rows * columns, window**2, channels)
    parts = F.linear(x, *qkv).reshape(x.shape[0], x.shape[1], 3, heads, channels // heads).permute(2, 0, 3, 1, 4)
    q, k, v = parts[0], parts[1], parts[2]
    q = q * (channels // heads) ** -0.5
    attention = q.matmul(k.transpose(-2, -1)) + bias
    if shift:
        mask = _shift_mask(x, padded_height, padded_width, window, shift)
        attention = attention.view(batch, rows * columns, heads, window**2, window**2) + mask.unsqueeze(1).unsqueeze(0)
        attention = attention.view(-1, heads, window**2, window**2)
    x = F.softmax(attention, dim=-1).matmul(v).transpose(1, 2).reshape(x.shape)
    x = F.linear(x, *proj)
    x = x.view(batch, rows, columns, window, window, channels).permute(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, padded_height, padded_width, channels)
    if shift:
        x = torch.roll(x, shifts=(shift, shift), dims=(1, 2))
    return x[:, :height, :width, :].contiguous()


def _shift_mask(x: Tensor, height: int, width: int, window: int, shift: int) -> Tensor:
    """Return a mask [windows, patches, patches] that keeps apart what only the cyclic shift brought together."""
    regions = x.new_zeros((height, width))
    slices = ((0, -window), (-window, -shift), (-shift, None))
    count = 0
    for top, bottom in slices:
        for left, right in slices:
            regions[top:bottom, left:right] = count
            count += 1
    regions = regions.view(height // window, window, width // window, window)
    regions = regions.permute(0, 2, 1, 3).reshape(-1, window**2)
    mask = regions.unsqueeze(1) - regions.unsqueeze(2)
    return mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)


class SwinTransformerBlock(nn.Module):
    """Window attention and MLP, each normalized before and added to what came in."""

    def __init__(self, width: int, heads: int, window: int, shift: int, drop: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = ShiftedWindowAttention(width, window, shift, heads)
        self.stochastic_depth = StochasticDepth(drop)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = MLP(width, width * 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformer(nn.Module):
    """Four stages of ``depths`` blocks each; the width, ``width`` at first, doubles from stage to stage."""

    def __init__(self, width: int, depths: tuple[int, ...], heads: tuple[int, ...], window: int = 7) -> None:
        super().__init__()
        stages: list[nn.Module] = [
            nn.Sequential(nn.Conv2d(3, width, 4, 4), Permute((0, 2, 3, 1)), nn.LayerNorm(width)),
        ]
        for i, (depth, n) in enumerate(zip(depths, heads, strict=True)):
            if i:
                stages.append(PatchMerging(width))
                width *= 2
            shifts = [0 if k % 2 == 0 else window // 2 for k in range(depth)]
            stages.append(nn.Sequential(*(SwinTransformerBlock(width, n, window, shift, 0.2) for shift in shifts)))
        self.features = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(width)
        self.permute = Permute((0, 3, 1, 2))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))
