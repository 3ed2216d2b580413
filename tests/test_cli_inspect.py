"""``layerscope inspect``: what it prints, and its exit status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from hand_made_series import gradients
from layerscope import cli
from layerscope.wire import Finding, ModelGraph
from layerscope.writing import MessageWriter

DEAD = Finding(
    detector="dead",
    severity="error",
    step=300,
    layer="stage.relu",
    row="stage.relu",
    measure="training_activations.dead_fraction",
    message="All units of 'stage.relu' are dead.",
    evidence={"dead_fraction": 0.123456, "nan_count": 1234567.0, "since_step": 0.0},
    rule="At least 90% of the units zero.",
    source="Lu et al. 2020.",
    others=("pool", "fc"),
)
FROZEN = replace(
    DEAD, detector="frozen", severity="warning", step=7, layer="fc", row="fc.bias\x1b[31m", evidence={}, others=()
)
MODEL = replace(FROZEN, detector="nan", step=900, layer="", row="")


def record(logdir: Path, run: str, *findings: Finding) -> None:
    with SummaryWriter(str(logdir / run)) as summary:
        MessageWriter(summary).findings(findings, step=0)
        MessageWriter(summary).series("gradients", gradients({"a": 1.0}), step=0)


def test_findings_are_printed_by_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "bad", DEAD, FROZEN, MODEL)
    assert cli.main(["inspect", str(tmp_path)]) == 3
    assert capsys.readouterr().out == (
        "run bad\n"
        "\n"
        "  step 7        WARNING  frozen  fc (fc.bias\\x1b[31m)\n"
        "      All units of 'stage.relu' are dead.\n"
        "\n"
        "  step 300      ERROR    dead  stage.relu\n"
        "      All units of 'stage.relu' are dead.\n"
        "      evidence: dead_fraction 0.1235, nan_count 1234567, since_step 0\n"
        "      others: pool, fc\n"
        "\n"
        "  step 900      WARNING  nan  the model\n"
        "      All units of 'stage.relu' are dead.\n"
        "\n"
        "  not judged: exploding (it takes 3 records of gradients, and there is 1)\n"
        "  not judged: vanishing (it takes 5 records of gradients, and there is 1)\n"
        "  not judged: saturated (no training_activations or activations recorded)\n"
        "  not judged: no_gradient (it takes 10 records of gradients, and there is 1)\n"
        "  not judged: unfrozen, update_ratio (no updates recorded)\n"
        "  not judged: loss_spike (no scalar has loss in its name)\n"
        "\n"
        "rules\n"
        "  frozen: At least 90% of the units zero.\n"
        "      source: Lu et al. 2020.\n"
        "  dead: At least 90% of the units zero.\n"
        "      source: Lu et al. 2020.\n"
        "  nan: At least 90% of the units zero.\n"
        "      source: Lu et al. 2020.\n"
    )


def test_runs_that_are_well_and_runs_that_could_not_be_examined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, "well")
    with SummaryWriter(str(tmp_path / "structure")) as summary:
        MessageWriter(summary).graph(ModelGraph({}, (), (), ()))
    assert cli.main(["inspect", str(tmp_path)]) == 0
    well = (
        "run well\n"
        "  no findings\n"
        "  not judged: exploding (it takes 3 records of gradients, and there is 1)\n"
        "  not judged: vanishing (it takes 5 records of gradients, and there is 1)\n"
        "  not judged: dead, saturated (no training_activations or activations recorded)\n"
        "  not judged: no_gradient (it takes 10 records of gradients, and there is 1)\n"
        "  not judged: frozen, unfrozen, update_ratio (no updates recorded)\n"
        "  not judged: loss_spike (no scalar has loss in its name)\n"
        "\n"
    )
    assert capsys.readouterr().out == f"run structure\n  nothing was recorded that could be examined\n\n{well}"
    assert cli.main(["inspect", str(tmp_path), "--run", "well"]) == 0
    assert capsys.readouterr().out == well
    assert cli.main(["inspect", str(tmp_path), "--run", "structure"]) == 2
    said = capsys.readouterr()
    assert said.out == "run structure\n  nothing was recorded that could be examined\n\n"
    assert "nothing that could be examined is recorded in structure" in said.err
    assert "scope.watch(optimizer) or scope.gradients(step) record it." in said.err


def test_json_has_a_line_for_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "bad", DEAD)
    record(tmp_path, "well")
    assert cli.main(["inspect", str(tmp_path), "--json"]) == 3
    bad, well = map(json.loads, capsys.readouterr().out.splitlines())
    assert (bad["run"], bad["examined"], bad["findings"][0]["layer"]) == ("bad", True, "stage.relu")
    assert (well["run"], well["examined"], well["findings"]) == ("well", True, [])


def test_what_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path, "well")
    assert cli.main(["inspect", str(tmp_path), "--run", "other"]) == 2
    assert "has no run 'other'; it has: well." in capsys.readouterr().err
    assert cli.main(["inspect", str(tmp_path / "nowhere")]) == 2
    assert "no directory" in capsys.readouterr().err


def test_help_tells_of_options_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["inspect", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(option in said for option in ("LOGDIR", "--run", "--json"))
    assert "Exit status: 0 if nothing was found, 3 if something was, 2 if no run" in said


def test_no_name_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with SummaryWriter(str(tmp_path / "run\x1b[2J")) as summary:
        MessageWriter(summary).graph(ModelGraph({}, (), (), ()))
    for arguments in ([], ["--run", "other"], ["--run", "\x1b[31m"]):
        assert cli.main(["inspect", str(tmp_path), *arguments]) == 2
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err
        assert "run\\x1b[2J" in said.err
