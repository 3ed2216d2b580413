"""Each objective against a twin that loops over numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.errors import InvalidArgumentError
from layerscope.probing.maximizing import Maximization, maximize
from layerscope.probing.maximizing.objectives import Channel, Direction, Neuron, WholeLayer, likeness

PLANE = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
SEQUENCE = PLANE[..., 0]
FLAT = PLANE[..., 0, 0]
DIRECTIONS = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))


def mean_of_channel(output: Tensor, picture: int, channel: int) -> float:
    values = output[picture, channel].flatten().tolist()
    return sum(values) / len(values)


@pytest.mark.parametrize("output", [PLANE, SEQUENCE, FLAT])
def test_channel_is_the_mean_over_positions(output: Tensor) -> None:
    each = Channel().each(output)
    for picture, channel in np.ndindex(3, 4):
        assert each[picture, channel] == pytest.approx(mean_of_channel(output, picture, channel), abs=1e-6)
    assert Channel().available(output) == 4
    assert Channel().of(output, torch.tensor([2, 0, 3])).tolist() == [each[0, 2], each[1, 0], each[2, 3]]


@pytest.mark.parametrize(("position", "at"), [(None, (2, 3)), ((0, 5), (0, 5)), ((-1, -6), (4, 0)), ([4, 1], (4, 1))])
def test_neuron_is_a_channel_at_one_position(position: Any, at: tuple[int, int]) -> None:
    assert torch.equal(Neuron(position).each(PLANE), PLANE[:, :, at[0], at[1]])
    assert Neuron(position).available(PLANE) == 4


def test_the_neuron_in_the_middle_of_other_layers() -> None:
    assert torch.equal(Neuron().each(SEQUENCE), SEQUENCE[:, :, 2])
    assert torch.equal(Neuron().each(FLAT), FLAT)


@pytest.mark.parametrize("position", [(5, 0), (0, -7), (1,), (0, 0, 0)])
def test_a_position_that_is_none_is_refused(position: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"position must be 2 indices into the positions \[5, 6\]"):
        Neuron(position).each(PLANE)


@pytest.mark.parametrize("output", [PLANE, SEQUENCE, FLAT])
def test_direction_is_the_mean_product_with_a_unit_vector(output: Tensor) -> None:
    goal = Direction(DIRECTIONS)
    each = goal.each(output)
    assert goal.available(output) == 2
    for picture, direction in np.ndindex(3, 2):
        vector = DIRECTIONS[direction].double().numpy()
        product = sum(vector[c] * mean_of_channel(output, picture, c) for c in range(4))
        assert each[picture, direction] == pytest.approx(product / np.sqrt((vector**2).sum()), abs=1e-6)


def test_directions_of_another_width_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be \[directions, 4\], .* but they are \[2, 3\]"):
        Direction(DIRECTIONS[:, :3]).available(PLANE)


@pytest.mark.parametrize("output", [PLANE, SEQUENCE, FLAT])
def test_the_objective_of_a_layer_is_its_mean_square(output: Tensor) -> None:
    each = WholeLayer().each(output)
    assert WholeLayer().available(output) == 1
    assert each.shape == (3, 1)
    for picture in range(3):
        values = [value**2 for value in output[picture].flatten().tolist()]
        assert each[picture, 0] == pytest.approx(sum(values) / len(values), rel=1e-5)


def slow_likeness(output: np.ndarray[Any, Any], groups: list[int]) -> list[float]:
    """Olah et al. 2017: the sum of the cosines of Gram matrices, number by number."""
    features = output.reshape(*output.shape[:2], -1).astype(np.float64)
    grams = [[[(a * b).sum() for b in picture] for a in picture] for picture in features]
    flat = [np.array(gram).ravel() for gram in grams]

    def cosine(i: int, j: int) -> float:
        return float(flat[i] @ flat[j] / np.sqrt((flat[i] @ flat[i]) * (flat[j] @ flat[j])))

    everyone = range(len(flat))
    return [sum(cosine(i, j) for j in everyone if j != i and groups[i] == groups[j]) for i in everyone]


@pytest.mark.parametrize("output", [PLANE, SEQUENCE, FLAT])
@pytest.mark.parametrize("groups", [[0, 0, 0], [7, 1, 7], [0, 1, 2]])
def test_likeness_is_the_cosine_of_gram_matrices_within_a_unit(output: Tensor, groups: list[int]) -> None:
    expected = slow_likeness(output.numpy(), groups)
    np.testing.assert_allclose(likeness(output, torch.tensor(groups)), expected, rtol=1e-5, atol=1e-6)


class Mixing(nn.Module):
    """A convolution and a linear layer; small, so that its optima can be worked out."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.fc = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, -2.0]).reshape(2, 1, 1, 1))
            self.fc.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).mean((2, 3)))


def found(**options: Any) -> Maximization:
    settled = {"input_shape": (1, 4, 5), "steps": 150, "transforms": False, "learning_rate": 0.3}
    return maximize(Mixing(), **({"channels": 1} | settled | options))


def test_a_neuron_sees_its_own_window() -> None:
    """Of one norm the optimum of a position of a convolution is the kernel there, and grey elsewhere."""
    signs = torch.tensor([[1.0, -1, 1], [1, 1, -1], [-1, 1, -1]])
    model = nn.Sequential(nn.Conv2d(1, 1, 3, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(signs[None, None])
    unit = maximize(
        model,
        layer="0",
        channels=1,
        objective="neuron",
        position=(1, -1),
        parameterization="pixel",
        input_shape=(1, 6, 7),
        steps=200,
    )
    length = (6 * 7 / 36) ** 0.5  # 1/6 in the root mean square
    expected = np.full((6, 7), 0.5)
    expected[1:4, 4:7] += signs.numpy() * length / 3
    np.testing.assert_allclose(unit.images[0, :, :, 0], expected, atol=0.01)
    assert unit.reached[0] == pytest.approx(0.5 * signs.sum().item() + 9 * length / 3, abs=0.01)


def test_a_logit_is_a_channel_of_the_output() -> None:
    logits = found(objective="logit", channels="all")
    assert logits.layer == ""
    np.testing.assert_allclose(logits.reached, [3, -2] * logits.images.mean((1, 2, 3)), rtol=1e-5)
    assert 2.7 < logits.reached[0] <= 3  # almost white
    assert -0.2 < logits.reached[1] <= 0  # almost black
    assert np.array_equal(logits.images, found(layer="", channels="all").images)
    assert np.array_equal(logits.images, found(layer="fc", channels="all").images)  # its output is the model's


def test_a_direction_and_its_opposite() -> None:
    directions = torch.tensor([[0.0, 5.0], [0.0, -0.1]])
    along = found(layer="conv", objective="direction", directions=directions, channels="all")
    assert along.channels == (0, 1)
    np.testing.assert_allclose(along.reached, [-2, 2] * along.images.mean((1, 2, 3)), rtol=1e-5)  # of length 1 both
    assert -0.2 < along.reached[0] <= 0
    assert 1.8 < along.reached[1] <= 2


def test_a_whole_layer_has_one_unit() -> None:
    layer = found(layer="conv", objective="layer", channels=6)
    assert layer.channels == (0,)
    assert layer.reached[0] == pytest.approx((1 + 4) / 2 * np.square(layer.images).mean(), rel=1e-5)
    assert layer.reached[0] > 2 * layer.objective[0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "beauty"}, r"objective 'beauty' was given, but there are channel, logit, neuron, direction"),
        ({"directions": DIRECTIONS}, r"directions belong to the objective 'direction'"),
        ({"objective": "direction"}, r"directions belong to .* but the objective is 'direction'"),
        ({"position": (0, 0)}, r"position to 'neuron', but the objective is 'channel'"),
        ({"layer": None}, r'a layer is needed: its layer key, or "" for the output'),
        ({"parameterization": "jpeg"}, r"'jpeg' was given, but there are fourier, maco, pixel"),
        ({"input_shape": (4,), "parameterization": "maco"}, r"have no spectrum, so 'maco' is not for them"),
    ],
)
def test_objectives_that_break_a_rule(options: dict[str, Any], message: str) -> None:
    model = nn.Linear(4, 2) if options.get("input_shape") == (4,) else Mixing()
    layer = "" if isinstance(model, nn.Linear) else "conv"
    with pytest.raises(InvalidArgumentError, match=message):
        maximize(model, **({"layer": layer, "channels": 1, "input_shape": (1, 4, 5), "steps": 1} | options))
