"""Training passes that are watched, for the tests of what is measured of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from layerscope import wire
from layerscope.probing.training_pass import TrainingPass

Found = tuple[wire.Statistics, wire.Statistics]


def begun(model: nn.Module) -> TrainingPass:
    watching = TrainingPass(model)
    watching.begin(histogram=True, gradients=True, gradient_histogram=True)
    return watching


def ended(watching: TrainingPass) -> Found:
    found = watching.end()
    assert found is not None
    return found[0].result(), found[1].result()


@contextmanager
def without_hooks_left(model: nn.Module) -> Iterator[None]:
    """Assert, at the end of a block, that no hook stays on a model."""
    yield
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._forward_hooks_always_called
        for parameter in module.parameters(recurse=False):
            assert parameter._backward_hooks is None


def image(*seeds: int) -> Tensor:
    return torch.cat([torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
