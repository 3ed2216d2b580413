"""``layerscope dot``: what it prints, and what it says when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hand_made_graphs import block, chain, module
from layerscope import cli
from layerscope.wire import ModelGraph
from layerscope.writing import MessageWriter


def network() -> ModelGraph:
    return chain(module("stem"), *(node for i in range(4) for node in block(f"layers.{i}", "Linear", "ReLU")))


def record(logdir: Path, *runs: str) -> Path:
    from torch.utils.tensorboard import SummaryWriter

    for run in runs:
        with SummaryWriter(str(logdir / run)) as summary:
            MessageWriter(summary).graph(network())
    return logdir


def test_the_only_structure_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "digits")
    assert cli.main(["dot", str(tmp_path)]) == 0
    assert capsys.readouterr().out == network().to_dot()


def test_folded_to_a_depth_and_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "runs", "digits")
    target = tmp_path / "digits.dot"
    assert cli.main(["dot", str(tmp_path / "runs"), "--folded", "--depth", "1", "-o", str(target)]) == 0
    assert target.read_text(encoding="utf-8") == network().to_dot(folded=True, depth=1)
    assert capsys.readouterr().out == ""


def test_model_explorer_gets_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "digits")
    assert cli.main(["dot", str(tmp_path), "--format", "model-explorer"]) == 0
    (graph,) = json.loads(capsys.readouterr().out)["graphs"]
    assert [node["id"] for node in graph["nodes"]][:3] == ["stem", "layers.0.0", "layers.0.1"]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["dot", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


def test_of_several_runs_one_must_be_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "first", "second")
    said = refused([str(tmp_path)], capsys)
    assert "2 runs" in said
    assert "choose it with --run. They are: first, second." in said
    assert cli.main(["dot", str(tmp_path), "--run", "second"]) == 0
    assert capsys.readouterr().out == network().to_dot()


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "digits")
    assert "has no run 'other'; it has: digits." in refused([str(tmp_path), "--run", "other"], capsys)
    assert "no directory" in refused([str(tmp_path / "nowhere")], capsys)
    assert "depth must be 1" in refused([str(tmp_path), "--depth", "0"], capsys)
    assert "--folded and --depth" in refused([str(tmp_path), "--folded", "--format", "model-explorer"], capsys)
    assert "cannot be written" in refused([str(tmp_path), "-o", str(tmp_path)], capsys)


def test_help_tells_of_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["dot", "--help"])
    said = capsys.readouterr().out
    assert all(option in said for option in ("LOGDIR", "--run", "--folded", "--depth N", "--format", "-o FILE"))
