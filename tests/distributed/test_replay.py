"""A replay by two processes records what one records, whether they share checkpoints or samples.

Real processes, with Gloo, which run ``replaying.py``, or the command by torchrun.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

import layerscope
import replayed_training as training
from layerscope import Run

HERE = Path(__file__).parent
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
}
LIMIT = 180
"""Seconds after which a process that hangs is ended."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory in which two processes have left their logs."""
    directory = tmp_path_factory.mktemp("replayed")
    with SummaryWriter(str(directory / "taken")) as writer:
        writer.add_scalar("loss", 1.0, 0)
    processes = [
        subprocess.Popen([sys.executable, HERE / "replaying.py", directory, str(rank)], env=ENVIRONMENT)
        for rank in range(2)
    ]
    try:
        assert [process.wait(LIMIT) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    return directory


@pytest.fixture(scope="module")
def said(recorded: Path) -> list[dict[str, str]]:
    return [json.loads((recorded / f"{rank}.json").read_text()) for rank in range(2)]


def alone(directory: Path, steps: tuple[int, ...]) -> Run:
    """Replay in one process."""
    x, labels = training.probe()
    given = {step: training.checkpoint(step) for step in steps}
    layerscope.replay(training.build(), given, directory, x, labels, **training.options())
    return layerscope.read(directory)["."]


def test_checkpoints_are_shared_and_written_in_order_by_rank_0(recorded: Path, tmp_path: Path) -> None:
    assert len(list((recorded / "checkpoints").iterdir())) == 1
    training.assert_same(layerscope.read(recorded / "checkpoints")["."], alone(tmp_path, training.STEPS))


def test_of_one_checkpoint_the_samples_are_shared(recorded: Path, tmp_path: Path) -> None:
    found, expected = layerscope.read(recorded / "samples")["."], alone(tmp_path, (5,))
    # Other sizes of a batch round otherwise, and float16 rounds that to its own last digit.
    training.assert_same(found, expected, tolerance=2e-3)
    assert found.attributions["grad_cam"][5].targets.tolist() == training.probe()[1]


def test_what_fails_on_one_rank_ends_the_replay_on_both(said: list[dict[str, str]], recorded: Path) -> None:
    assert "the model does not have 'other'" in said[1]["broken"]
    assert said[0]["broken"].startswith("RankError: rank 1 failed, so rank 0 does not go on either: InvalidArgument")
    run = layerscope.read(recorded / "broken")["."]
    assert run.series["activations"].steps.tolist() == [5]  # rank 0's own, of the same round
    assert "directory of its own" in said[0]["taken"]
    assert said[1]["taken"].startswith("RankError: rank 0 failed")


def test_afterwards_everything_is_as_it_was(said: list[dict[str, str]], recorded: Path) -> None:
    for rank in range(2):
        assert said[rank].keys() == {"broken", "taken", "weights", "initialized"}
        assert said[rank]["weights"] == said[rank]["initialized"] == "True"
    assert layerscope.read(recorded / "again")["."].series["parameters"].steps.tolist() == list(training.STEPS)


def test_the_command_runs_under_torchrun(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    names = ["--model", "replayed_training:build", "--inputs", "replayed_training:probe"]
    where = ["--checkpoints", str(training.saved(tmp_path / "ckpt")), "--logdir", str(tmp_path / "log")]
    command = [*torchrun, "-m", "layerscope.cli", "replay", *names, *where, "--methods", ",".join(training.METHODS)]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, timeout=LIMIT, capture_output=True, text=True)
    assert done.stdout.count("3 checkpoints, of steps 5 to 100") == 1
    found, expected = layerscope.read(tmp_path / "log")["."], alone(tmp_path / "alone", training.STEPS)
    training.assert_same(found.series, expected.series)
    assert list(found.attributions) == list(training.METHODS)
