"""Magnitudes of photographs: given, measured again, and kept while the phases climb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.maximizing import maximize
from layerscope.probing.maximizing.parameterizations import maco
from layerscope.probing.maximizing.parameterizations.colours import correlated, decorrelated
from layerscope.probing.maximizing.parameterizations.maco import Maco, magnitudes_of, shipped_magnitudes

CPU = torch.device("cpu")


def photographs() -> list[Tensor]:
    """Six photographs, the largest square in the middle of each, float32 [1, 3, side, side] in 0 to 1."""
    from skimage import data

    files = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), *load_sample_images().images]
    squares: list[Tensor] = []
    for file in files:
        height, width = file.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = file[top : top + side, left : left + side].astype(np.float32) / 255
        squares.append(torch.from_numpy(square).movedim(-1, 0)[None])
    return squares


@pytest.mark.parametrize(
    ("seen", "rows"),
    [
        (lambda photograph: photograph, maco._MAGNITUDES),
        (lambda photograph: photograph.mean(1, keepdim=True), (maco._GREY,)),
    ],
    ids=["colours", "grey"],
)
def test_the_shipped_magnitudes_are_those_of_six_photographs(
    seen: Callable[[Tensor], Tensor], rows: tuple[tuple[float, ...], ...]
) -> None:
    measured = [magnitudes_of(seen(photograph), (len(rows), 256, 256)).numpy() for photograph in photographs()]
    assert len(measured) == 6
    mean = np.mean(measured, 0)
    cycles = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :]) * 256
    for colour, row in enumerate(rows):
        around = [mean[colour][np.round(cycles) == cycle].mean() for cycle in maco._CYCLES]
        np.testing.assert_allclose(around, row, rtol=0.05)


def test_magnitudes_are_of_the_colours_that_vary_apart() -> None:
    """A slow twin with numpy's Fourier transform of two pictures that already have the size."""
    pictures = torch.rand(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    colours = np.linalg.inv(correlated(torch.eye(3)[:, :, None, None])[:, :, 0, 0].T.double().numpy())
    spectra = np.zeros((2, 3, 4, 4))
    for n in range(2):
        logits = np.log(pictures[n].double().numpy().clip(0.02, 0.98))
        logits -= np.log(1 - pictures[n].double().numpy().clip(0.02, 0.98))
        for colour in range(3):
            apart = sum(colours[colour, other] * logits[other] for other in range(3))
            spectra[n, colour] = np.abs(np.fft.fft2(apart) / 24)[:, :4]
    expected = spectra.mean(0)
    expected[:, 0, 0] = 0
    np.testing.assert_allclose(magnitudes_of(pictures, (3, 4, 6)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("colours", [1, 2, 3, 4])
def test_decorrelated_undoes_correlated(colours: int) -> None:
    pictures = torch.randn(2, colours, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(decorrelated(correlated(pictures)), pictures, rtol=1e-4, atol=1e-4)
    assert torch.equal(correlated(pictures), pictures) is (colours != 3)


@pytest.mark.parametrize("shape", [(1, 256, 256), (3, 256, 256), (2, 64, 96), (1, 1, 40)])
def test_the_shipped_magnitudes_go_through_what_was_measured(shape: tuple[int, int, int]) -> None:
    colours, height, width = shape
    magnitudes = shipped_magnitudes(shape)
    assert magnitudes.shape == (colours, height, width // 2 + 1)
    assert (magnitudes[:, 0, 0] == 0).all()  # the mean of a picture stays grey
    rows = maco._MAGNITUDES if colours == 3 else (maco._GREY,) * colours
    side = min(height, width) if height > 1 else width
    for colour, row in enumerate(rows):
        for cycle, value in zip(maco._CYCLES, row, strict=True):
            across = cycle * width / side
            if across == int(across) <= width // 2:
                assert magnitudes[colour, 0, int(across)] == pytest.approx(value, rel=1e-5)
    falling = magnitudes[:, 0, 1:].diff()
    assert (falling < 0).all()


def logits(pictures: Tensor) -> Tensor:
    return decorrelated(torch.logit(pictures.double()).float())


@pytest.mark.parametrize("shape", [(1, 8, 10), (3, 9, 8), (3, 16, 15), (4, 7, 7), (2, 1, 20), (1, 1, 2)])
def test_pictures_have_the_magnitudes_exactly(shape: tuple[int, int, int]) -> None:
    """Also where the half of the spectrum that is held holds a frequency and its opposite."""
    parameterization = Maco(shape, CPU)
    phases = torch.stack([parameterization.start(torch.Generator().manual_seed(seed)) for seed in range(3)])
    assert -np.pi <= phases.min() < -3 < 3 < phases.max() <= np.pi or phases.numel() < 50
    found = torch.fft.rfft2(logits(parameterization.render(phases)), norm="forward").abs()
    torch.testing.assert_close(found, shipped_magnitudes(shape).expand_as(found), rtol=1e-3, atol=1e-4)


def test_phases_are_those_of_the_picture() -> None:
    parameterization = Maco((1, 8, 8), CPU)
    phases = parameterization.start(torch.Generator().manual_seed(0))[None]
    spectrum = torch.fft.rfft2(logits(parameterization.render(phases)), norm="forward")
    inside = slice(1, 4)  # elsewhere they are made odd
    turned = torch.polar(torch.ones(1, 1, 8, 3), phases[..., inside])
    torch.testing.assert_close(spectrum[..., inside] / spectrum[..., inside].abs(), turned, rtol=1e-3, atol=1e-3)


def channel_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 5, stride=2), nn.ReLU(), nn.Conv2d(4, 4, 3))


def climbed(**options: Any) -> Any:
    settled = {"layer": "2", "channels": [1, 3], "parameterization": "maco", "input_shape": (3, 32, 32), "steps": 30}
    return maximize(channel_model(), **(settled | options))


def test_what_climbs_are_the_phases() -> None:
    found = climbed()
    pictures = torch.from_numpy(found.images).movedim(-1, 1)
    spectrum = torch.fft.rfft2(logits(pictures), norm="forward").abs()
    torch.testing.assert_close(spectrum, shipped_magnitudes((3, 32, 32)).expand_as(spectrum), rtol=1e-2, atol=1e-3)
    start = Maco((3, 32, 32), CPU).start(torch.Generator().manual_seed(0))
    assert found.coordinates.shape == (2, *start.shape)
    assert (found.coordinates - start).abs().mean() > 0.1
    assert (found.objective[:, -8:].mean(1) > found.objective[:, :8].mean(1)).all()


def test_the_same_seed_gives_the_same_picture_whatever_the_others_are() -> None:
    """Crops and noise are alike for all units."""
    options = {"steps": 6, "transforms": True}
    both, again, alone = climbed(**options), climbed(**options), climbed(**options, channels=[3])
    assert np.array_equal(both.images, again.images)
    np.testing.assert_allclose(alone.images[0], both.images[1], atol=1e-4)
    np.testing.assert_allclose(alone.objective[0], both.objective[1], atol=1e-4)
    assert not np.allclose(climbed(**options, seed=1).images, both.images, atol=0.01)


def test_magnitudes_can_be_those_of_ones_own_photographs() -> None:
    low, high = -2.0, 3.0
    own = torch.rand(5, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    found = climbed(photographs=low + (high - low) * own, value_range=(low, high), steps=3)
    spectrum = torch.fft.rfft2(logits(torch.from_numpy(found.images).movedim(-1, 1)), norm="forward").abs()
    expected = magnitudes_of(own, (3, 32, 32))
    torch.testing.assert_close(spectrum, expected.expand_as(spectrum), rtol=1e-2, atol=1e-3)
    assert not torch.allclose(expected, shipped_magnitudes((3, 32, 32)), rtol=0.5)


@pytest.mark.parametrize("shape", [(5, 1, 40, 50), (3, 40, 50), (5, 40, 50, 3)])
def test_photographs_of_another_form_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be \[samples, 3, height, width\], .* but they are"):
        climbed(photographs=torch.rand(shape), steps=1)


@pytest.mark.parametrize(
    ("side", "layer", "chosen"), [(64, "3", "maco"), (63, "3", "fourier"), (64, "0", "fourier"), (64, "", "maco")]
)
def test_classes_of_large_images_have_the_magnitudes_of_photographs(side: int, layer: str, chosen: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    found = maximize(model, layer=layer, channels=1, input_shape=(1, side, side), steps=1)
    assert found.parameterization == chosen
