"""One thread for torch, so that numbers and times repeat; the tests that drive a browser run last."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything imports numpy or torch.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)


@pytest.fixture(scope="session")
def demo_logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log directory that ``layerscope demo`` leaves, with its one run ``digits``."""
    from layerscope import demo

    logdir = tmp_path_factory.mktemp("demo")
    demo.train(logdir / "digits", quiet=True)
    return logdir
