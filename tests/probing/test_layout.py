from __future__ import annotations

import pytest
from torch import nn

from layerscope.probing.layout import Layouts


@pytest.mark.parametrize(
    ("module", "ndim", "channels"),
    [
        (nn.Conv2d(1, 1, 1), 4, 1),
        (nn.Conv1d(1, 1, 1), 3, 1),
        (nn.ConvTranspose3d(1, 1, 1), 5, 1),
        (nn.BatchNorm1d(1), 3, 1),
        (nn.AdaptiveAvgPool1d(1), 3, 1),
        (nn.GroupNorm(1, 1), 4, 1),
        (nn.Linear(1, 1), 2, 1),
        (nn.Linear(1, 1), 3, 2),
        (nn.Linear(1, 1), 4, 3),
        (nn.LayerNorm(1), 4, 3),
        (nn.LSTM(1, 1), 3, 2),
        (nn.Embedding(1, 1), 3, 2),
        (nn.ReLU(), 4, 1),
        (nn.ReLU(), 3, 2),
        (nn.ReLU(), 2, 1),
        (nn.Conv2d(1, 1, 1), 1, None),
        (nn.Flatten(0), 1, None),
    ],
)
def test_the_kind_of_module_tells_the_channels(module: nn.Module, ndim: int, channels: int | None) -> None:
    assert Layouts().channel_dim(module, ndim) == channels


def test_other_modules_follow_the_latest_that_told_with_as_many_dimensions() -> None:
    layouts = Layouts()
    steps = [
        (nn.Conv1d(1, 1, 1), 3, 1),
        (nn.ReLU(), 3, 1),  # in a 1-D convolutional network
        (nn.Linear(1, 1), 2, 1),
        (nn.ReLU(), 3, 1),
        (nn.Linear(1, 1), 4, 3),
        (nn.GELU(), 4, 3),  # in the channels-last part of a ConvNeXt block
        (nn.Sequential(nn.ReLU()), 4, 1),  # the block itself
        (nn.Conv2d(1, 1, 1), 4, 1),
        (nn.GELU(), 4, 1),
        (nn.LayerNorm(1), 3, 2),
        (nn.Dropout(), 3, 2),
    ]
    assert [layouts.channel_dim(module, ndim) for module, ndim, _ in steps] == [channels for _, _, channels in steps]
