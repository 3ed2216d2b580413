"""A real TensorBoard over the demo's log directory, and a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

import serving
import tab as tab_module


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with tab_module.chromium() as running:
        yield running


@pytest.fixture(scope="session")
def tensorboard(
    request: pytest.FixtureRequest, demo_logdir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[serving.TensorBoard]:
    """By the Rust loader, unless a module asks for both: what they serve is compared in the tests of viewing."""
    loader = getattr(request, "param", serving.LOADERS[0])
    log = tmp_path_factory.mktemp("log") / "tensorboard.log"
    with serving.serving(demo_logdir, log, "--load_fast", loader) as server:
        server.wait(lambda: b"maximization" in server.get("tags", run="digits").body)
        yield server


@pytest.fixture
def tab(browser: Browser, tensorboard: serving.TensorBoard) -> Iterator[tab_module.Tab]:
    """The tab, opened afresh; the test fails on anything that the browser or TensorBoard complained of."""
    opened = tab_module.Tab(browser, f"{tensorboard.url}#layerscope")
    opened.ready()
    yield opened
    opened.close()
    assert opened.complaints == []
    assert "In 3.0" not in tensorboard.log.read_text()
    assert "Traceback" not in tensorboard.log.read_text()
