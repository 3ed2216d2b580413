"""Layers whose first dimension is not the samples: windows and frames folded into the batch, time first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import CaptureError
from layerscope.probing.maximizing import maximize
from layerscope.probing.maximizing.reaching import Rows
from layerscope.probing.maximizing.top_samples import top_samples


class Windows(nn.Module):
    """Four windows of 4 x 4 pixels folded into the batch: one sample behind the other, or the first window of all."""

    def __init__(self, *, apart: bool) -> None:
        super().__init__()
        self.apart = apart
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.inner = nn.Linear(8, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        windows = y.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 4, 5, 1).reshape(len(x), 4, 16, 8)
        folded = windows.transpose(0, 1).flatten(0, 1) if self.apart else windows.flatten(0, 1)
        inner = self.inner(folded).tanh()
        back = inner.unflatten(0, (4, len(x))).transpose(0, 1) if self.apart else inner.unflatten(0, (len(x), 4))
        return self.head(back.mean((1, 2)))


class TimeFirst(nn.Module):
    """A transformer's layer as PyTorch has it by default: [time, samples, features]."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x.transpose(0, 1)).transpose(0, 1)


def alone(model: nn.Module, layer: str, samples: Tensor, channel: int) -> list[float]:
    """Return the mean of a channel, the last dimension, over all that one sample at a time gives."""
    held: list[Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda *given: held.append(given[2].detach()))
    with torch.no_grad():
        for sample in samples:
            model(sample[None])
    hook.remove()
    return [output[..., channel].mean().item() for output in held]


@pytest.fixture(params=[False, True], ids=["behind", "apart"])
def windows(request: pytest.FixtureRequest) -> Windows:
    torch.manual_seed(0)
    return Windows(apart=request.param).eval()


def test_each_picture_climbs_for_its_own_windows(windows: Windows) -> None:
    options: dict[str, Any] = {"layer": "inner", "input_shape": (3, 8, 8), "steps": 40, "parameterization": "fourier"}
    together = maximize(windows, channels=[0, 3, 5, 6], **options)
    for i, channel in enumerate(together.channels):
        (measured,) = alone(windows, "inner", torch.tensor(together.images[i : i + 1]).movedim(-1, 1), channel)
        single = maximize(windows, channels=[channel], **options)
        assert together.reached[i] == pytest.approx(measured, abs=1e-5)
        assert together.reached[i] == pytest.approx(single.reached[0], abs=1e-3)


def test_real_samples_are_measured_over_their_own_windows(windows: Windows) -> None:
    images = torch.rand(20, 3, 8, 8)  # more than are looked at at once
    (found,) = top_samples(windows, images, {"inner": [2]}, count=20)["inner"]
    expected = alone(windows, "inner", images, 2)
    assert [one.sample for one in found] == np.argsort(expected)[::-1].tolist()
    np.testing.assert_allclose([one.objective for one in found], sorted(expected, reverse=True), atol=1e-5)
    assert {one.box for one in found} == {None}


def test_time_may_come_first() -> None:
    torch.manual_seed(0)
    model = TimeFirst()
    found = maximize(model, layer="inner", channels=[1, 4], input_shape=(6, 3), time_first=True, steps=20)
    for i, channel in enumerate(found.channels):
        assert found.reached[i] == pytest.approx(
            alone(model, "inner", torch.tensor(found.images[i : i + 1]), channel)[0]
        )
    signals = torch.rand(6, 6, 3)  # as many samples as there are times
    (tops,) = top_samples(model, signals, {"inner": [4]}, count=6)["inner"]
    expected = alone(model, "inner", signals, 4)
    assert [one.sample for one in tops] == np.argsort(expected)[::-1].tolist()


def test_tokens_climb_for_their_own_rows() -> None:
    class Sentences(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(12, 6)
            self.inner = nn.Linear(6, 4)

        def forward(self, ids: Tensor) -> Tensor:
            return self.inner(self.embedding(ids).unflatten(1, (2, 3)).flatten(0, 1))

    torch.manual_seed(0)
    model = Sentences()
    found = maximize(model, layer="inner", channels=[0, 1, 3], inputs=torch.zeros(1, 6, dtype=torch.long), steps=12)
    assert found.tokens is not None
    best = model.inner(model.embedding.weight).amax(0)
    for i, channel in enumerate(found.channels):
        measured = alone(model, "inner", torch.tensor(found.tokens[i : i + 1]), channel)[0]
        assert found.reached[i] == pytest.approx(measured)
        assert measured == pytest.approx(best[channel].item())


def test_the_channels_of_the_output_are_those_of_the_layer_that_gave_it() -> None:
    model = nn.Sequential(nn.Conv1d(2, 5, 3, padding=1))
    assert maximize(model, objective="logit", channels="all", input_shape=(2, 7), steps=1).channels == (0, 1, 2, 3, 4)


def test_what_grows_with_nothing_or_in_its_channels_has_no_rows() -> None:
    one = torch.zeros(3, 4, 2)
    for two in (torch.zeros(3, 4, 2), torch.zeros(3, 8, 2), torch.zeros(6, 4, 4), torch.zeros(5, 4, 2)):
        with pytest.raises(CaptureError, match=r"it has no row for each\. Choose another layer"):
            Rows.of("mixed", one, two)
    with pytest.raises(CaptureError, match=r"'mixed' .* is \[3, 4, 2\] \(channels second\) for 2 samples"):
        Rows().by_sample("mixed", one, 2)
