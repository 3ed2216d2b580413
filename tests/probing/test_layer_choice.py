"""Which layers ``"auto"`` stands for: about a dozen that matter, however the network is nested."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from layerscope.probing.layer_choice import telling_layers


class Wrapper(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def vgg(convolutions: int) -> nn.Sequential:
    """Return what torchvision's are made of: a long Sequential, a pool, and a short one."""
    layers = [layer for _ in range(convolutions) for layer in (nn.Conv2d(2, 2, 3, padding=1), nn.ReLU())]
    classifier = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Dropout(), nn.Linear(4, 3))
    net = nn.Sequential()
    net.add_module("features", nn.Sequential(*layers))
    net.add_module("avgpool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    net.add_module("classifier", classifier)
    return net


IMAGES = torch.zeros(1, 2, 4, 4)


def test_of_a_few_large_parts_those_inside_that_learn_are_taken() -> None:
    found = telling_layers(vgg(8), IMAGES)
    assert found == [*(f"features.{2 * i}" for i in range(8)), "classifier.0", "classifier.3"]


def test_of_more_than_a_dozen_some_are_taken_evenly_to_the_last() -> None:
    found = telling_layers(vgg(22), IMAGES)  # 24 that learn: every second one
    assert found == [*(f"features.{2 * i}" for i in range(1, 22, 2)), "classifier.3"]


def test_a_wrapper_is_looked_through() -> None:
    assert telling_layers(Wrapper(vgg(8)), IMAGES) == [f"net.{key}" for key in telling_layers(vgg(8), IMAGES)]
    deep = Wrapper(nn.Sequential(*(nn.Linear(2, 2) for _ in range(36))))
    assert telling_layers(deep, torch.zeros(1, 2)) == [f"net.{i}" for i in range(2, 36, 3)]


def test_layers_without_parameters_count_where_too_few_have_some() -> None:
    quiet = nn.Sequential(nn.Linear(2, 2), *(nn.Tanh() for _ in range(23)))
    assert telling_layers(quiet, torch.zeros(1, 2)) == [str(i) for i in range(1, 24, 2)]


def test_a_small_network_is_taken_whole() -> None:
    assert telling_layers(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), torch.zeros(1, 2)) == ["0", "1"]
    assert telling_layers(nn.Linear(2, 2), torch.zeros(1, 2)) == ["<Linear>"]
