"""pooled(): a batch is seen in chunks, and of each layer the means of its channels are kept."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import CaptureError, InvalidArgumentError
from layerscope.probing.pooling import channel_means, chunks, pooled
from probed_models import DigitsNet, twin


def test_every_layer_is_the_mean_over_its_positions() -> None:
    torch.manual_seed(0)
    model, x = DigitsNet().eval(), torch.randn(10, 1, 8, 8)
    found = pooled(model, x, at_end=lambda output: output[:, 3], samples_at_once=4)
    outputs, _ = twin(model, lambda logits: logits, x)
    assert set(found.layers) == set(outputs)
    for layer, means in found.layers.items():
        expected = outputs[layer].detach()
        expected = expected.mean((2, 3)) if expected.ndim == 4 else expected
        np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-6, err_msg=layer)
    torch.testing.assert_close(found.output, model(x)[:, 3].detach())


def test_the_channels_may_stand_last_or_nowhere() -> None:
    x = torch.arange(12.0).reshape(2, 3, 2)
    assert channel_means(x, 2).tolist() == [[2, 3], [8, 9]]
    assert channel_means(x, 1).tolist() == [[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]]
    assert channel_means(torch.tensor([5.0, 7.0], dtype=torch.bfloat16), None).tolist() == [[5], [7]]


def test_chunks_are_of_nearly_one_size_and_what_is_not_of_the_batch_is_whole() -> None:
    x, mask = torch.arange(10), torch.ones(3, 3)
    parts = list(chunks(MappingProxyType({"x": x, "mask": mask, "flag": True}), 4))
    assert [part["x"].tolist() for part in parts] == [[0, 1, 2], [3, 4, 5], [6, 7, 8, 9]]
    assert all(part["mask"] is mask and part["flag"] is True for part in parts)
    second = list(chunks((torch.arange(8).reshape(2, 4),), 2, batch_dim=1))
    assert [part[0].tolist() for part in second] == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    with pytest.raises(InvalidArgumentError, match="there are 0 samples, and samples_at_once is 4"):
        list(chunks(torch.ones(0, 2), 4))


def test_channels_are_drawn_by_the_seed_and_keep_their_order() -> None:
    x = torch.arange(100.0).repeat(3, 1)

    def drawn(seed: int) -> list[float]:
        model = nn.Sequential(nn.Identity())
        layers = pooled(model, x, at_end=lambda output: output, max_channels=5, seed=seed).layers
        assert (layers["0"] == layers["0"][0]).all()
        return layers["0"][0].tolist()

    assert drawn(0) == sorted(set(drawn(0)))
    assert len(drawn(0)) == 5
    assert drawn(0) == drawn(0) != drawn(1)


def test_a_layer_that_differs_from_chunk_to_chunk_is_left_out_unless_it_was_named() -> None:
    class Width(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.new_ones(len(x), int(x[0, 0]))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.width, self.same = Width(), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.same(x) * self.width(x).sum()

    def run(**options: Any) -> list[str]:
        x = torch.tensor([[1.0], [2.0]])
        return list(pooled(Model(), x, at_end=lambda output: output, samples_at_once=1, **options).layers)

    assert run() == ["same"]
    with pytest.raises(CaptureError, match=r"layer 'width' was asked for, but .* other channels for some samples"):
        run(layers=["width"])
