"""One thread for torch, so that numbers and times repeat; the tests that drive a browser run last."""

from __future__ import annotations

import os

# Before anything imports numpy or torch.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
