"""Occlusion, against windows that are covered one by one by hand."""

from __future__ import annotations

from typing import Any

import captum.attr
import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.attributions import Question
from layerscope.probing.attributions.occlusion import Occlusion
from probed_models import DigitsNet, Tokens


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow(model: nn.Module, image: Tensor, label: int, starts: list[list[int]], sides: tuple[int, int]) -> Tensor:
    """Return the mean over the windows that cover a pixel of what covering takes, over the elements of a window."""
    total, times = torch.zeros(image.shape), torch.zeros(image.shape)
    with torch.no_grad():
        full = model(image[None])[0, label]
        for top in starts[0]:
            for left in starts[1]:
                place = (slice(None), slice(top, top + sides[0]), slice(left, left + sides[1]))
                covered = image.clone()
                covered[place] = 0.0
                total[place] += (full - model(covered[None])[0, label]) / covered[place].numel()
                times[place] += 1
    return total / times


@pytest.mark.parametrize(
    ("window", "stride", "starts", "sides"),
    [
        (None, None, [list(range(8)), list(range(10))], (1, 1)),
        (3, 2, [[0, 2, 4, 5], [0, 2, 4, 6, 7]], (3, 3)),
        ((4, 5), (4, 5), [[0, 4], [0, 5]], (4, 5)),
        ((2, 20), (2, 1), [[0, 2, 4, 6], [0]], (2, 10)),
        (4, None, [[0, 2, 4], [0, 2, 4, 6]], (4, 4)),
    ],
)
def test_windows_slide_over_images(window: Any, stride: Any, starts: list[list[int]], sides: tuple[int, int]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 8, 3))
    images = random(2, 2, 8, 10)
    found = Occlusion(window=window, stride=stride).attribute("occlusion", Question(model, images, [2, 0]))
    for sample, label in enumerate((2, 0)):
        expected = slow(model, images[sample], label, starts, sides)
        torch.testing.assert_close(found.inputs[0][sample], expected, atol=1e-6, rtol=1e-4)
    assert found.delta is None
    assert found.trust == {}


def test_windows_that_tile_an_image_are_those_of_captum() -> None:
    torch.manual_seed(0)
    model, images = DigitsNet().eval(), random(2, 1, 8, 8)
    oracle: Any = captum.attr.Occlusion(model)
    expected = oracle.attribute(images, (1, 2, 2), (1, 2, 2), target=3)
    found = Occlusion(window=2, stride=2).attribute("occlusion", Question(model, images, 3))
    torch.testing.assert_close(found.inputs[0] * 4, expected.float(), atol=1e-5, rtol=1e-4)


def test_columns_and_tokens_are_covered_one_by_one() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(4, 3), random(2, 4)
    found = Occlusion(baselines=0.5).attribute("occlusion", Question(model, x, 1))
    torch.testing.assert_close(found.inputs[0], model.weight[1].detach() * (x - 0.5), atol=1e-6, rtol=1e-5)
    tokens, ids = Tokens().eval(), torch.tensor([[1, 5, 3], [2, 4, 9]])
    words = Occlusion(padding_id=6).attribute("occlusion", Question(tokens, {"ids": ids}, 2)).inputs[0]
    for place in range(3):
        covered = ids.clone()
        covered[:, place] = 6
        with torch.no_grad():
            expected = (tokens(ids=ids)["logits"] - tokens(ids=covered)["logits"])[:, 2]
        torch.testing.assert_close(words[:, place], expected, atol=1e-6, rtol=1e-4)


def test_an_image_beside_a_table() -> None:
    class Both(nn.Module):
        def forward(self, image: Tensor, table: Tensor) -> Tensor:
            return (image.sum((1, 2, 3)) + (table * torch.tensor([1.0, 2.0])).sum(1))[:, None]

    image, table = random(2, 1, 4, 4), random(2, 2, seed=1)
    found = Occlusion(window=2, stride=2).attribute("occlusion", Question(Both(), (image, table), 0))
    blocks = image.reshape(2, 1, 2, 2, 2, 2).mean((3, 5), keepdim=True).expand(2, 1, 2, 2, 2, 2).reshape(2, 1, 4, 4)
    torch.testing.assert_close(found.inputs[0], blocks, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found.inputs[1], table * torch.tensor([1.0, 2.0]), atol=1e-6, rtol=1e-5)
    named = Occlusion(window=2, stride=2).attribute("occlusion", Question(Both(), {"image": image, "table": table}, 0))
    torch.testing.assert_close(named.inputs, found.inputs)


def test_images_with_their_samples_in_another_dimension() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = DigitsNet().eval()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.transpose(0, 1))

    torch.manual_seed(0)
    model, images = Turned(), random(2, 1, 8, 8)
    turned = Occlusion(window=3).attribute("o", Question(model, images.transpose(0, 1), 1, batch_dim=1))
    plain = Occlusion(window=3).attribute("o", Question(model.inner, images, 1))
    torch.testing.assert_close(turned.inputs[0], plain.inputs[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ({"window": 3}, random(2, 4), r"slide over images .* but the inputs are \[\[2, 4\]\] with features='auto'"),
        ({"stride": 3, "features": "patches"}, random(2, 1, 8, 8), "with features='patches'"),
        ({"window": 2, "stride": 3}, random(2, 1, 8, 8), "here they are 2 and 3 for a side of 8 pixels"),
        ({"window": 0}, random(2, 1, 8, 8), "window and stride must be at least 1"),
    ],
)
def test_windows_that_do_not_fit(options: dict[str, Any], inputs: Tensor, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Occlusion(**options).attribute("occlusion", Question(nn.Flatten(), inputs, 0))
