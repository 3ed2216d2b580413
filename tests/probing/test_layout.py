from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from layerscope.probing.capture import capture
from layerscope.probing.layout import Layouts
from probed_models import Residual


@pytest.mark.parametrize(
    ("module", "shape", "channels"),
    [
        (nn.Conv2d(1, 3, 1), (2, 3, 8, 9), 1),
        (nn.Conv1d(1, 3, 1), (2, 3, 8), 1),
        (nn.ConvTranspose3d(1, 3, 1), (2, 3, 7, 8, 9), 1),
        (nn.BatchNorm1d(3), (2, 3, 8), 1),
        (nn.AdaptiveAvgPool1d(1), (2, 3, 1), 1),
        (nn.GroupNorm(1, 3), (2, 3, 8, 9), 1),
        (nn.Linear(1, 3), (2, 3), 1),
        (nn.Linear(1, 3), (2, 8, 3), 2),
        (nn.Linear(1, 3), (2, 8, 9, 3), 3),
        (nn.LayerNorm(3), (2, 8, 9, 3), 3),
        (nn.RMSNorm(3), (2, 8, 3), 2),
        (nn.LayerNorm(3), (2, 3, 8, 9), 1),  # one that permutes inside
        (nn.LayerNorm((3, 8, 9)), (2, 3, 8, 9), 1),
        (nn.LSTM(1, 3), (2, 8, 3), 2),
        (nn.Embedding(1, 3), (2, 8, 3), 2),
        (nn.ReLU(), (2, 3, 8, 9), 1),
        (nn.ReLU(), (2, 8, 3), 2),
        (nn.ReLU(), (2, 3), 1),
        (nn.Sequential(nn.ReLU()), (2, 3, 8, 9), 1),
        (nn.Conv2d(1, 1, 1), (2,), None),
        (nn.Flatten(0), (2,), None),
    ],
)
def test_the_kind_of_module_tells_the_channels(module: nn.Module, shape: tuple[int, ...], channels: int | None) -> None:
    assert Layouts().channel_dim(module, shape) == channels


def test_other_modules_follow_the_latest_that_told_with_as_many_dimensions() -> None:
    layouts = Layouts()
    steps = [
        (nn.Conv1d(1, 3, 1), (2, 3, 8), 1),
        (nn.ReLU(), (2, 3, 8), 1),  # in a 1-D convolutional network
        (nn.Linear(1, 5), (2, 5), 1),
        (nn.ReLU(), (2, 3, 8), 1),
        (nn.Linear(1, 3), (2, 8, 9, 3), 3),
        (nn.GELU(), (2, 8, 9, 3), 3),
        (nn.Dropout(), (2, 4, 9, 6), 3),  # of another shape: nothing says that the channels moved
        (nn.Conv2d(1, 8, 1), (2, 8, 8, 8), 1),
        (nn.Sequential(nn.GELU()), (2, 64, 8, 8), 1),  # a DenseNet's block, which concatenates
        (nn.Sequential(nn.GELU()), (2, 8, 8, 8), 1),
        (nn.LayerNorm((8, 8, 8)), (2, 8, 8, 8), 1),
        (nn.LayerNorm(3), (2, 8, 3), 2),
        (nn.Dropout(), (2, 8, 3), 2),
        (nn.Dropout(), (2, 3, 8), 1),  # transposed
    ]
    assert [layouts.channel_dim(module, shape) for module, shape, _ in steps] == [channels for _, _, channels in steps]


class ChannelsLast(nn.Module):
    """The second half of a Swin block: [batch, height, width, channels] throughout."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(channels), nn.Sequential(nn.Linear(channels, 10), nn.GELU())
        self.out = nn.Linear(10, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out(self.mlp(self.norm(x)))


class Merging(nn.Module):
    """Swin's patch merging: four neighbours become one position of twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * channels), nn.Linear(4 * channels, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class Permute(nn.Module):
    def __init__(self, *dims: int) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


class LayerNorm2d(nn.LayerNorm):
    """As torchvision and timm have it."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape).permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """[batch, channels, height, width] outside, channels last inside."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.last, self.first = Permute(0, 2, 3, 1), Permute(0, 3, 1, 2)
        self.norm, self.up, self.gelu = nn.LayerNorm(channels), nn.Linear(channels, 12), nn.GELU()
        self.down, self.drop = nn.Linear(12, channels), nn.Dropout()

    def forward(self, x: Tensor) -> Tensor:
        inside = self.down(self.gelu(self.up(self.norm(self.last(self.conv(x))))))
        return x + self.drop(self.first(inside))


def channels_of(model: nn.Module, *shape: int) -> dict[str, int | None]:
    found = capture(model, torch.ones(shape), at_output=lambda layer, _: layer.channels)
    return found.outputs


def test_containers_of_a_swin_transformer_have_the_channels_last() -> None:
    stem = nn.Sequential(nn.Conv2d(1, 6, 2, 2), Permute(0, 2, 3, 1), nn.LayerNorm(6))
    model = nn.Sequential(stem, nn.Sequential(ChannelsLast(6), ChannelsLast(6)), Merging(6), ChannelsLast(12))
    found = channels_of(model, 2, 1, 8, 16)
    assert found.pop("0.0") == 1
    assert len(found) == 25
    assert set(found.values()) == {3}


def test_containers_of_a_convnext_have_the_channels_first_and_its_inside_last() -> None:
    down = nn.Sequential(LayerNorm2d(6), nn.Conv2d(6, 10, 2, 2))
    model = nn.Sequential(nn.Conv2d(1, 6, 2, 2), nn.Sequential(ConvNext(6)), down, nn.Sequential(ConvNext(10)))
    found = channels_of(model, 2, 1, 8, 16)
    inside = {key for key in found if key.rpartition(".")[2] in ("last", "norm", "up", "gelu", "down")}
    assert len(inside) == 10
    assert {key for key, channels in found.items() if channels == 3} == inside
    assert {found[key] for key in found.keys() - inside} == {1}


def test_containers_of_a_convolutional_network_have_the_channels_first() -> None:
    found = channels_of(nn.Sequential(Residual(1, 3), nn.Sequential(Residual(3, 8, 2), nn.Upsample(8))), 2, 1, 8, 8)
    assert len(found) == 18
    assert set(found.values()) == {1}
