"""How pictures climb: starts, seeds, time, layouts in memory, diversity, the forms of inputs."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from layerscope.probing.maximizing import Maximization, maximize
from layerscope.probing.maximizing.ascent import repeats
from layerscope.probing.maximizing.objectives import likeness
from layerscope.probing.maximizing.parameterizations import PARAMETERIZATIONS
from layerscope.probing.maximizing.reaching import layer_output
from layerscope.probing.maximizing.views import CROPPED, MOVED, SHIFTED, STILL


class Viewing(nn.Module):
    """Refuses channels last: ``view`` of what a convolution gave."""

    def __init__(self, flatten: str = "view") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, stride=2), nn.Conv2d(4, 4, 3)
        self.fc = nn.Linear(4 * 4 * 4, 3)
        self.flatten = flatten

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv2(self.conv1(x).relu())
        return self.fc(getattr(x, self.flatten)(len(x), -1))


class Sequences(nn.Module):
    """An LSTM over [batch, time, features]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm, self.fc = nn.LSTM(2, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0][:, -1])


def signals() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 4, 5), nn.ReLU(), nn.Conv1d(4, 3, 3))


def plane(colours: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(colours, 4, 3), nn.ReLU(), nn.Conv2d(4, 3, 3))


def rows() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3))


def images(model: nn.Module, **options: Any) -> Maximization:
    return maximize(model, **({"layer": "2", "channels": [1], "input_shape": (3, 13, 13), "steps": 6} | options))


@pytest.mark.parametrize(
    ("name", "make", "shape", "layer"),
    [
        *((name, plane, (3, 13, 13), "2") for name in PARAMETERIZATIONS),
        *((name, lambda: plane(1), (1, 13, 13), "0") for name in PARAMETERIZATIONS),
        *((name, lambda: plane(4), (4, 13, 13), "2") for name in PARAMETERIZATIONS),
        *((name, signals, (2, 40), "2") for name in PARAMETERIZATIONS),
        *((name, Sequences, (40, 2), "fc") for name in PARAMETERIZATIONS),
        ("pixel", rows, (7,), "2"),
    ],
)
@pytest.mark.parametrize("transforms", [False, True])
def test_the_running_mean_of_the_objective_rises(
    name: str, make: Any, shape: tuple[int, ...], layer: str, transforms: bool
) -> None:
    found = maximize(
        make(),
        layer=layer,
        channels="all",
        input_shape=shape,
        parameterization=name,
        steps=60,
        transforms=transforms,
        learning_rate=0.05,
    )
    running = found.objective.reshape(len(found.channels), 4, 15).mean(2)
    assert (running[:, -1] > running[:, 0]).all()
    for before, after in pairwise(running.T) if not transforms else ():  # which differ from step to step
        assert (after > before).all()


@pytest.mark.parametrize(("model", "shape", "first"), [(signals(), (2, 40), "time_series"), (rows(), (7,), "table")])
def test_the_same_seed_gives_the_same_whatever_the_others_are(
    model: nn.Module, shape: tuple[int, ...], first: str
) -> None:
    options: dict[str, Any] = {"input_shape": shape, "steps": 10}
    both = images(model, channels=[2, 0], **options)
    torch.manual_seed(99)
    alone = images(model, channels=[0], **options)
    assert both.modality == alone.modality == first
    np.testing.assert_allclose(alone.images[0], both.images[1], atol=1e-5)
    np.testing.assert_allclose(alone.objective[0], both.objective[1], atol=1e-5)
    assert np.array_equal(images(model, channels=[0], **options).images, alone.images)
    assert not np.allclose(images(model, channels=[0], seed=3, **options).images, alone.images, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 13, 13), (3, 12, 9)])
@pytest.mark.parametrize("name", PARAMETERIZATIONS)
def test_a_picture_goes_on_from_where_it_was(name: str, shape: tuple[int, ...]) -> None:
    model = plane()
    options: dict[str, Any] = {"input_shape": shape, "parameterization": name, "transforms": False}
    before = images(model, channels=[2, 1], steps=20, **options)
    after = images(model, channels=[1, 0, 2], steps=20, **options, start=before)
    np.testing.assert_allclose(after.objective[[2, 0], 0], before.reached, rtol=1e-4)
    assert (after.reached[[2, 0]] > before.reached).all()
    fresh = images(model, channels=[0], steps=1, **options)
    assert after.objective[1, 0] == pytest.approx(fresh.objective[0, 0], rel=1e-5)  # which was not there before


def test_pictures_of_one_unit_go_on_each_from_its_own() -> None:
    model = plane()
    before = images(model, channels=[1, 1], steps=5)
    after = images(model, channels=[1, 1, 1], steps=5, start=before)
    np.testing.assert_allclose(after.objective[:2, 0], before.reached, rtol=1e-4)
    assert not np.allclose(before.images[0], before.images[1], atol=0.01)
    third = images(model, channels=[1, 1, 1], steps=1).objective[2, 0]
    assert after.objective[2, 0] == pytest.approx(third, rel=1e-5)


@pytest.mark.parametrize(
    "other",
    [{"layer": "0"}, {"input_shape": (3, 13, 15)}, {"parameterization": "pixel"}, {"channels": [0]}],
    ids=lambda other: next(iter(other)),
)
def test_a_start_of_something_else_does_not_count(other: dict[str, Any]) -> None:
    model = plane()
    start = images(model, steps=30, **other)
    assert np.array_equal(images(model, start=start).images, images(model).images)


def test_without_time_each_group_takes_one_step() -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(1, 40, 3)
    options: dict[str, Any] = {"layer": "<Conv2d>", "channels": "all", "input_shape": (1, 8, 8)}
    found = maximize(model, **options, seconds=0.0, steps=50)
    assert found.objective.shape == (40, 1)
    np.testing.assert_allclose(found.objective, maximize(model, **options, steps=1).objective, rtol=1e-5)


def test_steps_that_there_was_no_time_for_are_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time goes on by a second for each picture that the model sees, so the second group, of 8, takes more steps."""
    torch.manual_seed(0)
    model = nn.Conv2d(1, 40, 3)
    passed: list[int] = []
    model.register_forward_pre_hook(lambda _, inputs: passed.append(len(inputs[0])))
    monkeypatch.setattr(time, "monotonic", lambda: float(sum(passed)))
    found = maximize(
        model, layer="<Conv2d>", channels="all", input_shape=(1, 8, 8), transforms=False, seconds=400, steps=50
    )
    assert 300 < sum(passed) <= 400 + 8  # the last look at what was found is as dear as a step here
    taken = np.isfinite(found.objective).sum(1)
    assert len(set(taken[:32])) == len(set(taken[32:])) == 1
    assert 2 <= taken[0] < taken[-1] == found.objective.shape[1] < 50
    for row, count in zip(found.objective, taken, strict=True):
        assert np.isfinite(row[:count]).all()
        assert np.isnan(row[count:]).all()
    assert (found.reached > found.objective[:, 0]).all()


def test_a_model_that_says_view_sees_pictures_channels_first() -> None:
    strict, lenient = Viewing(), Viewing("reshape")
    options: dict[str, Any] = {"layer": "fc", "channels": "all", "steps": 12}
    by_view, by_reshape = images(strict, **options), images(lenient, **options)
    np.testing.assert_allclose(by_view.objective, by_reshape.objective, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_view.images, by_reshape.images, atol=1e-4)
    layouts: list[bool] = []
    for model in (strict, lenient):
        model.conv1.register_forward_pre_hook(lambda _, inputs: layouts.append(inputs[0].is_contiguous()))
    for model, layer, steps in ((lenient, "fc", 3), (strict, "conv2", 3)):  # which ends before the view
        images(model, layer=layer, steps=steps)
        assert layouts == [False] * 5
        layouts.clear()
    images(strict, layer="fc", steps=3)
    assert layouts == [False] + [True] * 5


def test_diversity_keeps_four_pictures_of_one_unit_apart() -> None:
    model = plane()
    options: dict[str, Any] = {"channels": [1] * 4, "steps": 60, "input_shape": (3, 20, 20)}

    def unlike(found: Maximization) -> float:
        pictures = torch.from_numpy(found.images).movedim(-1, 1)
        with torch.no_grad():
            output = layer_output(model, "2", (pictures,), {})
        return 3 - likeness(output, torch.zeros(4)).mean().item()  # of three others

    apart, together = images(model, **options, diversity=1.0), images(model, **options)
    assert unlike(apart) > 10 * unlike(together) > 0
    assert np.abs(apart.images[0] - apart.images[1]).mean() > np.abs(together.images[0] - together.images[1]).mean()


def test_diversity_does_not_reach_other_units() -> None:
    model = plane()
    with_others = images(model, channels=[1, 2], diversity=1.0)
    np.testing.assert_allclose(with_others.images, images(model, channels=[1, 2]).images, atol=1e-6)


def test_time_comes_first_unless_there_is_a_one_dimensional_convolution() -> None:
    last = maximize(signals(), layer="2", channels=1, input_shape=(2, 40), steps=1)
    assert last.images.shape == (1, 40, 2)
    first = maximize(Sequences(), layer="lstm", channels=1, input_shape=(40, 2), steps=1)
    assert first.images.shape == (1, 40, 2)
    for found in (first, last):
        assert found.modality == "time_series"


def test_repeats_count_what_came_before() -> None:
    assert repeats([3, 1, 3, 3, 1, 0]) == [0, 0, 1, 2, 1, 0]


@pytest.mark.parametrize("views", [MOVED, CROPPED, SHIFTED])
def test_the_views_depend_on_the_generator_alone(views: Any) -> None:
    pictures = torch.rand(3, 2, 9, 16, generator=torch.Generator().manual_seed(0))
    shown = [views.show(part, torch.Generator().manual_seed(5)) for part in (pictures, pictures[2:])]
    torch.testing.assert_close(shown[0][2:], shown[1])
    assert not torch.allclose(shown[0], pictures, atol=0.01)
    assert STILL.show(pictures, torch.Generator()) is pictures


def test_a_crop_stays_inside() -> None:
    """Without noise, crops of a ramp from 0 to 1 show nothing twice: they are ramps of 0.6 to 1 of its slope."""
    ramp = torch.linspace(0, 1, 32).expand(1, 1, 8, 32)
    crops = type(CROPPED)(shown=CROPPED.shown, inside=True)
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        slopes = crops.show(ramp, generator)[0, 0, 4].diff()[1:-1] * 31
        assert slopes.min() > 0.59
        assert slopes.max() < 1.01
        torch.testing.assert_close(slopes, slopes[:1].expand(29), atol=1e-3, rtol=0)
