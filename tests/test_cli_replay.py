"""``layerscope replay``: what it records, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import layerscope
import replayed_training as training
from layerscope import cli
from layerscope.replaying.sources import batch_of


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """What every call needs."""
    names = ["--model", "replayed_training:build", "--inputs", "replayed_training:probe"]
    checkpoints = str(training.saved(tmp_path / "ckpt") / "*.pt")
    return ["replay", *names, "--checkpoints", checkpoints, "--logdir", str(tmp_path / "log")]


def test_it_records_what_the_function_records(
    asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*asked, "--methods", "grad_cam,input_x_gradient"]) == 0
    assert "3 checkpoints, of steps 5 to 100" in capsys.readouterr().out
    x, labels = training.probe()
    methods = ["grad_cam", "input_x_gradient"]
    layerscope.replay(training.build(), tmp_path / "ckpt", tmp_path / "function", x, labels, methods=methods)
    expected = layerscope.read(tmp_path / "function")["."]
    training.assert_same(layerscope.read(tmp_path / "log")["."], expected)
    assert list(expected.attributions) == methods


def test_parts_are_chosen(asked: list[str], tmp_path: Path) -> None:
    chosen = ["--methods", "grad_cam", "--layers", "0,6", "--target", "2", "--no-trust", "--no-parameters"]
    assert cli.main([*asked, *chosen, "--no-activations"]) == 0
    run = layerscope.read(tmp_path / "log")["."]
    assert run.series == {}
    maps = run.attributions["grad_cam"][20]
    assert list(maps.layers) == ["0", "6"]
    assert maps.targets.tolist() == [2] * 5
    assert maps.trust == {}


def test_none_is_no_method(asked: list[str], tmp_path: Path) -> None:
    assert cli.main([*asked, "--methods", "none", "--target", "0,1,2,0,1"]) == 0
    run = layerscope.read(tmp_path / "log")["."]
    assert run.attributions == {}
    assert list(run.series) == ["activations", "parameters"]


def test_a_file_holds_the_probe_batch(asked: list[str], tmp_path: Path) -> None:
    x, labels = training.probe()
    save_file({"0": x, "target": torch.tensor(labels)}, tmp_path / "probe.safetensors")
    asked[asked.index("replayed_training:probe")] = str(tmp_path / "probe.safetensors")
    assert cli.main([*asked, "--methods", "grad_cam", "--no-trust"]) == 0
    run = layerscope.read(tmp_path / "log")["."]
    assert run.attributions["grad_cam"][5].targets.tolist() == labels
    np.testing.assert_allclose(run.samples["probe"][0], x, atol=2e-3)  # float16


class Two(torch.nn.Module):
    """A model with two inputs."""

    def forward(self, x: Any, mask: Any) -> Any:
        return x * mask


def test_tensors_are_keywords_or_in_order_of_name(tmp_path: Path) -> None:
    def held(**tensors: float) -> Any:
        save_file({name: torch.tensor(value) for name, value in tensors.items()}, tmp_path / "probe.safetensors")
        return batch_of(str(tmp_path / "probe.safetensors"), Two(), torch.device("cpu"))

    assert held(mask=2.0, x=3.0) == ({"mask": torch.tensor(2.0), "x": torch.tensor(3.0)}, None)
    numbered = {"10": 10.0, "9": 9.0}
    assert held(**numbered, target=1.0) == ((torch.tensor(9.0), torch.tensor(10.0)), torch.tensor(1.0))


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(arguments) == 2
    return capsys.readouterr().err


def test_what_is_not_there_is_said(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def changed(old: str, new: str) -> list[str]:
        return [new if argument.endswith(old) else argument for argument in asked]

    assert "no module 'nowhere'" in refused(changed("replayed_training:build", "nowhere:build"), capsys)
    assert "has no attribute 'make'" in refused(changed("replayed_training:build", "replayed_training:make"), capsys)
    assert "must be package.module:function" in refused(changed("replayed_training:build", "build"), capsys)
    assert "function without arguments" in refused(changed(":build", "replayed_training:STEPS"), capsys)
    assert "must return a torch.nn.Module" in refused(changed(":build", "replayed_training:probe"), capsys)
    assert "must return (inputs, target)" in refused(changed(":probe", "replayed_training:three"), capsys)
    assert "has no file" in refused(changed(":probe", str(tmp_path / "gone.safetensors")), capsys)
    assert "has no checkpoint" in refused(changed("*.pt", str(tmp_path / "*.ckpt")), capsys)
    assert "--target must be a class" in refused([*asked, "--target", "cat"], capsys)
    assert "--device 'toaster' cannot be used" in refused([*asked, "--device", "toaster"], capsys)
    assert not (tmp_path / "log").exists()


def test_help_tells_of_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["replay", "--help"])
    said = capsys.readouterr().out
    for option in ("model", "inputs", "checkpoints", "logdir", "target", "methods", "layers", "maximize", "device"):
        assert f"--{option} " in said or f"--{option}\n" in said
    assert "torchrun" in said
