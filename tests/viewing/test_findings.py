"""Findings on their way from the event file: read, served under both loaders, examined where none were written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.tensorboard import SummaryWriter

import layerscope
import serving
from hand_made_series import gradients, of_layers
from layerscope import codec, wire
from layerscope.errors import MalformedError
from layerscope.viewing import examining
from layerscope.viewing.store import Store
from layerscope.wire import Finding
from layerscope.writing import MessageWriter

FIRST = Finding("dead", "error", 3, "a", "a", "x.y", "Dead.", {"dead_fraction": 1.0}, "A rule.", "A source.", ("b",))
SECOND = replace(FIRST, detector="nan", step=7, layer="b\x1b é")
LATER = replace(FIRST, step=9)
"""The same as the first, found again after a restart."""
THIRD = replace(FIRST, detector="frozen", step=12)


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with findings: written, and again after a restart; none; none written; a loss that jumps; a broken one."""
    root = tmp_path_factory.mktemp("found")
    for found in ([(0, ()), (3, (FIRST,)), (7, (FIRST, SECOND))], [(8, ()), (9, (LATER,)), (12, (LATER, THIRD))]):
        with SummaryWriter(str(root / "written")) as user:
            writer = MessageWriter(user)
            for step, findings in found:
                writer.findings(findings, step=step)
        serving.wait_for_another_second()
    with SummaryWriter(str(root / "at_one_step")) as user:
        writer = MessageWriter(user)
        for findings in ((), (FIRST,), (FIRST, SECOND)):
            writer.findings(findings, step=3)
        writer.findings((FIRST, SECOND, THIRD), step=12)
    with SummaryWriter(str(root / "well")) as user:
        MessageWriter(user).findings((), step=0)
    with SummaryWriter(str(root / "replayed")) as user:
        row = {"dead_fraction": 1.0, "zero_fraction": 1.0}
        for step in range(0, 500, 100):
            statistics = of_layers("training_activations", {"relu": row})
            MessageWriter(user).series("training_activations", statistics, step=step)
    with SummaryWriter(str(root / "jumped")) as user:
        writer = MessageWriter(user)
        writer.findings((), step=0)
        for step in range(120):
            user.add_scalar("train/loss", 2.0 if step < 20 else 1.0 if step < 100 else 9.0, step)
            user.add_scalar("other", 1.0 if step < 100 else 9.0, step)
            grown = 500.0 if step >= 98 else 1.0
            writer.series("gradients", gradients({"a": 1.0, "b": grown * (1 + step % 7 / 100)}), step=step)
    with SummaryWriter(str(root / "only_graph")) as user:
        MessageWriter(user).graph(serving.graph())
    with SummaryWriter(str(root / "sparse")) as user:
        writer = MessageWriter(user)
        for step in range(1, 1200):
            writer.series("gradients", gradients({"a": 1.0}), step=step)
        writer.series("gradients", gradients({f"layer{i}": 1.0 for i in range(1200)}), step=0)
    with SummaryWriter(str(root / "broken")) as user:
        writer = MessageWriter(user)
        writer.findings((), step=0)
        broken = json.dumps({"findings": [asdict(FIRST) | {"evidence": {"loss": "NaN"}}]}).encode()
        writer._write(wire.FindingsMetadata("findings", "training"), [broken], 5)
    return root


EXPECTED: dict[str, tuple[list[tuple[str, int, str]], bool]] = {
    "written": ([("dead", 3, "a"), ("nan", 7, SECOND.layer), ("frozen", 12, "a")], True),
    "at_one_step": ([("dead", 3, "a"), ("nan", 7, SECOND.layer), ("frozen", 12, "a")], True),
    "well": ([], True),
    "replayed": ([("dead", 200, "relu")], True),
    "jumped": ([("loss_spike", 100, "b")], True),
    "only_graph": ([], False),
}


@pytest.fixture(scope="module", params=serving.LOADERS, ids=["rust", "python"])
def tensorboard(
    request: pytest.FixtureRequest, logdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[serving.TensorBoard]:
    log = tmp_path_factory.mktemp("log") / "tensorboard.log"
    with serving.serving(logdir, log, "--load_fast", request.param) as server:
        server.wait(lambda: all(server.get("tags", run=run).code == 200 for run in (*EXPECTED, "sparse", "broken")))
        server.wait(lambda: b'"steps":[0,5]' in server.get("tags", run="broken").body)
        server.wait(lambda: [f["detector"] for f in listing(server, "written")["findings"]][-1:] == ["frozen"])
        server.wait(lambda: bool(listing(server, "jumped")["findings"]))
        yield server


def listing(server: serving.TensorBoard, run: str) -> Any:
    answer = server.get("findings", run=run)
    assert answer.code == 200, answer.body
    return json.loads(answer.body)


@pytest.mark.parametrize("run", EXPECTED)
def test_findings_are_served(tensorboard: serving.TensorBoard, run: str) -> None:
    found, examined = EXPECTED[run]
    answer = listing(tensorboard, run)
    assert (answer["run"], answer["examined"], answer["version"]) == (run, examined, 1)
    assert [(f["detector"], f["step"], f["layer"]) for f in answer["findings"]] == found
    assert listing(tensorboard, run) == answer  # remembered
    judged = {detector for one in answer["unjudged"] for detector in one["detectors"]}
    assert judged.isdisjoint({detector for detector, _, _ in found})
    assert ("loss_spike" in judged) == (run != "jumped")


def test_all_of_a_finding_is_served(tensorboard: serving.TensorBoard) -> None:
    assert listing(tensorboard, "written")["findings"][0] == asdict(FIRST) | {"others": ["b"]}


def test_blobs_are_checked(tensorboard: serving.TensorBoard) -> None:
    answer = tensorboard.get("findings", run="broken")
    assert (answer.code, b"the findings is not a valid FindingsBlob" in answer.body) == (400, True), answer.body
    tag = tensorboard.tag("broken", "findings", "training")
    assert tensorboard.get("blob", run="broken", tag=tag, step=5).code == 400
    assert json.loads(tensorboard.get("blob", run="broken", tag=tag, step=0).body) == {"findings": []}


def test_what_cannot_be_examined_is_not_called_healthy(tensorboard: serving.TensorBoard) -> None:
    answer = tensorboard.get("findings", run="sparse")
    assert answer.code == 400
    assert b"nothing of run 'sparse' could be examined: a series has 1200 steps of 2402 layers" in answer.body


def test_what_is_missing_is_said(tensorboard: serving.TensorBoard) -> None:
    assert tensorboard.get("findings", run="nowhere").code == 404
    assert tensorboard.get("findings").code == 400


def test_read_unites_what_every_writer_found(logdir: Path) -> None:
    runs = layerscope.read(logdir)
    for run in ("written", "at_one_step"):
        assert runs[run].findings == (FIRST, SECOND, THIRD)
    assert (runs["well"].findings, runs["well"].examined) == ((), True)
    assert (runs["replayed"].findings, runs["replayed"].examined) == ((), False)
    assert runs["broken"].findings == ()
    assert len(runs["broken"].problems) == 1
    assert "is not a valid FindingsBlob" in runs["broken"].problems[0]
    assert runs["jumped"].series["gradients"].owners == ("a", "a", "b", "b")


def test_findings_beyond_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    blob = codec.to_json(wire.FindingsBlob((FIRST,)))
    assert codec.decode_findings(blob).findings == (FIRST,)
    monkeypatch.setattr(codec, "MAX_FINDINGS_BYTES", len(blob) - 1)
    with pytest.raises(MalformedError, match=f"has {len(blob)} bytes, but at most {len(blob) - 1} are read"):
        codec.decode_findings(blob)


class Tags:
    """Counts what is read of a run with two findings and a loss."""

    experiment_id = ""

    def __init__(self) -> None:
        self.blobs = 0
        self.max_step = 3
        self.loss = np.ones(30)

    def tags(self, run: str) -> wire.TagListing:
        metadata = wire.FindingsMetadata("findings", "training")
        series = wire.SeriesMetadata("series", "gradients", ("a",), ("a",), ())
        findings = wire.TagEntry("f", "findings", metadata, (3,), max_step=self.max_step, max_wall_time=1.0)
        return wire.TagListing(run, (findings, wire.TagEntry("s", "series", series)), ("loss",))

    def blob(self, run: str, tag: str, step: int) -> bytes:
        self.blobs += 1
        return codec.to_json(wire.FindingsBlob((FIRST,)))

    def scalar(self, run: str, tag: str) -> Any:
        class Arrays:
            steps = np.arange(len(self.loss))
            wall_times = np.arange(len(self.loss))
            values = self.loss[:, None, None]

        return Arrays

    def array(self, *_: object, **__: object) -> None:
        raise AssertionError("the series was read, although findings were written")


def test_a_run_that_has_not_grown_is_not_read_again() -> None:
    tags: Any = Tags()
    store: Store = tags
    examiner = examining.Examiner()
    first = examiner.listing(store, "run")
    assert first.findings == (FIRST,)
    assert examiner.listing(store, "run") is first
    assert tags.blobs == 1
    tags.max_step = 4
    assert examiner.listing(store, "run") == first
    assert tags.blobs == 2
    tags.loss = np.ones(31)
    assert examiner.listing(store, "run") == first
    assert tags.blobs == 3
