"""``layerscope.read``: everything that a log directory holds, as Python objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import layerscope
import serving
from layerscope.errors import NotFoundError, NothingRecordedError
from layerscope.viewing import joining


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
    assert run.surrogates == {"inputs/decision_tree": {step: serving.surrogate(step) for step in (0, 10, 20)}}
    assert list(run.attributions) == ["grad_cam"]
    assert list(run.attributions["grad_cam"]) == [0, 10, 20]
    np.testing.assert_array_equal(run.attributions["grad_cam"][10].layers["a"], np.full((2, 3, 3), 10))
    assert run.maximizations[20].objectives == (10.0, 1.0)
    assert [(unit.layer, unit.channel) for unit in run.maximizations[20].units] == [("a", 0), ("b", 7)]
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


def test_a_series_that_cannot_be_joined_is_named_and_the_others_are_read(
    logdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "MAX_NUMBERS", -1_000_000)
    run = layerscope.read(logdir / "restarted")["."]
    assert "gradients" not in run.series
    assert any("numbers are there; may be missing" in problem for problem in run.problems)
