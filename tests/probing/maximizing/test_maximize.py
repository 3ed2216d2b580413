from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import layerscope
from layerscope.errors import CaptureError, InvalidArgumentError, LayerNotFoundError
from layerscope.probing.maximizing import Maximization, maximize
from layerscope.probing.maximizing.parameterizations.fourier import Fourier
from layerscope.probing.maximizing.views import MOVED
from probed_models import DigitsNet

SHAPE = (1, 8, 8)


@pytest.fixture
def model() -> DigitsNet:
    torch.manual_seed(0)
    model = DigitsNet()
    with torch.no_grad():
        model(torch.randn(32, 1, 8, 8))
    return model


def linear(weight: Tensor) -> nn.Module:
    """A model whose units have ``weight`` [units, colours, height, width]."""
    fc = nn.Linear(weight[0].numel(), len(weight), bias=False)
    with torch.no_grad():
        fc.weight.copy_(weight.flatten(1))
    return nn.Sequential(nn.Flatten(), fc)


def cosine(image: np.ndarray[Any, Any], weight: Tensor) -> float:
    """Compare an input, colours last, with a weight, colours first."""
    centred = torch.from_numpy(image).movedim(-1, 0).flatten() - 0.5
    return torch.cosine_similarity(centred, weight.flatten(), dim=0).item()


def smooth_signs(units: int, colours: int) -> Tensor:
    """Return smooth patterns of +1 and -1, [units, colours, 8, 9]; three colours go together, as in photographs."""
    own = 1 if colours == 3 else colours
    coarse = torch.randn(units, own, 3, 3, generator=torch.Generator().manual_seed(0))
    signs = functional.interpolate(coarse, size=(8, 9), mode="bicubic", align_corners=True).sign()
    return signs.expand(units, colours, 8, 9).contiguous()


@pytest.mark.parametrize(("colours", "similarity"), [(1, 0.999), (2, 0.999), (3, 0.97), (4, 0.999)])
def test_the_optimum_of_a_linear_unit_is_its_weight(colours: int, similarity: float) -> None:
    # Of a weight of +1 and -1 the optimum among images from 0 to 1 is 1 where it is +1 and 0 where it is -1. Of three
    # colours, decorrelated, single values out of 216 are late.
    weight = smooth_signs(2, colours)
    found = maximize(
        linear(weight),
        layer="1",
        channels="all",
        input_shape=(colours, 8, 9),
        transforms=False,
        steps=300,
        learning_rate=0.2,
    )
    assert found.images.shape == (2, 8, 9, colours)
    assert (found.parameterization, found.modality) == ("fourier", "image")
    for image, unit, reached in zip(found.images, weight, found.reached, strict=True):
        assert cosine(image, unit) > similarity
        optimum = (unit > 0).sum().item()
        assert 0.95 * optimum < reached <= optimum


@pytest.mark.parametrize("shape", [(1, 6, 7), (3, 6, 7), (4, 6, 7), (3, 20), (24,)])
def test_of_inputs_of_one_norm_the_optimum_is_the_weight_itself(shape: tuple[int, ...]) -> None:
    weight = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    found = maximize(
        linear(weight),
        layer="1",
        channels="all",
        input_shape=shape,
        parameterization="pixel",
        time_first=False,
        transforms=False,
        steps=200,
    )
    for image, unit in zip(found.images, weight, strict=True):
        assert cosine(image, unit) > 0.99


def test_a_signal_is_smooth_and_in_the_order_of_the_model() -> None:
    """Of a linear unit over [time, variables] the optimum follows its weight, a slow wave for each variable."""
    wave = torch.stack([torch.linspace(0, 6, 40).sin(), torch.linspace(0, 4, 40).cos()], 1)  # [time, variables]
    options: dict[str, Any] = {"layer": "1", "channels": 1, "steps": 400, "transforms": False, "learning_rate": 0.1}
    found = maximize(linear(wave[None]), input_shape=(40, 2), **options)
    assert found.modality == "time_series"
    assert found.images.shape == (1, 40, 2)  # a model without Conv1d is given time first
    assert found.reached[0] > 0.9 * wave.clamp_min(0).sum()  # which is what a square wave of its signs would reach
    last = maximize(linear(wave.T[None]), input_shape=(2, 40), time_first=False, **options)
    np.testing.assert_allclose(last.images, found.images, atol=1e-5)


def test_the_objective_is_the_mean_of_the_channel_over_its_positions(model: DigitsNet) -> None:
    found = maximize(model, layer="block1.bn2", channels=[5], input_shape=SHAPE, steps=1, transforms=False)
    fourier = Fourier(SHAPE, torch.device("cpu"))
    start = fourier.render(fourier.start(torch.Generator().manual_seed(0))[None])
    seen: list[Tensor] = []
    handle = model.block1.bn2.register_forward_hook(lambda module, inputs, output: seen.append(output[:, 5].mean()))
    with torch.no_grad():
        model.eval()(start)
    handle.remove()
    assert found.objective.shape == (1, 1)
    assert found.objective[0, 0] == pytest.approx(seen[0].item(), rel=1e-5)


@pytest.mark.parametrize("layer", ["stem.0", "block1.bn2", "block2.shortcut", "fc"])
def test_the_objective_rises(model: DigitsNet, layer: str) -> None:
    found = maximize(model, layer=layer, channels=3, input_shape=SHAPE, value_range=(-1, 1), steps=48)
    quarters = found.objective.reshape(3, 4, 12).mean(2)
    assert (quarters[:, -1] > quarters[:, 0]).all()
    assert (found.images >= 0).all()
    assert (found.images <= 1).all()
    assert found.images.dtype == found.objective.dtype == np.float32


def test_the_same_seed_gives_the_same_image_and_another_seed_another(model: DigitsNet) -> None:
    def images(**options: Any) -> np.ndarray[Any, Any]:
        return maximize(model, layer="fc", input_shape=SHAPE, steps=8, **({"channels": [4]} | options)).images

    first = images()
    torch.manual_seed(99)
    assert np.array_equal(images(), first)
    assert not np.allclose(images(seed=1), first, atol=1e-3)
    np.testing.assert_allclose(images(channels=[2, 4])[1], first[0], atol=1e-4)  # whichever others are asked for


def test_many_channels_climb_in_parts_as_they_would_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 40, 3))
    together = maximize(
        model, layer="0", channels="all", input_shape=SHAPE, steps=4, learning_rate=0.05, transforms=True
    )
    assert together.channels == tuple(range(40))
    alone = maximize(model, layer="0", channels=[37], input_shape=SHAPE, steps=4, learning_rate=0.05, transforms=True)
    np.testing.assert_allclose(together.images[37], alone.images[0], atol=1e-5)
    np.testing.assert_allclose(together.objective[37], alone.objective[0], atol=1e-5)


def test_the_model_sees_the_value_range_in_its_own_type() -> None:
    seen: list[Tensor] = []

    class Recording(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1, dtype=torch.float64)

        def forward(self, x: Tensor) -> Tensor:
            seen.append(x.detach().clone())
            return self.conv(x)

    model = Recording()
    with torch.no_grad():
        model.conv.weight.fill_(1)
    found = maximize(
        model, layer="conv", channels=1, input_shape=SHAPE, value_range=(-3, 5), steps=200, transforms=False
    )
    assert {tensor.dtype for tensor in seen} == {torch.float64}
    assert seen[0].unique().tolist() == [1.0]  # grey
    assert seen[-1].min() >= -3
    assert 3 < seen[-1].max() <= 5
    assert found.images.mean() > 0.8


def test_the_forward_stops_at_the_layer_even_if_the_model_catches_exceptions() -> None:
    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.after = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                x = self.conv(x)
            except Exception:
                reached.append(1)
            reached.append(2)
            return self.after(x)

    reached: list[int] = []
    maximize(Stubborn(), layer="conv", channels=1, input_shape=SHAPE, steps=2)
    assert reached == []


def test_the_shape_is_inferred_from_the_first_convolution() -> None:
    model = nn.Sequential(nn.Conv2d(4, 2, 3, stride=8))
    found = maximize(model, layer="0", channels=1, steps=1)
    assert found.images.shape == (1, 128, 128, 4)


def test_the_channels_of_tokens_are_their_features() -> None:
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.norm = nn.Conv2d(1, 6, 4, stride=4), nn.LayerNorm(6)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.embed(x).flatten(2).transpose(1, 2))

    found = maximize(Patches(), layer="norm", channels="all", input_shape=SHAPE, steps=8)
    assert found.channels == (0, 1, 2, 3, 4, 5)
    assert (found.objective[:, -1] > found.objective[:, 0]).all()


def test_a_number_of_channels_means_the_first_so_many(model: DigitsNet) -> None:
    assert maximize(model, layer="fc", channels=3, input_shape=SHAPE, steps=1).channels == (0, 1, 2)
    assert maximize(model, layer="fc", channels=99, input_shape=SHAPE, steps=1).channels == tuple(range(10))
    assert maximize(model, layer="fc", channels=[7, 2], input_shape=SHAPE, steps=1).channels == (7, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": [3, 10]}, r"channels of layer 'fc' go from 0 to 9, since it has 10, but 10 was asked for"),
        ({"channels": [-1]}, r"but -1 was asked for"),
        ({"channels": []}, r"but none was asked for. Choose at least one"),
        ({"channels": 0}, r"but none was asked for"),
        ({"channels": "some"}, r"\"all\", a number or a list of numbers, not 'some'"),
        ({"steps": 0}, r"steps must be an integer of at least 1, .* but they are 0"),
        ({"value_range": (1, 1)}, r"value_range two finite numbers, the smaller first"),
        ({"learning_rate": 0}, r"learning_rate positive"),
        ({"steps": 2.5}, r"steps must be an integer"),
        ({"seconds": math.nan}, r"seconds not negative"),
        ({"diversity": math.nan}, r"diversity and seconds"),
        ({"value_range": (0, math.inf)}, r"two finite numbers"),
        ({"value_range": (0, 1, 2)}, r"two finite numbers"),
        ({"channels": [1.7]}, r"a list of numbers, not \[1.7\]"),
        ({"channels": None}, r"a list of numbers, not None"),
        ({"photographs": torch.rand(2, 1, 9, 9), "parameterization": "fourier"}, r"photographs belong to .*'maco'"),
        ({"photographs": torch.rand(0, 1, 9, 9)}, r"photographs must be \[samples, 1, height, width\]"),
        ({"photographs": torch.randint(0, 256, (2, 1, 9, 9))}, r"photographs must be in value_range, 0 to 1"),
        (
            {"input_shape": (1, 8, 8, 8)},
            r"input_shape must be \(colours, height, width\), .* each at least 1, but it is \(1, 8, 8, 8\)",
        ),
    ],
)
def test_arguments_that_break_a_rule(model: DigitsNet, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        maximize(model, **({"layer": "fc", "channels": 1, "input_shape": SHAPE, "steps": 1} | options))


def test_a_shape_that_cannot_be_inferred_or_does_not_fit_is_explained() -> None:
    with pytest.raises(
        InvalidArgumentError,
        match=r"first 2-D convolution, but it has none\. Give input_shape=.* inputs=, a sample, for a model of tokens",
    ):
        maximize(nn.Linear(2, 2), layer="<Linear>", channels=1)
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(36, 2))
    with pytest.raises(CaptureError, match=r"inferred as \(1, 128, 128\), but the model fails on one: mat1"):
        maximize(model, layer="2", channels=1)
    with pytest.raises(RuntimeError, match="mat1"):
        maximize(model, layer="2", channels=1, input_shape=(1, 9, 9))


def test_a_model_of_several_inputs_is_told_what_to_do() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x: Tensor, meta: Tensor) -> Tensor:
            return self.conv(x).mean((2, 3)) + meta

    with pytest.raises(
        CaptureError, match=r"fails on one input: .*'meta'\. Of a model of several inputs maximize a module"
    ):
        maximize(Two(), layer="conv", channels=1, input_shape=SHAPE)


def test_layers_that_cannot_be_maximized_are_explained(model: DigitsNet) -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.total, self.unused = nn.Conv2d(1, 2, 3), nn.Flatten(0), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.total(self.conv(x.detach()))

    with pytest.raises(LayerNotFoundError, match="'fc2' was asked for"):
        maximize(model, layer="fc2", channels=1, input_shape=SHAPE)
    with pytest.raises(CaptureError, match="does not depend on the input"):
        maximize(Cut(), layer="conv", channels=1, input_shape=SHAPE)
    with pytest.raises(CaptureError, match=r"its output is \[72\]; it must have dimensions"):
        maximize(Cut(), layer="total", channels=1, input_shape=SHAPE)
    with pytest.raises(CaptureError, match="this forward pass did not call it"):
        maximize(Cut(), layer="unused", channels=1, input_shape=SHAPE)


def test_a_diverged_model_is_named_as_such() -> None:
    model = linear(torch.full((1, 1, 4, 4), torch.nan))
    with pytest.raises(CaptureError, match=r"the layer gave infinities or NaN.*training may have diverged"):
        maximize(model, layer="1", channels=1, input_shape=(1, 4, 4), steps=2)


def test_a_spectrum_renders_to_its_inverse_fourier_transform() -> None:
    fourier = Fourier((1, 4, 6), torch.device("cpu"))
    start = fourier.start(torch.Generator().manual_seed(0))
    spectrum = torch.view_as_complex(start)[0].numpy()
    scaled = np.zeros((4, 4), complex)
    for i, j in np.ndindex(4, 4):
        frequency = np.hypot(np.fft.fftfreq(4)[i], np.fft.rfftfreq(6)[j])
        scaled[i, j] = spectrum[i, j] / max(frequency, 1 / 6)
    expected = 1 / (1 + np.exp(-np.fft.irfft2(scaled, s=(4, 6), norm="ortho") / 4))
    np.testing.assert_allclose(fourier.render(start[None])[0, 0], expected, atol=1e-6)


def test_transforms_move_all_images_alike_and_a_rotation_keeps_the_middle() -> None:
    ramp = torch.linspace(0, 1, 33).expand(2, 1, 17, 33)
    moved = MOVED.show(ramp, torch.Generator().manual_seed(0))
    assert torch.equal(moved[0], moved[1])
    assert not torch.allclose(moved, ramp, atol=1e-3)
    white = MOVED.show(torch.ones(1, 1, 9, 12), torch.Generator().manual_seed(0))
    torch.testing.assert_close(white, torch.ones(1, 1, 9, 12))  # beyond the border the image is reflected
    # A linear image keeps its form inside: its middle moves by at most the largest shift, 1/16 of the width.
    assert abs(moved[0, 0, 8, 16].item() - 0.5) < 33 / 32 / 16 + 1e-6
    slope = moved[0, 0, 8, 20] - moved[0, 0, 8, 12]
    assert 0.9 * 0.99 * 0.25 < slope < 1.1 * 0.25


def test_it_is_public() -> None:
    assert layerscope.maximize is maximize
    assert layerscope.Maximization is Maximization


@pytest.mark.parametrize(("side", "moving"), [(31, False), (32, True)])
def test_small_images_are_looked_at_as_they_are(side: int, moving: bool) -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(1, 2, 3)
    options = {"layer": "<Conv2d>", "channels": 1, "input_shape": (1, side, side), "steps": 3}
    default, still = maximize(model, **options), maximize(model, **options, transforms=False)
    assert np.array_equal(default.images, still.images) is not moving
