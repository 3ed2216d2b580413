"""What several processes record together is what one process records of the same training, and nobody waits for ever.

Real processes, with Gloo. What they do is in ``process.py``, what they train in ``split_training.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import layerscope
import split_training as training
from layerscope import Scope, Series
from layerscope.errors import NotFoundError

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
}
LIMIT = 180
"""Seconds after which a process that hangs is ended; each takes a few."""

Notes = dict[str, Any]


def launch(scenario: str, directory: Path, **environment: str) -> list[int]:
    """Run two processes that know each other by a file; return their exit codes."""
    processes = [
        subprocess.Popen(
            [sys.executable, HERE / "process.py", scenario, directory, str(rank)], env=ENVIRONMENT | environment
        )
        for rank in range(2)
    ]
    try:
        return [process.wait(LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()


def notes(directory: Path, rank: int) -> Notes:
    return json.loads((directory / f"{rank}.json").read_text())


def event_files(directory: Path) -> list[str]:
    return [str(path.relative_to(directory)) for path in directory.rglob("*tfevents*")]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which two processes, started by torchrun, have left their logs."""
    directory = tmp_path_factory.mktemp("recorded")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    subprocess.run([*torchrun, HERE / "process.py", "equal", directory], env=ENVIRONMENT, check=True, timeout=LIMIT)
    return directory


def single(directory: Path, reference: dict[str, torch.Tensor] | None = None) -> dict[str, Series]:
    """Record the training in one process, on all of each batch."""
    model = training.model()
    optimizer = training.optimizer(model)
    with Scope(model, directory, strict=True) as scope:
        scope.reference(reference)
        scope.watch(optimizer, every=training.EVERY)
        for step in range(training.STEPS):
            training.loss(model, *training.batch(step)).backward()
            optimizer.step()
            optimizer.zero_grad()
    return layerscope.read(directory)["."].series


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Series]:
    return single(tmp_path_factory.mktemp("single"))


def assert_same(found: Series, expected: Series) -> None:
    """Check all numbers to 1e-5: relative to themselves, or to the deviation where they may cancel out."""
    assert found.layers == expected.layers
    assert found.statistics == expected.statistics
    np.testing.assert_array_equal(found.steps, expected.steps)
    for i, statistic in enumerate(expected.statistics):
        one, other = found.values[:, :, i], expected.values[:, :, i]
        scale = np.abs(other)
        if statistic in {"mean", "min", "max"}:
            scale = scale + expected.values[:, :, expected.statistics.index("std")]
        np.testing.assert_array_equal(np.isnan(one), np.isnan(other), err_msg=statistic)
        assert np.all((np.abs(one - other) <= 1e-5 * scale) | np.isnan(other)), statistic
    assert (found.histogram is None) == (expected.histogram is None)
    if found.histogram is not None and expected.histogram is not None:
        np.testing.assert_array_equal(found.histogram.sum(2), expected.histogram.sum(2))
        # Rounding may take a number or two over the edge of a bin.
        assert np.abs(found.histogram - expected.histogram).sum(2).max() <= 4


@pytest.mark.parametrize("placed", ["whole", "rows", "columns", "replicas", "partial sums"])
def test_every_element_counts_once(recorded: Path, placed: str) -> None:
    assert sum(notes(recorded, rank)["counts"][placed] for rank in range(2)) == pytest.approx(210)


@pytest.mark.parametrize("name", training.RECORDED)
@pytest.mark.parametrize("training_of", ["fsdp", "late", "ddp"])
def test_statistics_of_shards_and_replicas_are_those_of_one_process(
    recorded: Path, expected: dict[str, Series], training_of: str, name: str
) -> None:
    found = layerscope.read(recorded / training_of)["."].series[name]
    assert len(found.steps) == training.RECORDED[name]
    assert_same(found, expected[name])


def test_of_several_replicas_of_shards_one_counts_and_a_whole_checkpoint_is_split(
    recorded: Path, tmp_path: Path
) -> None:
    found = layerscope.read(recorded / "hsdp")["."].series
    one = single(tmp_path, training.checkpoint())
    for name in training.RECORDED:
        assert_same(found[name], one[name])
    distance = found["parameters"].values[:, :, found["parameters"].statistics.index("distance")]
    assert distance.min() > 0.05


def test_calls_record_what_one_process_records(recorded: Path, tmp_path: Path) -> None:
    model = training.model()
    optimizer = training.optimizer(model)
    with Scope(model, tmp_path, strict=True) as scope:
        scope.reference(training.checkpoint())
        for step in range(3):
            training.loss(model, *training.batch(step)).backward()
            with scope.step(optimizer, step):
                optimizer.step()
            functions = layerscope.gradients(model), layerscope.parameters(model)
            optimizer.zero_grad()
    found, one = layerscope.read(recorded / "calls")["."].series, layerscope.read(tmp_path)["."].series
    for name in training.RECORDED:
        assert_same(found[name], one[name])
    for rank in range(2):  # without a scope every rank gets the numbers
        for values, statistics in zip(notes(recorded, rank)["functions"], functions, strict=True):
            np.testing.assert_allclose(values, statistics.values, rtol=1e-5, atol=1e-6)


def test_parameters_that_are_gathered_are_measured_whole_and_no_wrong_update_is_recorded(recorded: Path) -> None:
    for rank in range(2):
        (said,) = notes(recorded, rank)["gathered"]
        assert "FSDP has left gathered parameters in their place" in said
    found = layerscope.read(recorded / "gathered")["."].series
    parameters = found["parameters"]
    assert list(parameters.steps) == [0, 1, 11]
    np.testing.assert_allclose(parameters.values[0], parameters.values[1], rtol=1e-6)  # the same, in shards and whole
    assert list(found["gradients"].steps) == list(found["updates"].steps) == [11]


def test_passes_accumulated_under_ddp_are_recorded_with_the_names_of_the_wrapped_model(
    recorded: Path, expected: dict[str, Series]
) -> None:
    found = layerscope.read(recorded / "user 0")["."].series["gradients"]
    one = expected["gradients"]
    rows = [found.layers.index(f"module.{layer}") for layer in one.layers]
    assert [layer for layer in found.layers if layer.removeprefix("module.") not in one.layers] == ["module"]
    norms = found.statistics.index("norm")
    np.testing.assert_allclose(found.values[:, rows, norms], one.values[:, :, norms], rtol=1e-5)


def test_outputs_are_those_of_the_batch_of_rank_0(recorded: Path) -> None:
    sharded, replicated = (layerscope.read(recorded / name)["."].series for name in ("fsdp", "ddp"))
    for name in ("training_activations", "activation_gradients"):
        assert_same(sharded[name], replicated[name])


def test_rank_0_alone_writes_one_event_file(recorded: Path) -> None:
    for log in ("fsdp", "hsdp", "calls", "ddp", "thinned", "user 0"):
        assert len(event_files(recorded / log)) == 1
    with pytest.raises(NotFoundError):
        layerscope.read(recorded / "user 1")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_recorded_step_takes_one_gather_and_training_goes_its_way(recorded: Path, rank: int) -> None:
    found = notes(recorded, rank)
    assert found["ours"] == {"gather": training.STEPS}  # of gradients, at some also of parameters and updates
    alone, watched = found["training's own"]
    assert watched == alone > 0
    assert all(found["same bits"])


def test_all_ranks_thin_a_long_run_out_alike_within_its_bound(recorded: Path) -> None:
    gathers = [notes(recorded, rank)["thinned"]["gather"] for rank in range(2)]
    steps = layerscope.read(recorded / "thinned")["."].series["gradients"].steps
    assert gathers[0] == gathers[1] >= len(steps)
    assert 5 < len(steps) < 60
    assert steps[-1] > 90
    assert sum(path.stat().st_size for path in (recorded / "thinned").iterdir()) < 400_000 + 40_000  # the findings


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of two processes that came apart in several ways and trained on to the end."""
    directory = tmp_path_factory.mktemp("apart")
    assert launch("apart", directory) == [0, 0]
    return directory


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("fails", ("rank 1 could not record", "out of everything")),
        ("differs", ("rank 1 has recorded something else", "has stopped recording")),
        ("fewer", ("rank 1 has recorded something else", "another ")),  # is gone, or has not answered
        ("alone", ("rank 1 did not record within 1 s", None)),
    ],
)
def test_a_rank_that_records_something_else_is_said_by_all_and_waited_for_by_none(
    apart: Path, what: str, words: tuple[str | None, ...]
) -> None:
    for rank, said in enumerate(words):
        if said is None:
            continue
        found = notes(apart, rank)[what]
        assert said in found["said"][0]
        assert "From here on sharded parameters are not recorded" in found["said"][-1]
        assert found["seconds"] < 20
    assert len(event_files(apart / what)) == 1


def test_what_came_before_a_failure_is_recorded(apart: Path) -> None:
    assert list(layerscope.read(apart / "fails")["."].series["gradients"].steps) == [0, 1, 2]


def test_a_scope_may_be_closed_when_the_process_group_is_gone(apart: Path) -> None:
    steps = layerscope.read(apart / "destroyed")["."].series["gradients"].steps
    assert list(steps) == list(range(training.STEPS))


@pytest.mark.parametrize("victim", [0, 1])
def test_when_a_rank_is_killed_the_other_closes_its_scope_and_ends(tmp_path: Path, victim: int) -> None:
    codes = launch("killed", tmp_path, VICTIM=str(victim))
    assert codes[victim] == -9
    assert codes[1 - victim] == 0
    found = notes(tmp_path, 1 - victim)
    assert found["failure"]  # of training itself
    assert found["seconds"] < 20
    if victim == 1:
        steps = layerscope.read(tmp_path / "killed")["."].series["gradients"].steps
        assert list(steps) == list(range(len(steps)))
        assert len(steps) >= 5
