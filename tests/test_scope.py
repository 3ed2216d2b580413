"""``Scope``: what it writes is what the pure functions give, it changes nothing, and it never breaks a training run."""

from __future__ import annotations

import copy
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

import layerscope
from layerscope.demo import DigitsNet
from layerscope.errors import InvalidArgumentError, LayerNotFoundError
from layerscope.guarding import LayerscopeWarning
from layerscope.scope import Scope

STEPS = 20


def _batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(8, 1, 8, 8, generator=generator), torch.randint(10, (8,), generator=generator)


def _train(run: Path | None) -> dict[str, Any]:
    """Train 20 steps, with everything recorded if ``run`` is given, and return the whole state."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    model = DigitsNet()
    model.fc = nn.Sequential(nn.Dropout(0.3), model.fc)
    model.stage1[0].bn1.eval()  # a frozen BatchNorm stays frozen
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    grads: list[dict[str, torch.Tensor]] = []
    scope = None if run is None else Scope(model, run, strict=True)
    probe, labels = _batch(99)
    if scope is not None:
        scope.graph(probe)
    for step in range(STEPS):
        x, y = _batch(step)
        nn.functional.cross_entropy(model(x), y).backward()
        if scope is not None:
            scope.gradients(step)
            if step % 5 == 0:
                scope.activations(probe, step=step)
                scope.attributions(probe, labels, step=step)
                scope.maximize(step=step, steps=4)
        grads.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
        optimizer.step()
        optimizer.zero_grad()
    if scope is not None:
        scope.close()
    numpy_state = np.random.get_state(legacy=False)
    return {
        "state": copy.deepcopy(model.state_dict()),
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "grads": grads,
        "torch": torch.get_rng_state(),
        "numpy": (numpy_state["state"]["key"].tolist(), numpy_state["state"]["pos"]),
        "python": random.getstate(),
        "training": {name: module.training for name, module in model.named_modules()},
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "hooks": {
            name: (len(module._forward_hooks), len(module._forward_pre_hooks), len(module._backward_hooks))
            for name, module in model.named_modules()
        },
        "attributes": {name: sorted(module.__dict__) for name, module in model.named_modules()},
        "grad_mode": torch.is_grad_enabled(),
    }


def _assert_equal(a: Any, b: Any, path: str = "state") -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            _assert_equal(a[key], b[key], f"{path}.{key}")
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            _assert_equal(x, y, f"{path}[{i}]")
    else:
        assert a == b, path


def test_training_with_everything_recorded_gives_the_same_bits(tmp_path: Path) -> None:
    plain, observed = _train(None), _train(tmp_path / "run")
    _assert_equal(plain, observed)
    # The comparison can fail: one bit of one parameter is enough.
    observed["state"]["stem.0.weight"].view(torch.int32)[0, 0, 0, 0] ^= 1
    with pytest.raises(AssertionError, match=r"state\.state\.stem\.0\.weight"):
        _assert_equal(plain, observed)


@pytest.fixture
def model() -> DigitsNet:
    torch.manual_seed(0)
    return DigitsNet()


def test_what_is_written_is_what_the_functions_give(model: DigitsNet, tmp_path: Path) -> None:
    x, y = _batch(0)
    nn.functional.cross_entropy(model(x), y).backward()
    with Scope(model, tmp_path / "run", strict=True) as scope:
        graph = scope.graph(x)
        scope.gradients(0)
        scope.activations(x, step=0)
        scope.attributions(x, y, step=3)
        scope.maximize(step=3, layers=["stem.0"], channels=2, steps=2)
    run = layerscope.read(tmp_path)["run"]
    assert run.problems == ()
    assert run.graph == graph
    gradients = layerscope.gradients(model)
    assert run.series["gradients"].layers == gradients.layers
    np.testing.assert_array_equal(run.series["gradients"].values[0], gradients.values)
    assert run.series["gradients"].histogram is not None
    assert gradients.histogram is not None
    np.testing.assert_array_equal(run.series["gradients"].histogram[0], gradients.histogram)
    np.testing.assert_array_equal(run.series["activations"].values[0], layerscope.activations(model, x).values)
    for method in ("grad_cam", "gradient_x_activation"):
        written, computed = run.attributions[method][3], layerscope.attribute(model, x, y, method=method)
        assert written.layers.keys() == computed.layers.keys()
        for layer, map_ in computed.maps().items():
            np.testing.assert_array_equal(written.layers[layer], map_)
        np.testing.assert_array_equal(written.targets, y)
    np.testing.assert_allclose(run.samples["probe"][0], x, atol=1e-3)
    assert [(unit.layer, unit.channel) for unit in run.maximizations[3].units] == [("stem.0", 0), ("stem.0", 1)]


def test_it_writes_into_the_users_event_file(model: DigitsNet, tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer, Scope(model, writer) as scope:
        writer.add_scalar("loss", 1.0, 0)
        scope.graph(_batch(0)[0])
    assert len(list(tmp_path.iterdir())) == 1


def test_a_failure_warns_once_and_training_goes_on(model: DigitsNet, tmp_path: Path) -> None:
    scope = Scope(model, tmp_path)
    wrong = torch.rand(2, 3, 8, 8)
    where = r"could not record activations: RuntimeError in layer 'stem.0' \(Conv2d\): .* Training goes on"
    with pytest.warns(LayerscopeWarning, match=where) as caught:
        scope.activations(wrong, step=0)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scope.activations(wrong, step=1)  # said once
        scope.activations(_batch(0)[0], step=2)  # and still recording
    scope.close()
    np.testing.assert_array_equal(layerscope.read(tmp_path)["."].series["activations"].steps, [2])


def test_strict_raises(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope, pytest.raises(RuntimeError, match="expected input"):
        scope.activations(torch.rand(2, 3, 8, 8), step=0)


def test_a_wrong_layer_name_lists_the_nearest(model: DigitsNet, tmp_path: Path) -> None:
    x, y = _batch(0)
    with Scope(model, tmp_path, strict=True) as scope:
        with pytest.raises(LayerNotFoundError, match=r"'stage1.0.conv' was asked for.*'stage1.0.conv1'"):
            scope.attributions(x, y, step=0, layers=["stage1.0.conv"])
        with pytest.raises(LayerNotFoundError, match=r"'stem.7' was asked for.*'stem.0'"):
            scope.maximize(step=0, layers=["stem.7"])


def test_an_unknown_method_does_not_keep_the_others_from_being_recorded(model: DigitsNet, tmp_path: Path) -> None:
    x, y = _batch(0)
    with Scope(model, tmp_path) as scope, pytest.warns(LayerscopeWarning, match="'magic' was asked for"):
        scope.attributions(x, y, step=0, methods=("grad_cam", "magic"))
    assert list(layerscope.read(tmp_path)["."].attributions) == ["grad_cam"]


def test_a_failing_layer_does_not_keep_the_others_from_being_recorded(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path) as scope, pytest.warns(LayerscopeWarning, match="'nowhere' was asked for"):
        scope.maximize(step=0, layers=["nowhere", "fc"], channels=1, steps=1, input_shape=(1, 8, 8))
    assert [unit.layer for unit in layerscope.read(tmp_path)["."].maximizations[0].units] == ["fc"]


def test_a_wrong_layer_does_not_keep_activations_of_the_others_from_being_recorded(
    model: DigitsNet, tmp_path: Path
) -> None:
    x, _ = _batch(0)
    with (
        Scope(model, tmp_path) as scope,
        pytest.warns(LayerscopeWarning, match="'fc1' .*'nowhere' was asked") as caught,
    ):
        scope.activations(x, step=0, layers=["fc", "fc1", "stem.0", "nowhere"])
    assert len(caught) == 1
    found = layerscope.read(tmp_path)["."].series["activations"]
    assert found.layers == ("stem.0", "fc")
    expected = layerscope.activations(model, x, layers=["stem.0", "fc"]).values
    np.testing.assert_array_equal(found.values[0], expected)
    with Scope(model, tmp_path / "none") as scope, pytest.warns(LayerscopeWarning, match="'fc1' was asked for"):
        scope.activations(x, step=0, layers=["fc1"])


def test_a_reference_with_a_head_of_another_shape_measures_the_rest(model: DigitsNet, tmp_path: Path) -> None:
    state = model.state_dict()
    model.fc = nn.Linear(32, 5)
    told = r"another shape of 'fc.weight' \(\[5, 32\], there \[10, 32\]\), 'fc.bias' .*all other parameters .* compared"
    with Scope(model, tmp_path, strict=True) as scope:
        with pytest.warns(LayerscopeWarning, match=told):
            scope.reference(state)
        scope.parameters(0)
    found = layerscope.read(tmp_path)["."].series["parameters"]
    distance = found.values[0, :, found.statistics.index("distance")]
    rows = dict(zip(found.layers, distance, strict=True))
    assert np.isnan([rows["fc"], rows["fc.weight"], rows["fc.bias"]]).all()
    assert rows["stem.0.weight"] == rows["stage2"] == 0


def test_layers_are_chosen_among_those_that_run(tmp_path: Path) -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)
            self.head = nn.Linear(4, 4)
            self.attention = nn.MultiheadAttention(4, 1, batch_first=True)  # never calls its linear layer, out_proj

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.head(self.conv(x).flatten(2).mT)
            return self.attention(tokens, tokens, tokens)[0].sum(1)

    with Scope(Attending(), tmp_path, strict=True) as scope:
        scope.graph(_batch(0)[0])
        scope.maximize(step=0, channels=1, steps=1)
    assert [unit.layer for unit in layerscope.read(tmp_path)["."].maximizations[0].units] == ["conv", "head"]


def test_by_default_the_images_are_of_telling_layers_in_the_range_of_the_probe(
    model: DigitsNet, tmp_path: Path
) -> None:
    x, _ = _batch(0)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.graph(torch.zeros_like(x))
        scope.activations(x * 6 - 4, step=0)
        scope.activations(x, step=1)  # the first probe counts
        scope.maximize(step=0, channels=2, steps=3)
    images = layerscope.read(tmp_path)["."].maximizations[0]
    layers = ["stem.0", "stage2.0.conv1", "stage2.1.conv2", "fc"]
    assert [unit.layer for unit in images.units] == [layer for layer in layers for _ in range(2)]
    value_range = (float(x.min() * 6 - 4), float(x.max() * 6 - 4))
    alone = layerscope.maximize(model, layer="fc", channels=2, input_shape=(1, 8, 8), value_range=value_range, steps=3)
    np.testing.assert_allclose(images.objectives[-2:], alone.reached, rtol=1e-5)


def test_a_model_without_telling_layers_is_told_so(tmp_path: Path) -> None:
    with (
        Scope(nn.ReLU(), tmp_path, strict=True) as scope,
        pytest.raises(InvalidArgumentError, match="the model calls none"),
    ):
        scope.maximize(step=0)


def test_gradients_that_are_not_there_are_told(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path) as scope, pytest.warns(LayerscopeWarning, match=r"after loss.backward\(\) and before"):
        scope.gradients(0)


def test_nothing_is_recorded_after_close(model: DigitsNet, tmp_path: Path) -> None:
    scope = Scope(model, tmp_path)
    scope.close()
    scope.close()
    with pytest.warns(LayerscopeWarning, match="the scope was closed. Record before"):
        scope.activations(_batch(0)[0], step=0)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("model", [None, nn.Linear])
def test_the_model_must_be_one(model: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"model must be a torch.nn.Module, but it is"):
        Scope(model, tmp_path)


def test_layers_must_be_a_list(model: DigitsNet, tmp_path: Path) -> None:
    with (
        Scope(model, tmp_path, strict=True) as scope,
        pytest.raises(InvalidArgumentError, match=r"must be a list of layer keys, not 'fc'; give \['fc'\]"),
    ):
        scope.maximize(step=0, layers="fc")


@pytest.mark.parametrize("step", [None, 1.5, "3"])
def test_a_step_must_be_a_whole_number(model: DigitsNet, tmp_path: Path, step: Any) -> None:
    with (
        Scope(model, tmp_path, strict=True) as scope,
        pytest.raises(InvalidArgumentError, match="step must be a whole number, but it is"),
    ):
        scope.gradients(step)


def test_a_step_may_be_a_tensor(model: DigitsNet, tmp_path: Path) -> None:
    with Scope(model, tmp_path, strict=True) as scope:
        nn.functional.cross_entropy(model(_batch(0)[0]), _batch(0)[1]).backward()
        scope.gradients(torch.tensor(7))  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(layerscope.read(tmp_path)["."].series["gradients"].steps, [7])


def test_nested_inputs_are_kept_as_samples(tmp_path: Path) -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.linear(batch["x"]) * batch["mask"][:, None]

    batch = {"x": torch.rand(2, 4), "mask": torch.tensor([True, False])}
    with Scope(Nested(), tmp_path, strict=True) as scope:
        scope.attributions((batch,), [0, 1], step=0)
    x, mask = layerscope.read(tmp_path)["."].samples["probe"]
    np.testing.assert_allclose(x, batch["x"], atol=1e-3)
    np.testing.assert_array_equal(mask, [True, False])


def test_closing_puts_everything_on_disk(model: DigitsNet, tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path), flush_secs=1000)
    scope = Scope(model, writer)
    scope.activations(_batch(0)[0], step=0)
    scope.close()
    np.testing.assert_array_equal(layerscope.read(tmp_path)["."].series["activations"].steps, [0])
    writer.add_scalar("loss", 1.0, 0)  # the user's writer is still open
    writer.close()
    assert "loss" in layerscope.read(tmp_path)["."].scalars


def test_an_unknown_method_lists_the_known(model: DigitsNet, tmp_path: Path) -> None:
    x, y = _batch(0)
    with (
        Scope(model, tmp_path, strict=True) as scope,
        pytest.raises(InvalidArgumentError, match=r"'grad_kam'.*grad_cam"),
    ):
        scope.attributions(x, y, step=0, methods=("grad_kam",))


def test_the_writer_must_be_one(model: DigitsNet) -> None:
    with pytest.raises(InvalidArgumentError, match=r"writer must be a torch.utils.tensorboard.SummaryWriter"):
        Scope(model, 3)  # pyright: ignore[reportArgumentType]


def test_closing_never_raises_into_the_training(
    model: DigitsNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SummaryWriter(str(tmp_path))

    def full() -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(writer, "flush", full)
    with pytest.warns(LayerscopeWarning, match="could not record training: OSError"):
        Scope(model, writer).close()
    with pytest.raises(OSError, match="No space left"):
        Scope(model, writer, strict=True).close()
    monkeypatch.undo()
    writer.close()
