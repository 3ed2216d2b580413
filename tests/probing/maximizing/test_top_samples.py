"""The samples on which units are strongest, against a loop over samples; and where in them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import CaptureError, LayerNotFoundError
from layerscope.probing.maximizing.objectives import Direction, Neuron
from layerscope.probing.maximizing.top_samples import top_samples
from layerscope.wire import TopSample
from probed_models import DigitsNet, Recurrent, Tokens

IMAGES = torch.randn(70, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> DigitsNet:
    torch.manual_seed(0)
    return DigitsNet()


def slow(model: nn.Module, layer: str, unit: int, images: Tensor, count: int) -> list[tuple[int, float]]:
    """Return (sample, mean of the channel) one sample at a time, the largest first."""
    held: list[Tensor] = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _, inputs, output: held.append(output.clone()))
    model.eval()
    with torch.no_grad():
        means = [(model(image[None]), held.pop()[0, unit].mean().item())[1] for image in images]
    handle.remove()
    return sorted(enumerate(means), key=lambda pair: -pair[1])[:count]


@pytest.mark.parametrize(("layer", "count"), [("stem.0", 4), ("block1.conv2", 4), ("fc", 3), ("fc", 99)])
def test_they_are_those_of_a_loop(model: DigitsNet, layer: str, count: int) -> None:
    found = top_samples(model, IMAGES, {layer: [5, 0]}, count=count)
    assert list(found) == [layer]
    for unit, best in zip((5, 0), found[layer], strict=True):
        expected = slow(model, layer, unit, IMAGES, count)
        assert [one.sample for one in best] == [sample for sample, _ in expected]
        np.testing.assert_allclose([one.objective for one in best], [mean for _, mean in expected], atol=1e-5)
        assert len(best) == min(count, 70)


def test_layers_that_are_changed_in_place_afterwards_are_seen_as_they_were(model: DigitsNet) -> None:
    """Several layers share a pass that goes on behind each: a ReLU in place follows, and a sum."""
    layers = {layer: [1, 3] for layer in ("stem.1", "block1.bn1", "block1.bn2", "block2.shortcut", "", "stem.0")}
    together = top_samples(model, IMAGES, layers)
    assert list(together) == list(layers)
    for layer, units in layers.items():
        assert together[layer] == top_samples(model, IMAGES, {layer: units})[layer]
        if layer:
            expected = slow(model, layer, 3, IMAGES, 4)
            np.testing.assert_allclose(
                [one.objective for one in together[layer][1]], [m for _, m in expected], atol=1e-5
            )


def test_without_time_the_first_samples_are_looked_at(model: DigitsNet) -> None:
    hurried = top_samples(model, IMAGES[:64], {"fc": [2]}, count=20, seconds=0.0)["fc"][0]
    assert hurried == top_samples(model, IMAGES[:16], {"fc": [2]}, count=20)["fc"][0]
    assert len(hurried) == 16


def test_the_outputs_of_the_model_are_units_too(model: DigitsNet) -> None:
    found = top_samples(model, IMAGES, {"": [3], "fc": [3]})
    assert found[""] == found["fc"]
    assert {one.box for one in found["fc"][0]} == {None}


class Sums(nn.Module):
    """Passes its inputs on."""

    def __init__(self) -> None:
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.same(x)


def test_of_equal_samples_the_first_comes_first() -> None:
    rows = torch.tensor([[0.0], [2.0], [1.0], [2.0], [2.0]])
    assert top_samples(Sums(), rows, {"same": [0]}, count=4)["same"] == (
        (TopSample(1, 2.0), TopSample(3, 2.0), TopSample(4, 2.0), TopSample(2, 1.0)),
    )


def test_samples_without_a_number_are_left_out() -> None:
    rows = torch.tensor([[1.0, 5.0], [math.nan, 6.0], [-math.inf, math.nan], [3.0, math.inf]])
    found = top_samples(Sums(), rows, {"same": [0, 1]})["same"]
    assert found == ((TopSample(3, 3.0), TopSample(0, 1.0)), (TopSample(1, 6.0), TopSample(0, 5.0)))
    assert top_samples(Sums(), rows * math.nan, {"same": [0, 1]})["same"] == ((), ())


def test_other_objectives() -> None:
    rows = torch.tensor([[[1.0, 0.0], [0.0, 3.0]], [[2.0, 0.0], [0.0, 1.0]]])  # [samples, time, features]
    directions = Direction(torch.tensor([[3.0, -4.0]]))
    assert top_samples(Sums(), rows, {"same": [0]}, objective=directions)["same"][0] == (
        TopSample(1, pytest.approx((0.6 * 2 - 0.8 * 1) / 2)),
        TopSample(0, pytest.approx((0.6 * 1 - 0.8 * 3) / 2)),
    )
    last = top_samples(Sums(), rows, {"same": [1]}, objective=Neuron((-1,)))["same"][0]
    assert [(one.sample, one.objective) for one in last] == [(0, 3.0), (1, 1.0)]


def spots(height: int, width: int, at: list[tuple[int, int]]) -> Tensor:
    """Dark images, each with one bright pixel."""
    images = torch.zeros(len(at), 1, height, width)
    for image, (down, across) in zip(images, at, strict=True):
        image[0, down, across] = 1
    return images


def sensitive(padding: int = 1, size: int = 3, stride: int = 1) -> nn.Module:
    """A convolution that is strongest where the middle of its window is bright."""
    conv = nn.Conv2d(1, 2, size, stride, padding)
    with torch.no_grad():
        conv.weight.fill_(0.5)
        conv.weight[0, 0, size // 2, size // 2] = 1
    return nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))


def pixels(box: tuple[float, float, float, float] | None, height: int, width: int) -> list[float]:
    assert box is not None
    return [share * side for share, side in zip(box, (height, height, width, width), strict=True)]


def test_the_box_of_a_convolution_is_its_window_around_the_bright_spot() -> None:
    at = [(4, 5), (11, 2), (0, 0), (7, 19)]
    found = top_samples(sensitive(), spots(12, 20, at), {"0": [0]})["0"][0]
    assert {one.sample for one in found} == {0, 1, 2, 3}
    for one in found:
        down, across = at[one.sample]
        expected = [max(down - 1, 0), min(down + 2, 12), max(across - 1, 0), min(across + 2, 20)]
        np.testing.assert_allclose(pixels(one.box, 12, 20), expected, atol=1e-4)


def test_the_box_of_a_convolution_without_padding_is_a_pixel_off_at_most() -> None:
    at = [(4, 5), (10, 2), (1, 1), (7, 18)]
    for one in top_samples(sensitive(padding=0), spots(12, 20, at), {"0": [0]})["0"][0]:
        down, across = at[one.sample]
        expected = [down - 1, down + 2, across - 1, across + 2]
        np.testing.assert_allclose(pixels(one.box, 12, 20), expected, atol=1)


def test_the_box_of_strided_convolutions_holds_what_they_see() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1))
    found = top_samples(model, torch.randn(5, 1, 32, 32), {"0": [1], "1": [1]}, count=1)
    for layer, window in (("0", 3), ("1", 7)):
        top, bottom, left, right = pixels(found[layer][0][0].box, 32, 32)
        inside = top > 0 and left > 0 and bottom < 32 and right < 32
        sides = [bottom - top, right - left]
        assert max(sides) <= window
        assert not inside or min(sides) >= window - 2  # 90 % of the mass


def test_the_box_of_a_layer_that_sees_everything_is_everything() -> None:
    """A gate made of the mean of the whole image, as in squeeze and excitation."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Sigmoid()
            self.out = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            pooled = x.mean((2, 3), keepdim=True)
            return self.out(self.gate(100 * pooled) + 0 * x)

    images = 0.01 * torch.randn(3, 1, 40, 30, generator=torch.Generator().manual_seed(0))
    for one in top_samples(Gated(), images, {"out": [0]})["out"][0]:
        top, bottom, left, right = pixels(one.box, 40, 30)
        # Each channel is as strong everywhere, first in the corner; the field is 90 % of the sides.
        assert (top, left) == (0, 0)
        assert bottom >= 18
        assert right >= 13.5


def test_layers_without_positions_in_a_plane_have_no_box(model: DigitsNet) -> None:
    flat = top_samples(model, IMAGES, {"fc": [0], "block1": [0]}, count=1)
    assert flat["fc"][0][0].box is None
    assert flat["block1"][0][0].box is not None
    pooled = top_samples(model, IMAGES, {"pool": [0]}, count=1)["pool"][0][0].box
    assert pooled is not None  # one position, whose window is everything but ends
    assert pooled[1] - pooled[0] >= 0.7
    assert pooled[3] - pooled[2] >= 0.7


def test_inputs_that_are_no_images_have_no_box() -> None:
    torch.manual_seed(0)
    signal = nn.Sequential(nn.Conv1d(2, 3, 3))
    one = top_samples(signal, torch.randn(4, 2, 9), {"0": [1]}, count=1)["0"][0][0]
    assert one.box is None
    words = {"ids": torch.tensor([[1, 5, 3, 19], [2, 2, 0, 7], [9, 9, 9, 9]])}
    tokens = Tokens().eval()
    found = top_samples(tokens, words, {"head": [2], "words": [0]})
    with torch.no_grad():
        logits = tokens(**words)["logits"][:, 2]
        embedded = tokens.words(words["ids"])[..., 0].mean(1)
    for layer, values in (("head", logits), ("words", embedded)):
        assert [one.sample for one in found[layer][0]] == values.argsort(descending=True).tolist()
        assert {one.box for one in found[layer][0]} == {None}
    rows = top_samples(Recurrent(), IMAGES[:5], {"lstm": [0]}, count=1)["lstm"][0][0]
    assert rows.box is None  # positions in time alone


def test_an_image_between_other_inputs_is_found() -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scaled = nn.Identity()

        def forward(self, weight: Tensor, image: Tensor) -> Tensor:
            return self.scaled(image * weight[:, None, None, None])

    images = spots(6, 6, [(2, 3), (4, 1), (5, 5)])
    found = top_samples(Weighted(), (torch.tensor([1.0, 3.0, 2.0]), images), {"scaled": [0]})["scaled"][0]
    assert [one.sample for one in found] == [1, 2, 0]
    np.testing.assert_allclose(pixels(found[0].box, 6, 6), [4, 5, 1, 2], atol=1e-4)


def test_layers_that_have_no_row_for_each_sample_are_told_so(model: DigitsNet) -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean = nn.Flatten(1)

        def forward(self, x: Tensor) -> Tensor:
            return self.mean(x.movedim(0, 2).sum(2, keepdim=True))

    with pytest.raises(CaptureError, match=r"of layer 'mean' .* is \[3, 3\] .* for 2 samples: it has no row for each"):
        top_samples(Mixed(), torch.rand(2, 3, 3), {"mean": [0]})
    with pytest.raises(LayerNotFoundError, match="'fc2' was asked for"):
        top_samples(model, IMAGES, {"fc2": [0]})


def test_a_unit_that_an_image_does_not_reach_has_the_whole_sample(model: DigitsNet) -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.out(x.detach())

    found: Any = top_samples(Constant(), IMAGES[:2], {"out": [0]}, count=1)
    top, bottom, left, right = found["out"][0][0].box
    assert max(bottom - top, right - left) <= 1
