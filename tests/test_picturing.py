"""What a scope records of units, step by step of a training, read back as users read it."""

from __future__ import annotations

import math
import time
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import layerscope
from event_files import read, written
from layerscope import Scope, codec, wire
from layerscope.errors import CaptureError, LayerNotFoundError
from layerscope.guarding import LayerscopeWarning
from layerscope.probing.maximizing.arguments import goal_of
from layerscope.probing.maximizing.top_samples import top_samples
from probed_models import DigitsNet

IMAGES = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model() -> DigitsNet:
    torch.manual_seed(0)
    return DigitsNet()


def steps_of_ascent(logdir: Path) -> list[tuple[int, tuple[int, ...]]]:
    """Return (step, steps of ascent of each unit) of each message."""
    messages = [m for m in written(logdir) if isinstance(m[1], wire.MaximizationMetadata)]
    headers = [codec.decode_maximization(blobs[0], units=len(data.units)) for _, data, blobs in messages]
    return [(step, header.ascent_steps) for (step, _, _), header in zip(messages, headers, strict=True)]


def test_each_unit_goes_on_from_the_step_before(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.activations(IMAGES, step=0)
        for step in range(3):
            scope.maximize(step=step, layers=["stem.0", "fc"], channels=2, steps=10, seconds=None)
    run = read(tmp_path)
    low, high = float(IMAGES.min()), float(IMAGES.max())
    options: dict[str, Any] = {"input_shape": (1, 8, 8), "value_range": (low, high), "steps": 10}
    for at, layer in ((0, "stem.0"), (2, "fc")):
        alone = None
        for step in range(3):
            before = alone
            alone = layerscope.maximize(model, layer=layer, channels=2, start=before, **options)
            np.testing.assert_allclose(run.maximizations[step].objectives[at : at + 2], alone.reached, rtol=1e-5)
            if before is not None:  # it starts where the step before ended
                np.testing.assert_allclose(alone.objective[:, 0], before.reached, rtol=1e-4)
                assert (alone.reached > before.reached).all()


def test_training_between_steps_changes_what_is_gone_on_from(model: DigitsNet, tmp_path: Path) -> None:
    """The picture goes on, not the number: of a layer with other weights it starts with another objective."""
    with Scope(model, tmp_path, strict=True) as scope:
        scope.maximize(step=0, layers=["fc"], channels=1, steps=10, input_shape=(1, 8, 8))
        with torch.no_grad():
            model.fc.bias += 5
        scope.maximize(step=1, layers=["fc"], channels=1, steps=1, input_shape=(1, 8, 8), learning_rate=1e-6)
    run = read(tmp_path)
    first, second = (run.maximizations[step].objectives[0] for step in (0, 1))
    assert second == pytest.approx(first + 5, rel=1e-4)
    assert run.maximizations[0].images == run.maximizations[1].images


def test_without_time_each_layer_takes_one_step(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.graph(IMAGES)
        scope.maximize(step=0, channels=2, seconds=0.0)
        scope.maximize(step=1, channels=2, seconds=None, steps=3)
    units = read(tmp_path).maximizations[0].units
    # Shallow layers first, as the model runs.
    assert [unit.layer for unit in units[::2]] == ["stem.0", "block1.shortcut", "block2.shortcut", "fc"]
    assert steps_of_ascent(tmp_path) == [(0, (1,) * 8), (1, (3,) * 8)]


def test_layers_share_the_time_and_what_is_left_of_it(
    model: DigitsNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time goes on by a second whenever the model runs: 60 s are 30 for each layer, without samples to look at."""
    passed: list[int] = []
    model.stem.register_forward_pre_hook(lambda _, inputs: passed.append(1))
    monkeypatch.setattr(time, "monotonic", lambda: float(len(passed)))
    with Scope(model, tmp_path, strict=True) as scope:
        scope.maximize(step=0, layers=["stem.0", "fc"], channels=1, seconds=60, steps=100, input_shape=(1, 8, 8))
    assert 50 < len(passed) <= 60
    ((_, taken),) = steps_of_ascent(tmp_path)
    assert min(taken) > 20
    assert taken[0] == pytest.approx(taken[1], abs=5)
    passed.clear()
    with Scope(model, tmp_path / "short", strict=True) as scope:
        scope.maximize(step=0, layers=["stem.0"], channels=1, seconds=60, steps=7, input_shape=(1, 8, 8))
    assert steps_of_ascent(tmp_path / "short") == [(0, (7,))]


def test_two_objectives_stand_side_by_side(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.activations(IMAGES, step=0)
        for step in (0, 1):
            scope.maximize(step=step, layers=["stem.0"], channels=[1], steps=3, seconds=None)
            scope.maximize(step=step, layers=["stem.0"], channels=[1], steps=3, seconds=None, objective="neuron")
            scope.maximize(step=step, channels=[7], steps=3, seconds=None, objective="logit")
    run = read(tmp_path)
    units = (wire.Unit("stem.0", 1), wire.Unit("stem.0", 1, "neuron"), wire.Unit("", 7, "logit"))
    options: dict[str, Any] = {
        "input_shape": (1, 8, 8),
        "value_range": (float(IMAGES.min()), float(IMAGES.max())),
        "steps": 3,
    }
    for step in (0, 1):
        found = run.maximizations[step]
        assert set(found.units) == set(units)
    found = run.maximizations[0]
    for unit in units:
        layer = unit.layer or None
        alone = layerscope.maximize(model, layer=layer, channels=[unit.channel], objective=unit.objective, **options)
        at = found.units.index(unit)
        assert found.objectives[at] == pytest.approx(alone.reached[0], rel=1e-5)
        goal = goal_of(unit.objective)
        (tops,) = top_samples(model, IMAGES, {unit.layer: [unit.channel]}, objective=goal)[unit.layer]
        assert found.top_samples[at] == tops
        assert tops
        before, after = found.objectives[at], run.maximizations[1].objectives[at]
        assert after > before  # each goes on from its own


def test_neurons_at_other_positions_are_other_units(model: DigitsNet, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "layers": ["stem.0"],
        "channels": [1],
        "objective": "neuron",
        "seconds": None,
        "steps": 3,
    }
    with Scope(model, tmp_path, strict=True) as scope:
        for step in (0, 1):
            for position in ((0, 0), (7, 2)):
                scope.maximize(step=step, inputs=IMAGES, position=position, **options)
    first, second = read(tmp_path).maximizations.values()
    assert set(first.units) == {wire.Unit("stem.0", 1, "neuron", position) for position in ((0, 0), (7, 2))}
    with torch.no_grad():
        outputs = model.stem[0](IMAGES)[:, 1]
    for at, unit in enumerate(first.units):
        assert unit.position is not None
        assert second.objectives[at] > first.objectives[at]  # each goes on from its own
        assert first.top_samples[at][0].objective == pytest.approx(
            outputs[(slice(None), *unit.position)].max().item(), rel=1e-4
        )


def test_the_samples_beside_each_unit_are_those_of_the_function(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.maximize(step=0, layers=["stem.1", "fc"], channels=[2, 3], steps=1, inputs=IMAGES, samples="held out")
    run = read(tmp_path)
    expected = top_samples(model, IMAGES, {"stem.1": [2, 3], "fc": [2, 3]})
    assert run.maximizations[0].top_samples == (*expected["stem.1"], *expected["fc"])
    np.testing.assert_allclose(run.samples["held out"][0], IMAGES, atol=1e-3)
    ((_, metadata, _),) = [m for m in written(tmp_path) if isinstance(m[1], wire.MaximizationMetadata)]
    assert isinstance(metadata, wire.MaximizationMetadata)
    assert metadata.samples == "held out"


def test_samples_without_a_number_do_not_spoil_the_rest(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 2))
    spoilt = IMAGES.clone()
    spoilt[3] = math.nan
    with Scope(model, tmp_path, strict=True) as scope:
        scope.maximize(step=0, layers=["0", "2"], channels=2, steps=1, inputs=spoilt)
    run = read(tmp_path)
    numbers = [[one.sample for one in best] for best in run.maximizations[0].top_samples]
    assert [len(best) for best in numbers] == [4] * 4
    assert not any(3 in best for best in numbers)


def test_a_layer_without_rows_for_samples_keeps_those_of_the_others(tmp_path: Path) -> None:
    class Merging(nn.Module):
        """Its second layer sees all samples as one."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.mix, self.fc = nn.Conv2d(1, 2, 8), nn.Linear(2, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.mix(self.conv(x).flatten(1)).mean(0, keepdim=True)).expand(len(x), 2)

    with Scope(Merging(), tmp_path) as scope, pytest.warns(LayerscopeWarning, match=r"'fc' .* has no row for each"):
        scope.maximize(step=0, layers=["conv", "fc"], channels=1, steps=1, inputs=IMAGES)
    found = read(tmp_path).maximizations[0]
    assert [unit.layer for unit in found.units] == ["conv", "fc"]
    assert [len(best) for best in found.top_samples] == [4, 0]


def test_each_message_names_the_samples_that_it_is_of(model: DigitsNet, tmp_path: Path) -> None:
    """Inputs are written once, and a second time with the names of the classes; whoever needs names finds them."""
    names = tuple("0123456789")
    with Scope(model, tmp_path, strict=True) as scope:
        for step in (0, 1):
            scope.activations(IMAGES, step=step, maps=["stem.0"])
            scope.attributions(IMAGES, step=step, methods=("grad_cam",), layers=["fc"], trust=False, class_names=names)
            scope.maximize(step=step, layers=["fc"], channels=1, steps=1)
    run = read(tmp_path)
    assert set(run.samples) == {"probe", "probe/2"}
    assert run.descriptions["probe/2"].class_names == names
    for stored in run.samples.values():
        np.testing.assert_allclose(stored[0], IMAGES, atol=1e-3)
    of: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for step, metadata, _ in written(tmp_path):
        if metadata.kind != "series":
            of[metadata.kind].append((step, getattr(metadata, "samples", metadata.name)))
    assert of["samples"] == [(0, "probe"), (0, "probe/2")]
    assert of["activation"] == [(0, "probe"), (1, "probe")]
    assert of["attribution"] == [(0, "probe/2"), (1, "probe/2")]
    assert of["maximization"] == [(0, "probe/2"), (1, "probe/2")]  # the same arrays, where classes have names
    values = layerscope.channels(model, IMAGES, layers=["stem.0"])["stem.0"].values
    for step in (0, 1):
        np.testing.assert_allclose(run.activations["probe"][step]["stem.0"]["values"], values, atol=2e-3)


def test_weights_and_attention_are_written_as_the_functions_give_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    tokens = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    with Scope(model, tmp_path, strict=True) as scope:
        scope.weights(step=2, parameters=["linear1.*"])
        scope.attention(tokens, step=2, max_samples=2)
    run = read(tmp_path)
    shown = run.weights["parameters"][2]
    assert list(shown) == ["linear1.weight", "linear1.bias"]
    np.testing.assert_allclose(shown["linear1.weight"]["values"], model.linear1.weight.detach(), atol=1e-3)
    assert shown["linear1.weight"]["shape"].tolist() == [16, 8]
    attention = layerscope.attention(model, tokens, max_samples=2)
    held = run.attention["probe"][2]
    assert list(held) == list(attention) == ["self_attn"]
    np.testing.assert_allclose(held["self_attn"]["values"], attention["self_attn"], atol=1e-3)
    assert held["self_attn"]["each"].tolist() == [1]
    np.testing.assert_allclose(run.samples["probe"][0], tokens, atol=4e-3)


def test_of_attention_within_windows_each_sample_has_several_entries(tmp_path: Path) -> None:
    class Windows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            windows = x.reshape(-1, 4, 8)
            return self.attend(windows, windows, windows)[0].reshape(x.shape)

    torch.manual_seed(0)
    for count, kept in ((2, 2), (3, 3), (9, 6)):
        with Scope(Windows(), tmp_path / str(count), strict=True) as scope:
            scope.attention(torch.randn(6, 16, 8), step=0, max_samples=count)
        held = read(tmp_path / str(count)).attention["probe"][0]["attend"]
        assert held["values"].shape == (kept * 4, 2, 4, 4)
        assert held["each"].tolist() == [4]


def test_what_cannot_be_found_is_said_once_and_training_goes_on(model: DigitsNet, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as caught, Scope(model, tmp_path) as scope:
        warnings.simplefilter("always")
        for step in range(3):
            scope.maximize(step=step, layers=["fc", "nowhere"], channels=1, steps=1, input_shape=(1, 8, 8))
            scope.attention(IMAGES, step=step)
    said = [str(warning.message) for warning in caught]
    assert len(said) == 2
    assert "could not record all of maximize: LayerNotFoundError: layer 'nowhere' was asked for" in said[0]
    assert "could not record attention: CaptureError" in said[1]
    run = read(tmp_path)
    assert [[unit.layer for unit in found.units] for found in run.maximizations.values()] == [["fc"]] * 3
    with Scope(model, tmp_path / "strict", strict=True) as scope:
        with pytest.raises(LayerNotFoundError, match="'nowhere'"):
            scope.maximize(step=0, layers=["nowhere", "fc"], channels=1, steps=1, input_shape=(1, 8, 8))
        with pytest.raises(CaptureError):
            scope.attention(IMAGES, step=0)
    assert [unit.layer for unit in read(tmp_path / "strict").maximizations[0].units] == ["fc"]


def test_patterns_name_layers_that_the_graph_saw(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        scope.graph(IMAGES)
        scope.maximize(step=0, layers=["stem.?", "fc", "f*"], channels=1, steps=1, seconds=None)
        with pytest.raises(LayerNotFoundError, match=r"stage9"):
            scope.maximize(step=1, layers=["stage9*"], channels=1, steps=1)
    (data,) = [m[1] for m in written(tmp_path) if isinstance(m[1], wire.MaximizationMetadata)]
    layers = [unit.layer for unit in data.units]
    assert layers[-1] == "fc"
    assert layers[:-1] == [name for name in ("stem.0", "stem.1", "stem.2") if name in dict(model.named_modules())]
