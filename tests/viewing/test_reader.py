"""``layerscope.read``: everything that a log directory holds, as Python objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

import layerscope
import serving
from layerscope import wire
from layerscope.errors import NotFoundError, NothingRecordedError
from layerscope.viewing import joining
from layerscope.writing import MessageWriter


@pytest.fixture(scope="module")
def runs(logdir: Path) -> dict[str, layerscope.Run]:
    return layerscope.read(logdir)


def test_runs_with_our_data(runs: dict[str, layerscope.Run]) -> None:
    assert sorted(runs) == ["broken", "full", "restarted", "torn"]


def test_everything_of_a_run(runs: dict[str, layerscope.Run]) -> None:
    run = runs["full"]
    assert run.graph == serving.graph()
    assert run.problems == ()
    series = run.series["gradients"]
    assert (series.layers, series.statistics) == (("a", "a.weight", "b"), ("norm", "mean"))
    np.testing.assert_array_equal(series.steps, np.arange(1500))
    np.testing.assert_array_equal(series.values[1499], [[149900, 149901], [149910, 149911], [149920, 149921]])
    assert series.histogram is not None
    np.testing.assert_array_equal(series.histogram[3], [[3, 4, 5], [4, 5, 6], [5, 6, 7]])
    assert series.edges == (-2.0, -1.0, 1.0, 2.0)
    np.testing.assert_array_equal(run.samples["probe"][0], np.arange(8).reshape(2, 4))
    assert run.descriptions == {"probe": serving.DESCRIPTION}
    maps = run.attributions["grad_cam"][20]
    np.testing.assert_array_equal(maps.inputs[0], np.full((2, 4), 21))
    np.testing.assert_array_equal(maps.trust["deletion"], [0.5, 20])
    assert maps.notes == ("no rule for größer", "written at step 20")
    assert run.surrogates == {"inputs/decision_tree": {step: serving.surrogate(step) for step in (0, 10, 20)}}
    assert list(run.attributions) == ["grad_cam"]
    assert list(run.attributions["grad_cam"]) == [0, 10, 20]
    np.testing.assert_array_equal(run.attributions["grad_cam"][10].layers["a"], np.full((2, 3, 3), 10))
    assert run.maximizations[20].objectives == (10.0, 1.0)
    assert [(unit.layer, unit.channel) for unit in run.maximizations[20].units] == [("a", 0), ("b", 7)]
    assert run.maximizations[20].top_samples == ((wire.TopSample(1, 9.0, (0.0, 0.5, 0.25, 1.0)),), ())
    for arrays in (run.activations, run.weights, run.attention, run.embeddings):
        assert list(arrays["probe"]) == [0, 10, 20]
        np.testing.assert_array_equal(arrays["probe"][10]["a"]["values"], np.full((2, 3, 4, 4), 10))
    steps, values = run.scalars["loss"]
    np.testing.assert_array_equal(steps, np.arange(0, 1500, 2))
    np.testing.assert_allclose(values, 1 / (steps + 1), rtol=1e-6)


def test_a_series_whose_layers_changed_is_joined(runs: dict[str, layerscope.Run]) -> None:
    series = runs["restarted"].series["gradients"]
    assert series.layers == ("a", "b", "lora")
    np.testing.assert_array_equal(series.steps, range(7))
    nan = np.nan
    np.testing.assert_array_equal(series.values[:, 2, 0], [nan, nan, nan, 20320, 20420, 20520, 20620])
    # Steps 2 to 4 were written again after each restart: the last wall time wins, whatever the order of the tags.
    np.testing.assert_array_equal(series.values[:, 0, 0], [0, 100, 10200, 20300, 20400, 20500, 20600])


def test_what_cannot_be_read_is_named(runs: dict[str, layerscope.Run]) -> None:
    run = runs["broken"]
    assert list(run.series) == ["good"]
    assert len(run.problems) == 11
    assert any("was written in version 99" in problem for problem in run.problems)


def test_nothing_of_ours(tmp_path: Path) -> None:
    with pytest.raises(NothingRecordedError) as raised:
        layerscope.read(tmp_path)
    assert str(raised.value) == (
        f"nothing that Layerscope wrote lies in the log directory {str(tmp_path)!r} or below it. A training records "
        "with layerscope.Scope(model, writer); what it writes is there once the writer is flushed or closed."
    )
    with pytest.raises(NotFoundError) as missing:
        layerscope.read(tmp_path / "nowhere")
    assert str(missing.value) == f"this machine has no directory {str(tmp_path / 'nowhere')!r}."


@pytest.fixture
def sparse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of gradients that hardly hold anything, and of one record of updates."""
    monkeypatch.setattr(joining, "MAX_SPARSE_BYTES", 1 << 10)
    with SummaryWriter(str(tmp_path)) as user:
        writer = MessageWriter(user)
        for step in range(1, 40):
            writer.series("gradients", serving.statistics(step, ("a",)), step=step)
        many = tuple(f"layer{i}" for i in range(40))
        for name in ("gradients", "updates"):
            writer.series(name, serving.statistics(0, many), step=0)
    return tmp_path


def test_a_series_that_cannot_be_joined_is_named_and_the_others_are_read(sparse: Path) -> None:
    run = layerscope.read(sparse)["."]
    assert list(run.series) == ["updates"]
    assert run.series["updates"].values.shape == (1, 40, 2)
    (problem,) = run.problems
    assert problem.startswith("a series has 40 steps of 41 layers with 2 columns, but only 158 of these 3280 numbers")


def test_histograms_of_few_layers_do_not_grow_to_those_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "MAX_SPARSE_BYTES", 1 << 10)
    with SummaryWriter(str(tmp_path)) as user:
        writer = MessageWriter(user)
        writer.series("gradients", serving.statistics(0, tuple(f"layer{i}" for i in range(40))), step=0)
        for step in range(1, 400):
            writer.histograms("gradients", serving.statistics(step, ("layer0",)), step=step)
    (problem,) = layerscope.read(tmp_path)["."].problems
    assert problem.startswith("a series has 400 steps of 40 layers with 3 columns, but only")
