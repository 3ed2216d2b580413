"""One thread for torch, so that numbers and times repeat; lines for the end; the log of the demo."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# Before anything imports numpy or torch.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from filelock import FileLock
from hypothesis import HealthCheck, settings

import summary

torch.set_num_threads(1)

# A deadline is a timed assertion: it fails on a machine that does something else for a moment.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # a process of pytest-xdist
        session.config.workeroutput["summary"] = summary.lines


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    summary.lines += getattr(node, "workeroutput", {}).get("summary", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in summary.lines:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def demo_logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log directory that ``layerscope demo`` leaves, with its one run ``digits``; read by all, written by none."""
    from layerscope import demo

    of_all = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_all = of_all.parent  # one training for all processes
    logdir = of_all / "demo"
    with FileLock(of_all / "demo.lock"):
        if not logdir.exists():
            demo.train(of_all / "trained" / "digits", quiet=True)
            (of_all / "trained").rename(logdir)  # there is a whole one or none
    return logdir
