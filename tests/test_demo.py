"""``layerscope demo``: the network learns real digits, and everything is recorded."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import layerscope
from layerscope import cli, demo, findings


@pytest.fixture(scope="module")
def run(demo_logdir: Path) -> layerscope.Run:
    return layerscope.read(demo_logdir)["digits"]


def test_the_network_learns(run: layerscope.Run) -> None:
    steps, accuracy = run.scalars["accuracy/test"]
    assert list(steps) == list(range(0, demo.STEPS + 1, demo.RECORD_PROBES_EVERY))
    assert accuracy[0] < 0.5
    assert accuracy[-1] > 0.95


def test_everything_is_recorded(run: layerscope.Run) -> None:
    probes = list(range(0, demo.STEPS + 1, demo.RECORD_PROBES_EVERY))
    assert run.problems == ()
    assert run.graph is not None
    assert run.graph.warnings == ()
    np.testing.assert_array_equal(run.scalars["loss"][0], range(demo.STEPS + 1))
    assert list(run.series) == sorted(layerscope.wire.SERIES)
    np.testing.assert_array_equal(run.series["gradients"].steps, range(demo.STEPS + 1))
    np.testing.assert_array_equal(run.series["gradients"].histogram_steps, range(0, demo.STEPS + 1, 10))
    np.testing.assert_array_equal(run.series["updates"].steps, range(0, demo.STEPS + 1, 10))
    for name in ("activations", "training_activations", "activation_gradients"):
        np.testing.assert_array_equal(run.series[name].steps, probes)
    assert list(run.attributions) == sorted(demo.METHODS)
    assert all(list(maps) == probes for maps in run.attributions.values())
    for method in ("integrated_gradients", "deep_lift"):
        maps = run.attributions[method][300]
        assert maps.trust["completeness"].max() < 0.1
        assert maps.trust["deletion"].mean() < maps.trust["deletion_random"].mean() - 0.1
    assert run.descriptions["probe"].class_names == demo.DIGITS
    np.testing.assert_array_equal(run.series["linear_probes"].steps, probes)
    assert list(run.surrogates) == ["pool/decision_tree"]
    assert run.surrogates["pool/decision_tree"][300].output_names == demo.DIGITS
    assert list(run.maximizations) == probes
    assert run.samples["probe"][0].shape == (10, 1, 8, 8)
    np.testing.assert_array_equal(run.attributions["grad_cam"][0].targets, range(10))


def test_a_healthy_run_gives_no_finding(run: layerscope.Run) -> None:
    assert findings.examine(run) == ()


def test_the_split_is_stratified_and_complete() -> None:
    train_images, train_labels, test_images, test_labels = demo.load_digits()
    assert (len(train_images), len(test_images)) == (1437, 360)
    assert train_images.min() == -1
    assert train_images.max() == 1
    for digit in range(10):
        assert 0.15 < (test_labels == digit).sum() / (train_labels == digit).sum() < 0.35


def test_the_parameter_count_that_the_docstring_names() -> None:
    count = sum(parameter.numel() for parameter in demo.DigitsNet().parameters())
    assert f"{count:,} parameters" in str(demo.DigitsNet.__doc__)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo.train, "__kwdefaults__", {"steps": 2, "quiet": False})
    assert cli.main(["demo", "--no-serve", "--logdir", str(tmp_path)]) == 0
    assert cli.main(["demo", "--no-serve", "--logdir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"test accuracy \d+\.\d%", out)
    assert f"tensorboard --logdir {tmp_path}" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "digits-2"]  # nothing was overwritten


def test_the_command_ends_with_the_tab_being_served(tmp_path: Path) -> None:
    script = (
        # Ctrl+C works in a terminal; a shell starts what it runs in the background with it switched off.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from layerscope import cli, demo; demo.train.__kwdefaults__['steps'] = 2; "
        f"cli.main(['demo', '--logdir', {str(tmp_path)!r}, '--port', '0'])"
    )
    command = [sys.executable, "-u", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            addresses = (re.search(r"tab at (http://\S+/)#layerscope", line) for line in process.stdout)
            address = next(found[1] for found in addresses if found)
            with urllib.request.urlopen(f"{address}data/plugin/layerscope/static/index.js", timeout=60) as answer:
                assert b"render" in answer.read()
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


def test_a_port_in_use_is_told_before_the_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("localhost", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert cli.main(["demo", "--logdir", str(tmp_path), "--port", port]) == 2
    assert f"port {port} was asked for, but it cannot be used" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
