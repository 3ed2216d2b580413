"""100,000 steps of a model with 200 layers: no more bytes than allowed, and every record can be read."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import layerscope
import long_run
import serving
from layerscope.writing import MAX_BYTES


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("long")


@pytest.fixture(scope="module")
def run(logdir: Path) -> long_run.LongRun:
    return long_run.write(logdir / "run")


def test_the_file_is_as_large_as_was_counted_and_no_larger_than_allowed(logdir: Path, run: long_run.LongRun) -> None:
    (file,) = (logdir / "run").iterdir()
    other = 1001 * 60 + 20_000  # the loss, and the structure
    assert run.schedules.bytes_written < file.stat().st_size < run.schedules.bytes_written + other
    assert MAX_BYTES / 3 < file.stat().st_size < MAX_BYTES


def test_all_of_the_training_is_there(run: long_run.LongRun) -> None:
    assert len(run.steps) == 9
    for (kind, name), steps in run.steps.items():
        assert steps[0] == 0
        bounds = [long_run.STEPS / 2**n for n in (3, 2, 1, 0)]
        counts = [sum(low <= step < high for step in steps) for low, high in itertools.pairwise(bounds)]
        # An eighth, a quarter and a half of the run have about the same number of records.
        assert min(counts) >= 0.6 * max(counts) >= (2 if kind == "histograms" else 10), name


def _check_served(logdir: Path, run: long_run.LongRun, loader: str, log: Path) -> None:
    last = {steps[-1] for steps in run.steps.values()}
    with serving.serving(logdir, log, "--load_fast", loader) as server:

        def entries() -> list[dict[str, Any]]:
            answer = server.get("tags", run="run")
            return json.loads(answer.body)["tags"] if answer.code == 200 else []

        server.wait(lambda: last <= {entry["max_step"] for entry in entries()})
        numbers = [entry for entry in entries() if entry["kind"] in ("series", "histograms")]
        assert len(numbers) == 9  # of each one tag: none is so large that it had to go on in another
        for entry in numbers:
            series = entry["kind"] == "series"
            query = {} if series else {"layer": "blocks.30.mlp"}
            arrays = server.get("array", run="run", tag=entry["tag"], **query).arrays()
            steps = run.steps[entry["kind"], entry["metadata"]["name"]]
            np.testing.assert_array_equal(arrays["steps"], steps)
            found = arrays["values"][:, -1, 1] / long_run.MARK if series else arrays["values"][:, -1, 0]
            np.testing.assert_array_equal(found, steps)


def test_every_record_is_served(logdir: Path, run: long_run.LongRun, tmp_path: Path) -> None:
    _check_served(logdir, run, "true", tmp_path / "tensorboard.log")


def test_every_record_is_served_by_the_python_loader(tmp_path: Path) -> None:
    run = long_run.write(tmp_path / "log" / "run", max_bytes=MAX_BYTES // 8)  # it reads 4 MB/s
    _check_served(tmp_path / "log", run, "false", tmp_path / "tensorboard.log")


def test_every_record_is_read_without_a_server(logdir: Path, run: long_run.LongRun) -> None:
    read = layerscope.read(logdir)["run"]
    assert read.problems == ()
    assert read.graph is not None
    assert len(read.graph.nodes) == 2 + 1 + 50 + 200
    for (kind, name), steps in run.steps.items():
        series = read.series[name]
        if kind == "series":
            np.testing.assert_array_equal(series.steps, steps)
            np.testing.assert_array_equal(
                series.values[:, :, 1] / long_run.MARK, np.array(steps)[:, None].repeat(len(series.layers), 1)
            )
        else:
            assert series.histogram is not None
            np.testing.assert_array_equal(series.histogram_steps, steps)
            np.testing.assert_array_equal(series.histogram[:, 7, 0], steps)
